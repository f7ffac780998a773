//! Backups run without the operator. It learns about runs that it did not observe from the next run's report.

use anyhow::{Context, Result, ensure};
use api::status::{ConditionStatus, ConditionType};
use api::status::{RunResult, RunStatus};
use domain::reason::Reason;
use k8s_openapi::api::{batch::v1::Job, core::v1::Pod};
use kube::api::{DeleteParams, ListParams, PropagationPolicy};
use pgbackup_tests::{
    Env, Policy, serial_story,
    wait::{self, DEADLINE},
};

#[test]
fn runs_during_operator_downtime_appear_in_status() -> Result<()> {
    serial_story("operator-down", async |env, operator| {
        env.postgres(17).await?;
        let policy = env.policy("shop", |_| ()).await?;
        policy.ready().await?;

        operator.scale(0).await?;
        let good = policy.start("good", |_| ()).await?.death().await?;
        let bad = policy.start("bad", |run| {
            run.once().env("PGHOST", "no-such-server");
        });
        let bad = bad.await?.death().await?;
        policy.start("newest", |_| ()).await?.death().await?;
        for job in ["good", "bad"] {
            delete(&env, job).await?;
        }
        operator.scale(1).await?;

        let newest = policy.succeeded("newest").await?;
        let status = policy.status().await?;
        let jobs: Vec<&str> = status.history.iter().map(|run| run.job.as_str()).collect();
        assert_eq!(jobs, ["newest", "bad", "good"], "newest first");
        let run = known(&status.history, "good")?;
        assert_eq!((run.result, run.reason.as_str()), (RunResult::Succeeded, Reason::Verified.as_str()));
        assert_eq!(run.size_bytes, good.report.backup().map(|backup| backup.size_bytes));
        let run = known(&status.history, "bad")?;
        assert_eq!((run.result, run.reason.as_str()), (RunResult::Failed, Reason::NameNotResolved.as_str()));
        assert_eq!(bad.report.reason, Some(Reason::NameNotResolved));
        let failure = status.last_failure.context("the failure that nobody saw")?;
        assert_eq!(
            (failure.job.as_str(), failure.reason.as_str()),
            ("bad", Reason::NameNotResolved.as_str())
        );
        assert_eq!(status.last_run.map(|last| last.job), Some(newest.job));
        policy.condition_is(ConditionType::BackupHealthy, ConditionStatus::True, Reason::Verified).await?;
        Ok(())
    })
}

#[test]
fn run_whose_job_was_deleted_is_recovered_by_the_next_run() -> Result<()> {
    serial_story("job-deleted", async |env, operator| {
        let server = env.postgres(17).await?;
        server.table("postgres", "goods", 100).await?;
        let policy = env.policy("shop", |_| ()).await?;
        let mut lock = server.session("postgres").await?;
        lock.run("BEGIN; LOCK TABLE goods IN ACCESS EXCLUSIVE MODE;").await?;
        let job = policy.start("vanished", |_| ()).await?;
        server.until_a_backup_waits_for_a_lock().await?;
        is_shown_running(&policy, "vanished").await?;

        operator.scale(0).await?;
        lock.run("ROLLBACK;").await?;
        let death = job.death().await?;
        assert_eq!(death.exit_code, 0, "{death:?}");
        delete(&env, "vanished").await?;
        operator.scale(1).await?;

        let run = policy.ended("vanished").await?;
        assert_eq!((run.result, run.reason.as_str()), (RunResult::Unknown, Reason::ReportLost.as_str()));

        policy.backup("next").await?;
        let history = policy.status().await?.history;
        let run = known(&history, "vanished")?;
        assert_eq!((run.result, run.reason.as_str()), (RunResult::Succeeded, Reason::Verified.as_str()));
        assert_eq!(history.len(), 2, "{history:?}");
        Ok(())
    })
}

async fn is_shown_running(policy: &Policy, job: &str) -> Result<()> {
    policy
        .status_with(&format!("{job} is running"), DEADLINE, |status| {
            let last = status.last_run.as_ref()?;
            (last.job == job && last.result == RunResult::Running).then_some(())
        })
        .await
}

fn known<'a>(history: &'a [RunStatus], job: &str) -> Result<&'a RunStatus> {
    let found = history.iter().find(|run| run.job == job);
    found.with_context(|| format!("{job} is not in {history:?}"))
}

/// Deletes a Job and waits until its pods are deleted too.
async fn delete(env: &Env, job: &str) -> Result<()> {
    let with_pods =
        DeleteParams { propagation_policy: Some(PropagationPolicy::Foreground), ..DeleteParams::default() };
    let jobs = env.api::<Job>();
    jobs.delete(job, &with_pods).await?;
    wait::object(&jobs, job, "it is gone", DEADLINE, |job| job.is_none().then_some(())).await?;
    let selector = format!("{}={job}", api::meta::JOB_NAME_LABEL);
    let pods = env.api::<Pod>().list_metadata(&ListParams::default().labels(&selector)).await?;
    ensure!(pods.items.is_empty(), "the pods of {job} should be gone with it");
    Ok(())
}
