//! The next scheduled time in the status is the time at which the CronJob controller starts a Job.
//! `tests/cron` compares thousands of schedules with the controller's library; this test compares a few with
//! the controller itself.

use anyhow::{Result, ensure};
use jiff::Timestamp;
use k8s_openapi::api::batch::v1::Job;
use kube::api::ListParams;
use pgbackup_tests::{
    Env, story,
    wait::{self, DEADLINE},
};

/// The annotation in which the controller writes the scheduled time of a Job.
const SLOT: &str = "batch.kubernetes.io/cronjob-scheduled-timestamp";

#[test]
fn next_schedule_time_matches_the_cron_job_controller() -> Result<()> {
    story("next-run", async |env| {
        // The results of the runs do not matter, but each run must end before the next one is due.
        let policy = env
            .policy("shop", |spec| {
                spec.schedule = "* * * * *".to_owned();
                spec.time_zone = "Asia/Kathmandu".to_owned();
                spec.postgres.connection.host = Some("nobody".to_owned());
                spec.job.backoff_limit = 0;
            })
            .await?;
        let mut last = slot_after(&env, Timestamp::UNIX_EPOCH).await?;
        for _ in 0..2 {
            let said = policy
                .status_with("the run after that", DEADLINE, |status| {
                    status.next_schedule_time.as_ref().map(|time| time.0).filter(|next| *next > last)
                })
                .await?;
            let came = slot_after(&env, last).await?;
            ensure!(came == said, "the status said {said}, and the controller's slot is {came}");
            last = came;
        }
        Ok(())
    })
}

/// Waits for the first Job after the slot `last`, and returns its slot.
async fn slot_after(env: &Env, last: Timestamp) -> Result<Timestamp> {
    wait::until(&format!("a Job for a slot after {last}"), DEADLINE, async || {
        let jobs = env.api::<Job>().list(&ListParams::default()).await?;
        let slots = jobs.iter().filter_map(|job| job.metadata.annotations.as_ref()?.get(SLOT));
        let slots = slots.map(|slot| slot.parse()).collect::<Result<Vec<Timestamp>, _>>()?;
        Ok(slots.into_iter().filter(|slot| *slot > last).min())
    })
    .await
}
