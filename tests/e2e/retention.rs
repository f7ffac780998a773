//! Expired backups are deleted. The newest verified backup is never deleted, however many runs fail after it.

use anyhow::Result;
use api::status::{ConditionStatus, ConditionType};
use domain::reason::Reason;
use pgbackup_tests::story;

#[test]
fn prune_keeps_the_newest_verified_backup() -> Result<()> {
    story("prune", async |env| {
        let server = env.postgres(17).await?;
        server.database("shop", "").await?;
        let store = env.store().await?;
        let policy = env
            .policy("shop", |spec| {
                spec.postgres.databases.include = vec!["shop".to_owned()];
                spec.retention.keep_last = Some(1);
                spec.retention.minimum_verified = 1;
            })
            .await?;

        for token in ["one", "two"] {
            let success = policy.backup(token).await?;
            assert_eq!(store.backup_folders(&policy).await?, [success.backup.unwrap_or_default()], "{token}");
        }
        policy.condition_is(ConditionType::RetentionHealthy, ConditionStatus::True, Reason::Pruned).await?;
        let retained = policy.status().await?.retained.unwrap_or_else(|| unreachable!("a run reported it"));
        assert_eq!((retained.backups, retained.verified, retained.removed), (1, 1, 1), "{retained:?}");

        let newest = store.only_backup(&policy).await?;
        policy.edit(|spec| spec.postgres.databases.include.push("gone".to_owned())).await?;
        for token in ["three", "four"] {
            policy.failure(token, Reason::DatabaseUnavailable).await?;
        }
        assert_eq!(store.only_backup(&policy).await?.path, newest.path, "failures expire nothing");
        store.check(&newest).await?;

        policy
            .edit(|spec| {
                spec.postgres.databases.include.pop();
                spec.retention.minimum_verified = 2;
            })
            .await?;
        policy.backup("five").await?;
        let backups = store.backups(&policy).await?;
        assert_eq!(backups.len(), 2, "the floor is stronger than the rule");
        assert_eq!(backups[0].path, newest.path);
        let kept = policy.status().await?.retained.map(|retained| retained.kept);
        println!("kept by rule: {kept:?}");
        Ok(())
    })
}

#[test]
fn policy_without_rules_keeps_all_backups() -> Result<()> {
    story("no-rules", async |env| {
        env.postgres(17).await?;
        let policy = env.policy("shop", |spec| spec.retention.minimum_verified = 1).await?;
        for token in ["one", "two", "three"] {
            policy.backup(token).await?;
        }
        policy.condition_is(ConditionType::RetentionHealthy, ConditionStatus::True, Reason::NoRules).await?;
        assert_eq!(env.store().await?.backups(&policy).await?.len(), 3);
        Ok(())
    })
}

#[test]
fn retention_dry_run_lists_backups_and_removes_none() -> Result<()> {
    story("dry-run", async |env| {
        env.postgres(17).await?;
        let store = env.store().await?;
        let policy = env
            .policy("shop", |spec| {
                spec.retention.keep_last = Some(1);
                spec.retention.minimum_verified = 1;
                spec.retention.dry_run = true;
            })
            .await?;
        let first = policy.backup("one").await?.backup.unwrap_or_default();
        policy.backup("two").await?;

        let message = policy
            .condition_is(ConditionType::RetentionHealthy, ConditionStatus::True, Reason::DryRun)
            .await?;
        assert!(message.contains("would remove 1 backup") && message.contains(&first), "{message}");
        assert_eq!(store.backup_folders(&policy).await?.len(), 2);

        policy.edit(|spec| spec.retention.dry_run = false).await?;
        policy.backup("three").await?;
        policy.condition_is(ConditionType::RetentionHealthy, ConditionStatus::True, Reason::Pruned).await?;
        assert_eq!(store.backup_folders(&policy).await?.len(), 1);
        Ok(())
    })
}

#[test]
fn backups_of_retired_databases_expire() -> Result<()> {
    story("retired-database", async |env| {
        let server = env.postgres(17).await?;
        for name in ["shop", "legacy"] {
            server.database(name, "").await?;
        }
        let store = env.store().await?;
        let policy = env
            .policy("shop", |spec| {
                spec.postgres.databases.include = vec!["*".to_owned()];
                spec.postgres.databases.exclude = vec!["postgres".to_owned()];
                spec.retention.keep_within = Some("1h".to_owned());
                spec.retention.minimum_verified = 1;
            })
            .await?;
        policy.backup("both").await?;
        server.sql("postgres", "DROP DATABASE legacy").await?;
        policy
            .edit(|spec| {
                spec.retention.keep_within = None;
                spec.retention.keep_last = Some(1);
            })
            .await?;
        // The database is missing, so the backup is suspicious.
        policy.failure("one", Reason::Suspicious).await?;
        assert_eq!(store.backup_folders(&policy).await?.len(), 2, "the only backup of legacy stays");

        policy.edit(|spec| spec.postgres.databases.retired = vec!["legacy".to_owned()]).await?;
        policy.backup("retired").await?;
        let backup = store.only_backup(&policy).await?;
        assert_eq!(backup.manifest.databases().collect::<Vec<_>>(), ["shop"]);
        Ok(())
    })
}
