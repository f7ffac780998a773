//! A backup that is intact but differs too much from earlier ones is kept as suspicious. Retention does not
//! count it until a person acknowledges it, or several consecutive backups have the same differences.

use anyhow::{Context, Result};
use api::meta;
use api::status::{ConditionStatus, ConditionType, Verification};
use domain::{manifest::ACKNOWLEDGED_FILE, reason::Reason};
use pgbackup_tests::{Env, Policy, Postgres, story};

/// Creates a policy that keeps one backup, and a server with a database of 5000 rows.
async fn shop(env: &Env) -> Result<(Postgres, Policy)> {
    let server = env.postgres(17).await?;
    server.database("shop", "").await?;
    server.table("shop", "goods", 5000).await?;
    let policy = env
        .policy("shop", |spec| {
            spec.postgres.databases.include = vec!["*".to_owned()];
            spec.retention.keep_last = Some(1);
            spec.retention.minimum_verified = 1;
        })
        .await?;
    Ok((server, policy))
}

#[test]
fn backup_with_lost_rows_is_suspicious() -> Result<()> {
    story("lost-rows", async |env| {
        let (server, policy) = shop(&env).await?;
        let store = env.store().await?;
        let good = policy.backup("good").await?.backup.context("a backup")?;
        server.sql("shop", "DELETE FROM goods WHERE id > 100").await?;

        let failure = policy.failure("shrunk", Reason::Suspicious).await?;

        assert!(failure.message.contains("database \"shop\" shrank from 5000 to 100 rows"), "{failure:?}");
        let message = policy
            .condition_is(ConditionType::BackupHealthy, ConditionStatus::False, Reason::Suspicious)
            .await?;
        assert!(message.contains(meta::ACKNOWLEDGED), "{message}");
        let status = policy.status().await?;
        let odd = status.last_run.and_then(|last| last.backup).context("it is stored")?;
        assert_eq!(
            status.last_success.and_then(|last| last.backup),
            Some(good.clone()),
            "it counts for nothing"
        );
        let retained = status.retained.context("a run reported it")?;
        assert_eq!((retained.backups, retained.verified, retained.suspicious), (2, 1, 1));
        assert_eq!(
            store.backup_folders(&policy).await?,
            [good.clone(), odd.clone()],
            "it pushes nothing out"
        );

        env.kubectl(&["annotate", "backuppolicy", "shop", &format!("{}={odd}", meta::ACKNOWLEDGED)])?;

        policy.condition_is(ConditionType::BackupHealthy, ConditionStatus::True, Reason::Verified).await?;
        let newest = policy.status().await?.last_success.context("it counts now")?;
        assert_eq!(
            (newest.backup.as_ref(), newest.verification),
            (Some(&odd), Some(Verification::Acknowledged))
        );
        let next = policy.backup("next").await?.backup.context("a backup")?;
        assert_eq!(store.backup_folders(&policy).await?, [next], "the rules go on");
        Ok(())
    })
}

#[test]
fn fourth_suspicious_backup_with_the_same_cause_is_verified() -> Result<()> {
    story("alike-backups", async |env| {
        let (server, policy) = shop(&env).await?;
        let store = env.store().await?;
        let good = policy.backup("good").await?.backup.context("a backup")?;
        server.sql("shop", "TRUNCATE goods").await?;
        for token in ["one", "two", "three"] {
            let failure = policy.failure(token, Reason::Suspicious).await?;
            assert!(failure.message.contains("became empty: public.goods (5000 rows before)"), "{failure:?}");
            assert_eq!(store.backup_folders(&policy).await?[0], good, "the last good backup stays");
        }
        assert_eq!(store.backup_folders(&policy).await?.len(), 4);

        let fourth = policy.backup("four").await?.backup.context("a backup")?;

        policy.condition_is(ConditionType::BackupHealthy, ConditionStatus::True, Reason::Verified).await?;
        assert_eq!(store.backup_folders(&policy).await?, std::slice::from_ref(&fourth), "the rules go on");
        let settled =
            store.sh(&format!("cat {}/{fourth}/{ACKNOWLEDGED_FILE}", store.folder(&policy))).await?;
        assert!(settled.contains("later backups with the same differences"), "{settled}");
        policy.backup("five").await.map(drop)
    })
}

#[test]
fn missing_database_is_suspicious_until_retired() -> Result<()> {
    story("missing-database", async |env| {
        let (server, policy) = shop(&env).await?;
        server.database("legacy", "").await?;
        policy.backup("both").await?;
        server.sql("postgres", "DROP DATABASE legacy").await?;
        for token in ["gone", "still"] {
            let failure = policy.failure(token, Reason::Suspicious).await?;
            assert!(failure.message.contains("database \"legacy\" is missing"), "{failure:?}");
            assert!(failure.message.contains("databases.retired"), "{failure:?}");
        }
        policy.edit(|spec| spec.postgres.databases.retired = vec!["legacy".to_owned()]).await?;
        policy.backup("retired").await.map(drop)
    })
}

#[test]
fn backup_of_another_server_is_suspicious() -> Result<()> {
    story("another-server", async |env| {
        let (_, policy) = shop(&env).await?;
        policy.backup("one").await?;
        let other = Postgres::start(&env, "other", 17).await?;
        other.database("shop", "").await?;
        other.table("shop", "goods", 5000).await?;
        policy.edit(|spec| spec.postgres.connection.host = Some("other".to_owned())).await?;
        let failure = policy.failure("two", Reason::Suspicious).await?;
        assert!(failure.message.contains("the server changed: its system identifier is"), "{failure:?}");
        let odd = policy.status().await?.last_run.and_then(|last| last.backup).context("it is stored")?;
        env.kubectl(&["annotate", "backuppolicy", "shop", &format!("{}={odd}", meta::ACKNOWLEDGED)])?;
        policy.condition_is(ConditionType::BackupHealthy, ConditionStatus::True, Reason::Verified).await?;
        policy.backup("three").await.map(drop)
    })
}
