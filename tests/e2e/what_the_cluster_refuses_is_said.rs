//! What the API server refuses for good is in the status in its own words, and is tried again by itself.

use anyhow::Result;
use domain::reason::Reason;
use k8s_openapi::api::core::v1::ResourceQuota;
use kube::api::DeleteParams;
use pgbackup_tests::story;

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
fn a_refused_job_is_said_and_tried_again() -> Result<()> {
    story("refused-job", async |env| {
        env.postgres(17).await?;
        let policy = env.policy("shop", |_| ()).await?;
        policy.ready().await?;
        env.create(&QUOTA.replace("KIND", "jobs")).await?;

        let job = policy.request("now").await?;
        let message = policy.condition_is("BackupHealthy", "False", Reason::Refused).await?;
        assert!(message.contains("no-room") && message.contains("count/jobs.batch"), "{message}");

        env.api::<ResourceQuota>().delete("no-room", &DeleteParams::default()).await?;
        policy.succeeded(&job).await?;
        policy.condition_is("BackupHealthy", "True", Reason::Verified).await.map(drop)
    })
}

#[test]
fn a_refused_cron_job_is_said_and_tried_again() -> Result<()> {
    story("refused-cron", async |env| {
        env.create(&QUOTA.replace("KIND", "cronjobs")).await?;
        let policy = env.policy("shop", |_| ()).await?;
        let message = policy.condition_is("Ready", "False", Reason::Refused).await?;
        assert!(message.contains("no-room") && message.contains("count/cronjobs.batch"), "{message}");

        env.api::<ResourceQuota>().delete("no-room", &DeleteParams::default()).await?;
        policy.ready().await
    })
}
