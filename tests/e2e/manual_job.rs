//! A Job that a person creates from the CronJob is a normal backup run.

use anyhow::Result;
use api::status::Trigger;
use pgbackup_tests::story;

#[test]
fn job_from_kubectl_create_appears_in_status() -> Result<()> {
    story("manual-job", async |env| {
        env.postgres(17).await?;
        let policy = env.policy("shop", |_| ()).await?;
        policy.ready().await?;

        env.kubectl(&["create", "job", "before-the-upgrade", "--from=cronjob/shop-backup"])?;
        let success = policy.succeeded("before-the-upgrade").await?;

        assert_eq!(success.scheduled_time, None);
        let run = policy.ended("before-the-upgrade").await?;
        assert_eq!(run.trigger, Trigger::Manual);
        let store = env.store().await?;
        let backup = store.only_backup(&policy).await?;
        assert_eq!(success.backup.as_deref(), Some(backup.manifest.id.as_str()));
        assert_eq!(backup.manifest.run.job, "before-the-upgrade");
        Ok(())
    })
}
