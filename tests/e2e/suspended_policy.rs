//! `suspend` stops the schedule, is shown in the status, and can be undone.

use anyhow::Result;
use api::status::{ConditionStatus, ConditionType};
use domain::reason::Reason;
use k8s_openapi::api::batch::v1::CronJob;
use pgbackup_tests::{
    Policy, story,
    wait::{self, DEADLINE},
};

#[test]
fn suspended_policy_starts_no_runs() -> Result<()> {
    story("suspended", async |env| {
        env.postgres(17).await?;
        let policy = env.policy("shop", |_| ()).await?;
        let good = policy.backup("before").await?;

        policy.edit(|spec| spec.suspend = true).await?;
        policy
            .condition_is(ConditionType::BackupHealthy, ConditionStatus::Unknown, Reason::Suspended)
            .await?;
        policy.ready().await?;
        cron_job_is_suspended(&env.api(), &policy, true).await?;
        let status = policy.status().await?;
        assert_eq!(status.next_schedule_time, None);
        assert_eq!(status.last_success.map(|last| last.job), Some(good.job));

        policy.edit(|spec| spec.suspend = false).await?;
        policy.condition_is(ConditionType::BackupHealthy, ConditionStatus::True, Reason::Verified).await?;
        cron_job_is_suspended(&env.api(), &policy, false).await?;
        assert!(policy.status().await?.next_schedule_time.is_some());
        Ok(())
    })
}

#[test]
fn requested_backup_of_suspended_policy_runs_on_resume() -> Result<()> {
    story("suspended-request", async |env| {
        env.postgres(17).await?;
        let policy = env.policy("shop", |spec| spec.suspend = true).await?;
        policy
            .condition_is(ConditionType::BackupHealthy, ConditionStatus::Unknown, Reason::Suspended)
            .await?;

        let job = policy.request("while-suspended").await?;
        policy.wait_until_observed().await?;
        assert!(policy.jobs().await?.is_empty(), "a suspended policy takes no backups");
        assert_eq!(policy.status().await?.last_handled_request, None, "the request is not forgotten");

        policy.edit(|spec| spec.suspend = false).await?;
        policy.succeeded(&job).await?;
        policy.wait_until_observed().await?;
        assert_eq!(policy.jobs().await?, [job.as_str()], "it was taken once");
        assert_eq!(policy.status().await?.last_handled_request.as_deref(), Some("while-suspended"));
        assert_eq!(env.store().await?.backups(&policy).await?.len(), 1);
        Ok(())
    })
}

async fn cron_job_is_suspended(
    cron_jobs: &kube::Api<CronJob>,
    policy: &Policy,
    suspended: bool,
) -> Result<()> {
    let what = format!("suspend is {suspended}");
    wait::object(cron_jobs, &policy.cron_job_name(), &what, DEADLINE, |seen| {
        (seen?.spec.suspend == Some(suspended)).then_some(())
    })
    .await
}
