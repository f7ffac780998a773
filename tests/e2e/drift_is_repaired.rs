//! A CronJob that somebody edited or deleted becomes what the policy says again; one that belongs to somebody else is
//! left alone.

use anyhow::Result;
use domain::reason::Reason;
use k8s_openapi::api::batch::v1::CronJob;
use kube::{
    ResourceExt,
    api::{DeleteParams, Patch, PatchParams, PostParams},
};
use pgbackup_tests::{
    env::NEW_YEAR,
    story,
    wait::{self, DEADLINE},
};
use serde_json::json;

#[test]
fn an_edited_cron_job_is_repaired() -> Result<()> {
    story("drift", async |env| {
        let policy = env.policy("shop", |_| ()).await?;
        let before = policy.cron_job().await?;
        let cron_jobs = env.api::<CronJob>();
        let name = policy.cron_job_name();

        for edit in [
            json!({"spec": {"schedule": "* * * * *"}}),
            json!({"spec": {"suspend": true}}),
            json!({"spec": {"timeZone": "Europe/Berlin"}}),
            json!({"spec": {"concurrencyPolicy": "Replace"}}),
        ] {
            let edited = cron_jobs.patch(&name, &PatchParams::default(), &Patch::Merge(edit.clone())).await?;
            assert_ne!(edited.spec, before.spec, "{edit}");
            wait::object(&cron_jobs, &name, "it is as it was", DEADLINE, |seen| {
                (seen?.spec == before.spec).then_some(())
            })
            .await?;
        }

        cron_jobs.delete(&name, &DeleteParams::default()).await?;
        wait::object(&cron_jobs, &name, "it is there again", DEADLINE, |seen| {
            let seen = seen?;
            (seen.uid() != before.uid() && seen.spec == before.spec).then_some(())
        })
        .await
    })
}

#[test]
fn a_changed_policy_changes_its_cron_job() -> Result<()> {
    story("changed", async |env| {
        let policy = env.policy("shop", |_| ()).await?;
        assert_eq!(policy.cron_job().await?.spec.schedule, NEW_YEAR);
        policy.edit(|spec| spec.schedule = "5 5 1 1 *".into()).await?;
        wait::object(
            &env.api::<CronJob>(),
            &policy.cron_job_name(),
            "it has the new schedule",
            DEADLINE,
            |seen| (seen?.spec.schedule == "5 5 1 1 *").then_some(()),
        )
        .await?;
        let now = policy.status_with("the status speaks of it", DEADLINE, |status| {
            (status.observed_generation == Some(2)).then(|| status.effective_schedule.clone())
        });
        assert_eq!(now.await?.as_deref(), Some("5 5 1 1 *"));
        Ok(())
    })
}

#[test]
fn a_strangers_cron_job_is_not_adopted() -> Result<()> {
    story("name-taken", async |env| {
        let theirs: CronJob = serde_json::from_value(json!({
            "metadata": {"name": "shop-backup"},
            "spec": {"schedule": NEW_YEAR, "jobTemplate": {"spec": {"template": {"spec": {
                "restartPolicy": "Never",
                "containers": [{"name": "theirs", "image": "localhost/theirs"}],
            }}}}},
        }))?;
        let cron_jobs = env.api::<CronJob>();
        let before = cron_jobs.create(&PostParams::default(), &theirs).await?;

        let policy = env.policy("shop", |_| ()).await?;
        let message = policy.condition_is("Ready", "False", Reason::NameTaken).await?;
        assert!(message.contains("shop-backup"), "{message}");
        policy.condition_is("Stalled", "True", Reason::NameTaken).await?;
        policy.request("now").await?;
        policy.observed_now().await?;
        let after = cron_jobs.get("shop-backup").await?;
        assert_eq!(after.resource_version(), before.resource_version(), "nobody touched it");
        assert!(policy.jobs().await?.is_empty());

        cron_jobs.delete("shop-backup", &DeleteParams::default()).await?;
        policy.ready().await
    })
}
