//! Rejections by the API server are in the status with the API server's message, and are retried.

use anyhow::Result;
use api::status::{ConditionStatus, ConditionType};
use domain::reason::Reason;
use k8s_openapi::api::core::v1::ResourceQuota;
use kube::api::DeleteParams;
use pgbackup_tests::{
    Env, story,
    wait::{self, DEADLINE},
};

const QUOTA: &str = "
apiVersion: v1
kind: ResourceQuota
metadata:
  name: no-room
spec:
  hard:
    count/KIND.batch: \"0\"
";

#[test]
fn rejected_job_is_reported_and_retried() -> Result<()> {
    story("job-rejected", async |env| {
        env.postgres(17).await?;
        let policy = env.policy("shop", |_| ()).await?;
        policy.ready().await?;
        allow_no(&env, "job", &["--image=x"]).await?;

        let job = policy.request("now").await?;
        let message = policy
            .condition_is(ConditionType::BackupHealthy, ConditionStatus::False, Reason::Refused)
            .await?;
        assert!(message.contains("no-room") && message.contains("count/jobs.batch"), "{message}");

        env.api::<ResourceQuota>().delete("no-room", &DeleteParams::default()).await?;
        policy.succeeded(&job).await?;
        policy
            .condition_is(ConditionType::BackupHealthy, ConditionStatus::True, Reason::Verified)
            .await
            .map(drop)
    })
}

#[test]
fn rejected_cron_job_is_reported_and_retried() -> Result<()> {
    story("cronjob-rejected", async |env| {
        allow_no(&env, "cronjob", &["--image=x", "--schedule=0 0 1 1 *"]).await?;
        let policy = env.policy("shop", |_| ()).await?;
        let message =
            policy.condition_is(ConditionType::Ready, ConditionStatus::False, Reason::Refused).await?;
        assert!(message.contains("no-room") && message.contains("count/cronjobs.batch"), "{message}");

        env.api::<ResourceQuota>().delete("no-room", &DeleteParams::default()).await?;
        policy.ready().await
    })
}

/// Creates a quota of 0, and waits until the API server applies it.
async fn allow_no(env: &Env, kind: &str, options: &[&str]) -> Result<()> {
    env.create(&QUOTA.replace("KIND", &format!("{kind}s"))).await?;
    let dry = [&["create", kind, "x", "--dry-run=server"], options].concat();
    wait::until("the quota counts", DEADLINE, async || {
        Ok(env.kubectl(&dry).is_err_and(|error| error.to_string().contains("no-room")).then_some(()))
    })
    .await
}
