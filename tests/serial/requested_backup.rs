//! A token in the annotation starts one backup, whatever happens to the operator.

use anyhow::Result;
use domain::name;
use pgbackup_tests::serial_story;

#[test]
fn requested_backup_runs_exactly_once() -> Result<()> {
    serial_story("requested-backup", async |env, operator| {
        env.postgres(17).await?;
        let policy = env.policy("shop", |_| ()).await?;
        policy.ready().await?;

        policy.request("").await?;
        policy.wait_until_observed().await?;
        assert!(policy.jobs().await?.is_empty(), "an empty token asks for nothing");

        let first = policy.request("first").await?;
        operator.restart().await?;
        policy.succeeded(&first).await?;
        assert_eq!(policy.status().await?.last_handled_request.as_deref(), Some("first"));

        policy.request("").await?;
        policy.wait_until_observed().await?;
        policy.request("first").await?;
        operator.restart().await?;
        policy.wait_until_observed().await?;
        assert_eq!(policy.jobs().await?, [first.as_str()], "a token that was handled asks for nothing");

        let second = policy.request("second").await?;
        policy.succeeded(&second).await?;
        let mut jobs = policy.jobs().await?;
        jobs.sort_unstable();
        let mut both = vec![name::requested_job("shop", "first"), name::requested_job("shop", "second")];
        both.sort_unstable();
        assert_eq!(jobs, both);
        let history = policy.status().await?.history;
        assert_eq!(history.len(), 2, "{history:?}");
        assert_eq!(env.store().await?.backups(&policy).await?.len(), 2);
        Ok(())
    })
}
