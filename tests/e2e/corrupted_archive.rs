//! A run that reads back other bytes than it wrote never reports the backup as verified.
//!
//! A lock on the second database keeps the run waiting while the test corrupts the stored archive of the
//! first database.

use anyhow::Result;
use api::status::{ConditionStatus, ConditionType};
use domain::reason::Reason;
use pgbackup_tests::{Store, story};

#[test]
fn flipped_bit_in_an_archive_on_a_volume_is_reported() -> Result<()> {
    a_spoilt_archive_is_reported("flipped", Store::flip_bit)
}

#[test]
fn truncated_archive_is_reported() -> Result<()> {
    a_spoilt_archive_is_reported("truncated", Store::truncate)
}

fn a_spoilt_archive_is_reported(
    name: &str,
    spoil: impl AsyncFnOnce(&Store, &str) -> Result<()>,
) -> Result<()> {
    story(name, async |env| {
        let server = env.postgres(17).await?;
        for database in ["a", "b"] {
            server.database(database, "").await?;
            server.table(database, "goods", 1000).await?;
        }
        let store = env.store().await?;
        let all = ["a", "b"].map(str::to_owned).to_vec();
        let policy = env.policy("shop", |spec| spec.postgres.databases.include = all).await?;
        let good = policy.backup("good").await?;
        let good_backup = good.backup.clone().unwrap_or_default();

        let mut lock = server.session("b").await?;
        lock.run("BEGIN; LOCK TABLE goods IN ACCESS EXCLUSIVE MODE;").await?;
        policy
            .start("corrupted", |run| {
                run.once().arg("--retry-wait=1");
            })
            .await?;
        let stored = store.await_file(&policy, "a.dump").await?;
        spoil(&store, &stored).await?;
        lock.run("ROLLBACK;").await?;

        let failure = policy.failed("corrupted", Reason::ChecksumMismatch).await?;
        assert!(failure.message.contains("a.dump"), "{failure:?}");
        assert_eq!(failure.stage.as_deref(), Some("verify"));
        policy
            .condition_is(ConditionType::BackupHealthy, ConditionStatus::False, Reason::ChecksumMismatch)
            .await?;
        assert_eq!(store.backup_folders(&policy).await?, [good_backup], "the corrupted backup is gone");
        let status = policy.status().await?;
        assert_eq!(status.last_success.map(|last| last.job), Some(good.job));
        let record = store.record(&policy, "corrupted").await?;
        assert_eq!(record.reason, Some(Reason::ChecksumMismatch));
        Ok(())
    })
}
