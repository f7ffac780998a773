//! A run whose pod is deleted is retried. If it had already stored its backup, no second backup is stored.

use anyhow::Result;
use api::status::{ConditionStatus, ConditionType};
use domain::{reason::Reason, report::BackupStage};
use k8s_openapi::api::core::v1::Pod;
use kube::{ResourceExt, api::DeleteParams};
use pgbackup_tests::{Signal, job::FAILPOINT, story};

#[test]
fn run_with_a_deleted_pod_is_retried() -> Result<()> {
    story("pod-deleted", async |env| {
        let server = env.postgres(17).await?;
        server.table("postgres", "goods", 1000).await?;
        let store = env.store().await?;
        let policy = env.policy("shop", |_| ()).await?;
        let mut lock = server.session("postgres").await?;
        lock.run("BEGIN; LOCK TABLE goods IN ACCESS EXCLUSIVE MODE;").await?;
        let job = policy.start("drained", |_| ()).await?;
        let pod = job.running().await?.name_any();
        server.until_a_backup_waits_for_a_lock().await?;

        env.api::<Pod>().delete(&pod, &DeleteParams::default()).await?;
        let death = job.death().await?;
        assert_eq!(death.report.reason, Some(Reason::Interrupted), "{death:?}");
        lock.run("ROLLBACK;").await?;

        let run = policy.succeeded_at_any_attempt("drained").await?;
        assert_eq!(run.backup, Some(store.only_backup(&policy).await?.manifest.id));
        policy.condition_is(ConditionType::BackupHealthy, ConditionStatus::True, Reason::Verified).await?;
        Ok(())
    })
}

#[test]
fn retry_after_the_manifest_was_written_dumps_nothing() -> Result<()> {
    story("killed-at-prune", async |env| {
        env.postgres(17).await?;
        let store = env.store().await?;
        let policy = env.policy("shop", |_| ()).await?;
        let stop =
            format!("[ -e /backup/tried ] || export {FAILPOINT}=prune; touch /backup/tried; exec \"$@\"");
        let job = policy
            .start("killed-late", |run| {
                run.script(&stop);
            })
            .await?;
        let pod = job.stopped_at(BackupStage::Prune).await?;
        let backup = store.only_backup(&policy).await?;

        job.signal(&pod, Signal::Kill).await?;

        let run = policy.succeeded_at_any_attempt("killed-late").await?;
        assert_eq!(
            run.backup.as_deref(),
            Some(backup.manifest.id.as_str()),
            "the retry reports the backup of the first try"
        );
        store.check(&store.only_backup(&policy).await?).await
    })
}
