//! Corrupted files in the store do not prevent a new backup. They are kept and reported, and never count as
//! backups. If files that are not backups fill the store, space is freed for a new backup.

use anyhow::{Context, Result};
use api::status::{ConditionStatus, ConditionType};
use domain::{name, reason::Reason};
use pgbackup_tests::{Store, env::on_volume, story};

#[test]
fn backup_with_corrupted_manifest_is_kept_and_reported() -> Result<()> {
    story("corrupted-manifest", async |env| {
        let server = env.postgres(17).await?;
        server.database("shop", "").await?;
        let store = env.store().await?;
        let policy = env
            .policy("shop", |spec| {
                spec.retention.keep_last = Some(1);
                spec.retention.minimum_verified = 1;
            })
            .await?;
        let corrupted = policy.backup("one").await?.backup.context("a success has a backup")?;
        let folder = store.folder(&policy);
        store.sh(&format!("printf '{{\\xff' > '{folder}/{corrupted}/manifest.json'")).await?;

        for token in ["two", "three"] {
            let good = policy.backup(token).await?.backup.context("a success has a backup")?;

            let folders = store.backup_folders(&policy).await?;
            assert_eq!(folders, [corrupted.clone(), good], "the corrupted one stays, the expired one goes");
        }
        let warnings = policy.status().await?.last_success.context("a success")?.warnings.join("\n");
        assert!(warnings.contains(&corrupted) && warnings.contains("cannot be read"), "{warnings}");
        policy.condition_is(ConditionType::RetentionHealthy, ConditionStatus::True, Reason::Pruned).await?;

        store.sh(&format!("printf '\\xff' > '{folder}/repository.json'")).await?;
        policy.backup("four").await?;
        let message = policy
            .condition_is(
                ConditionType::RetentionHealthy,
                ConditionStatus::False,
                Reason::RepositoryOwnedByOther,
            )
            .await?;
        assert!(message.contains("repository.json"), "{message}");
        assert_eq!(store.backup_folders(&policy).await?.len(), 3, "nothing is removed where nobody owns");
        Ok(())
    })
}

#[test]
fn backup_that_cannot_be_deleted_does_not_stop_pruning() -> Result<()> {
    story("undeletable-backup", async |env| {
        let server = env.postgres(17).await?;
        server.database("shop", "").await?;
        let store = env.store().await?;
        let policy = env.policy("shop", |spec| spec.retention.minimum_verified = 1).await?;
        for token in ["one", "two", "three"] {
            policy.backup(token).await?;
        }
        let before = store.backup_folders(&policy).await?;
        let folder = store.folder(&policy);
        store.sh(&format!("chmod 500 '{folder}/{}'", before[0])).await?;

        policy.edit(|spec| spec.retention.keep_last = Some(1)).await?;
        let newest = policy.backup("four").await?.backup.context("a success has a backup")?;

        let message = policy
            .condition_is(ConditionType::RetentionHealthy, ConditionStatus::False, Reason::PruneFailed)
            .await?;
        assert!(message.contains("1 of 3") && message.contains(&before[0]), "{message}");
        assert_eq!(store.backup_folders(&policy).await?, [before[0].clone(), newest]);
        policy.condition_is(ConditionType::BackupHealthy, ConditionStatus::True, Reason::Verified).await?;

        store.sh(&format!("chmod 700 '{folder}/{}'", before[0])).await?;
        policy.backup("five").await?;
        policy.condition_is(ConditionType::RetentionHealthy, ConditionStatus::True, Reason::Pruned).await?;
        assert_eq!(store.backup_folders(&policy).await?.len(), 1);
        Ok(())
    })
}

#[test]
fn expired_backups_on_a_full_store_are_pruned_before_dump() -> Result<()> {
    story("prune-before-dump", async |env| {
        let server = env.postgres(17).await?;
        server.database("shop", "").await?;
        server.table("shop", "goods", 60_000).await?;
        env.small_volume("small", "8m").await?;
        let store = Store::open(&env, "small").await?;
        let policy = env
            .policy("shop", |spec| {
                spec.storage = on_volume("small", None);
                spec.postgres.databases.include = vec!["shop".to_owned()];
                spec.retention.keep_last = Some(9);
                spec.retention.minimum_verified = 1;
            })
            .await?;
        for token in ["one", "two", "three"] {
            policy.backup(token).await?;
        }
        store.sh("dd if=/dev/zero of=ballast bs=64k status=none 2> /dev/null || true").await?;
        policy.failure("no-room", Reason::NoSpace).await?;
        assert_eq!(store.backup_folders(&policy).await?.len(), 3, "the rules keep all three");

        policy.edit(|spec| spec.retention.keep_last = Some(1)).await?;
        let newest = policy.backup("room").await?.backup.context("a success has a backup")?;

        assert_eq!(store.backup_folders(&policy).await?, [newest]);
        let record = store.record(&policy, &name::requested_job("shop", "room")).await?;
        assert_eq!(record.prune().map(|prune| prune.removed), Some(3), "two before the backup, one after it");
        Ok(())
    })
}

#[test]
fn unfinished_backups_are_removed_when_the_store_is_full() -> Result<()> {
    story("store-full", async |env| {
        let server = env.postgres(17).await?;
        server.database("shop", "").await?;
        // The archive has about a megabyte, because all rows are different.
        server.table("shop", "goods", 60_000).await?;
        env.small_volume("small", "8m").await?;
        let store = Store::open(&env, "small").await?;
        let policy = env
            .policy("shop", |spec| {
                spec.storage = on_volume("small", None);
                spec.postgres.databases.include = vec!["shop".to_owned()];
                spec.retention.keep_last = Some(1);
                spec.retention.minimum_verified = 1;
            })
            .await?;
        policy.backup("good").await?;
        let folder = store.folder(&policy);
        let fill =
            |path: &str| format!("dd if=/dev/zero of='{path}' bs=64k status=none 2> /dev/null || true");

        // A run that was killed during its dump has filled the store.
        let leftover = format!("{folder}/20200101T000000Z-abcdef");
        store.sh(&format!("mkdir '{leftover}'; {}", fill(&format!("{leftover}/shop.dump.part")))).await?;
        let second = policy.backup("after-a-leftover").await?;
        assert_eq!(store.backup_folders(&policy).await?, [second.backup.context("a success has a backup")?]);

        // Somebody else has filled the store.
        store.sh(&fill("ballast")).await?;
        let failure = policy.failure("no-room", Reason::NoSpace).await?;
        assert!(
            failure.message.contains(" free, the newest backups") && failure.message.contains("MiB"),
            "{failure:?}"
        );
        assert_eq!(failure.stage.as_deref(), Some("preflight"), "nothing was dumped");

        // There is enough space for the last backup's size, but not for the rows that were added since.
        server.table("shop", "more", 600_000).await?;
        store.sh("truncate --size=-2M ballast").await?;
        let failure = policy.failure("too-much", Reason::NoSpace).await?;
        assert_eq!(failure.stage.as_deref(), Some("dump"), "{failure:?}");
        let backup = store.only_backup(&policy).await?;
        store.check(&backup).await?;
        assert_eq!(store.backup_folders(&policy).await?.len(), 1, "the unfinished backup is gone");
        Ok(())
    })
}
