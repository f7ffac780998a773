//! An upgraded operator finds CronJobs that an older version wrote.

use anyhow::{Context, Result};
use api::meta::{APPLIED_GENERATION, APPLIED_HASH, FIELD_MANAGER, RUNNER_CONTAINER};
use k8s_openapi::api::{
    batch::v1::CronJob,
    core::v1::{Container, EnvVar},
};
use kube::{Api, ResourceExt, api::PostParams};
use pgbackup_tests::{
    serial_story,
    wait::{self, DEADLINE},
};

#[test]
fn cron_job_of_an_older_operator_is_updated_once() -> Result<()> {
    serial_story("operator-upgrade", async |env, operator| {
        let policy = env.policy("shop", |_| ()).await?;
        policy.ready().await?;
        let now = policy.cron_job().await?;
        operator.scale(0).await?;
        let cron_jobs = env.api::<CronJob>();
        let older = as_an_older_version(&cron_jobs, &now).await?;
        assert_ne!(older.spec, now.spec);

        operator.scale(1).await?;
        wait::object(&cron_jobs, &now.name_any(), "it is as this version writes it", DEADLINE, |seen| {
            let seen = seen?;
            let annotation = |of: &CronJob| of.annotations().get(APPLIED_HASH).cloned();
            (seen.spec == now.spec && annotation(seen) == annotation(&now)).then_some(())
        })
        .await?;
        let corrected = cron_jobs.get(&now.name_any()).await?;
        assert_eq!(corrected.uid(), now.uid(), "corrected, not made anew");

        // After a change of the policy and a restart, the first correction is not repeated: each generation
        // is a write of the spec.
        policy.wait_until_observed().await?;
        operator.scale(0).await?;
        operator.scale(1).await?;
        policy.wait_until_observed().await?;
        let last = cron_jobs.get(&now.name_any()).await?;
        let written = |cron_job: &CronJob| cron_job.metadata.generation.context("a generation");
        assert_eq!(written(&last)? - written(&older)?, 3, "the correction, and two changes of the policy");
        assert_eq!(policy.jobs().await?, [] as [&str; 0], "no backup was asked for");
        assert_eq!(last.status.and_then(|status| status.last_schedule_time), None);
        Ok(())
    })
}

/// Replaces the CronJob with one that an older operator could have written: the runner has another flag and
/// one more environment variable, and the annotations record that the operator applied this CronJob.
async fn as_an_older_version(cron_jobs: &Api<CronJob>, now: &CronJob) -> Result<CronJob> {
    let mut older = cron_jobs.get(&now.name_any()).await?;
    let runner = runner(&mut older)?;
    let args = runner.args.as_mut().context("the runner has arguments")?;
    "--a-flag-of-before=1".clone_into(args.last_mut().context("the runner has arguments")?);
    let variable = EnvVar { name: "PGBACKUP_BEFORE".into(), value: Some("1".into()), value_from: None };
    runner.env.get_or_insert_default().push(variable);
    let generation = older.metadata.generation.context("a generation")? + 1;
    let annotations = older.annotations_mut();
    annotations.insert(APPLIED_HASH.to_owned(), "0123456789abcdef".to_owned());
    annotations.insert(APPLIED_GENERATION.to_owned(), generation.to_string());
    let manager = PostParams { field_manager: Some(FIELD_MANAGER.to_owned()), ..PostParams::default() };
    let older = cron_jobs.replace(&now.name_any(), &manager, &older).await?;
    assert_eq!(older.metadata.generation, Some(generation), "the older version tells the truth");
    Ok(older)
}

fn runner(cron_job: &mut CronJob) -> Result<&mut Container> {
    let job = cron_job.spec.job_template.spec.as_mut().context("a Job's spec")?;
    let pod = job.template.spec.as_mut().context("a pod's spec")?;
    let mut containers = pod.containers.iter_mut();
    containers.find(|container| container.name == RUNNER_CONTAINER).context("the runner's container")
}
