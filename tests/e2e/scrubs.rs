//! Stored backups are read back on a schedule of their own, and the status shows the results.

use anyhow::{Context, Result};
use api::status::{ConditionStatus, ConditionType};
use api::{
    policy::Scrub,
    status::{RunResult, ScrubStatus},
};
use domain::{name, operation::Operation, reason::Reason};
use k8s_openapi::api::{batch::v1::CronJob, core::v1::Pod};
use kube::api::ListParams;
use pgbackup_tests::{
    env::NEW_YEAR,
    policy::Policy,
    story,
    wait::{self, DEADLINE},
};

/// Returns the settings of a scrub that reads all bytes and is never due during a test.
fn whole() -> Scrub {
    Scrub { schedule: NEW_YEAR.to_owned(), share: 100 }
}

async fn scrubbed(policy: &Policy, job: &str) -> Result<ScrubStatus> {
    policy
        .status_with(&format!("{job} is the last scrub"), DEADLINE, |status| {
            status.last_scrub.clone().filter(|scrub| scrub.run.job == job)
        })
        .await
}

#[test]
fn scrub_reports_corruption_until_next_backup() -> Result<()> {
    story("scrub", async |env| {
        let server = env.postgres(17).await?;
        server.database("shop", "").await?;
        server.table("shop", "goods", 1000).await?;
        let policy = env
            .policy("shop", |spec| {
                spec.postgres.databases.include = vec!["shop".to_owned()];
                spec.verification.scrub = Some(whole());
            })
            .await?;
        policy
            .condition_is(ConditionType::ScrubHealthy, ConditionStatus::Unknown, Reason::AwaitingFirstScrub)
            .await?;
        policy.backup("one").await?;
        let newest = policy.backup("two").await?.backup.context("a success should have a backup")?;

        env.kubectl(&["create", "job", "first", "--from=cronjob/shop-scrub"])?;
        let scrub = scrubbed(&policy, "first").await?;
        assert_eq!((scrub.run.result, scrub.passed), (RunResult::Succeeded, 2), "{}", scrub.run.message);
        policy.condition_is(ConditionType::ScrubHealthy, ConditionStatus::True, Reason::Verified).await?;

        // A scrub does not need the server, so its pod has no connection settings.
        let pods =
            env.api::<Pod>().list(&ListParams::default().labels("pgbackup.dev/operation=scrub")).await?;
        let pod = serde_json::to_string(&pods.items)?;
        assert!(pod.contains("PGBACKUP_JOB") && !pod.contains("PGPASSWORD"), "{pod}");

        let store = env.store().await?;
        let backups = store.backups(&policy).await?;
        let corrupted =
            backups.iter().find(|backup| backup.manifest.id == newest).context("the newest backup")?;
        store.flip_bit(&format!("{}/shop.dump", corrupted.path)).await?;
        env.kubectl(&["create", "job", "second", "--from=cronjob/shop-scrub"])?;
        let scrub = scrubbed(&policy, "second").await?;
        assert_eq!((scrub.run.result, scrub.passed), (RunResult::Failed, 1), "{}", scrub.run.message);
        assert_eq!(scrub.corrupted, [newest.as_str()]);
        let said = policy
            .condition_is(ConditionType::ScrubHealthy, ConditionStatus::False, Reason::BackupCorrupted)
            .await?;
        assert!(said.contains(&format!("{newest}: \"shop.dump\" is corrupted: checksum mismatch")), "{said}");
        let said = policy
            .condition_is(ConditionType::BackupHealthy, ConditionStatus::False, Reason::BackupCorrupted)
            .await?;
        assert!(
            said.starts_with("the newest backup is corrupted: ") && said.contains("request a new backup"),
            "{said}"
        );
        let retained = policy.status().await?.retained.context("what the store holds")?;
        assert_eq!((retained.backups, retained.verified), (2, 1));

        policy.backup("three").await?;
        policy.condition_is(ConditionType::BackupHealthy, ConditionStatus::True, Reason::Verified).await?;

        policy.edit(|spec| spec.verification.scrub = None).await?;
        let cron_jobs = env.api::<CronJob>();
        let gone = name::cron_job(&policy.name, Operation::Scrub);
        wait::object(&cron_jobs, &gone, "the CronJob of scrubs is gone", DEADLINE, |found| {
            found.is_none().then_some(())
        })
        .await?;
        policy
            .status_with("nothing is said of scrubs", DEADLINE, |status| {
                (status.condition(ConditionType::ScrubHealthy).is_none() && status.scrub_schedule.is_none())
                    .then_some(())
            })
            .await?;
        policy.cron_job().await.map(drop)
    })
}

#[test]
fn scrub_runs_on_its_schedule() -> Result<()> {
    story("scrub-schedule", async |env| {
        let policy = env
            .policy("shop", |spec| {
                spec.verification.scrub = Some(Scrub { schedule: "* * * * *".to_owned(), share: 100 });
            })
            .await?;
        let scrub =
            policy.status_with("a scrub ran", 2 * DEADLINE, |status| status.last_scrub.clone()).await?;
        assert_eq!(scrub.run.result, RunResult::Succeeded, "{}", scrub.run.message);
        assert_eq!(scrub.run.message, "no backups to scrub yet");
        assert!(scrub.run.scheduled_time.is_some() && scrub.run.job.starts_with("shop-scrub-"), "{scrub:?}");
        let status = policy.status().await?;
        assert!(status.history.is_empty() && status.last_run.is_none(), "a scrub is no backup: {status:?}");
        Ok(())
    })
}
