//! A run is killed at each of its stages, by each of the signals that a pod may receive. Without a manifest
//! there is no backup; a backup with a manifest is complete; the report contains the stage.

use anyhow::Result;
use domain::{
    reason::Reason,
    report::{BackupStage, Outcome},
};
use pgbackup_tests::{Signal, story};

#[test]
fn sigterm_at_any_stage_removes_the_unfinished_backup() -> Result<()> {
    at_each_stage("sigterm", Signal::Term)
}

#[test]
fn sigint_at_any_stage_removes_the_unfinished_backup() -> Result<()> {
    at_each_stage("sigint", Signal::Int)
}

#[test]
fn sigkill_at_any_stage_leaves_no_complete_backup() -> Result<()> {
    at_each_stage("sigkill", Signal::Kill)
}

fn at_each_stage(name: &str, signal: Signal) -> Result<()> {
    story(name, async |env| {
        let server = env.postgres(17).await?;
        server.database("shop", "").await?;
        // More data than a pipe and the runner's buffers hold, so that a dump can be stopped halfway.
        server.table("shop", "goods", 100_000).await?;
        let store = env.store().await?;
        let policy = env.policy("shop", |_| ()).await?;

        let mut complete = 0;
        for stage in BackupStage::all() {
            let name = format!("killed-at-{}", stage.as_str());
            let job = policy
                .start(&name, |run| {
                    run.stop_at(stage);
                })
                .await?;
            let pod = job.stopped_at(stage).await?;
            job.signal(&pod, signal).await?;
            let death = job.death().await?;

            assert_eq!(death.report.details.stage(), stage.into(), "{death:?}");
            if signal == Signal::Kill {
                assert_eq!(death.report.outcome, Outcome::Running, "{death:?}");
            } else {
                assert_eq!(death.report.reason, Some(Reason::Interrupted), "{death:?}");
                assert_eq!(Some(death.exit_code), Reason::Interrupted.exit_code().map(i32::from));
            }
            // The manifest exists in all stages after `manifest`.
            complete += usize::from(stage > BackupStage::Manifest);
            let backups = store.backups(&policy).await?;
            assert_eq!(backups.len(), complete, "killed at {}: {backups:?}", stage.as_str());
            for backup in &backups {
                store.check(backup).await?;
            }
            if signal != Signal::Kill {
                let folders = store.backup_folders(&policy).await?;
                assert_eq!(
                    folders.len(),
                    complete,
                    "killed at {}: it cleans up: {folders:?}",
                    stage.as_str()
                );
            }
            let failure = policy.failed(&name, Reason::Interrupted).await?;
            assert_eq!(failure.stage.as_deref(), Some(stage.as_str()), "{failure:?}");
            assert!(failure.message.contains(stage.as_str()), "{failure:?}");
        }

        policy.backup("afterwards").await?;
        let folders = store.backup_folders(&policy).await?;
        assert_eq!(folders.len(), complete + 1, "the next run removes what the dead ones left: {folders:?}");
        assert_eq!(store.backups(&policy).await?.len(), complete + 1);
        let leftovers = "SELECT count(*) = 0 FROM pg_stat_activity WHERE application_name LIKE 'pgbackup/%'";
        server.until("no session of a dead run stays", leftovers).await
    })
}
