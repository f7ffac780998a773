//! The schedule starts a run, the backup is verified, and one line of `kubectl get` shows that.

use anyhow::{Context, Result};
use api::status::RunResult;
use api::status::{ConditionStatus, ConditionType, Verification};
use domain::reason::Reason;
use pgbackup_tests::{story, wait::DEADLINE};

#[test]
fn scheduled_backup_is_verified_and_shown_in_status() -> Result<()> {
    story("scheduled-run", async |env| {
        let server = env.postgres(17).await?;
        server.database("shop", "").await?;
        server.table("shop", "goods", 1000).await?;
        let policy = env
            .policy("shop", |spec| {
                spec.schedule = "* * * * *".to_owned();
                spec.time_zone = "Europe/Berlin".to_owned();
            })
            .await?;

        let success = policy
            .status_with("a scheduled run is verified", DEADLINE, |status| status.last_success.clone())
            .await?;
        policy.condition_is(ConditionType::BackupHealthy, ConditionStatus::True, Reason::Verified).await?;
        let table = env.kubectl(&["get", "backuppolicies"])?;
        let status = policy.status().await?;

        assert_eq!(success.result, RunResult::Succeeded);
        assert!(success.scheduled_time.is_some(), "a run of the schedule has a slot: {success:?}");
        assert_eq!(success.verification, Some(Verification::Verified));
        assert_eq!(status.history.last().map(|run| run.trigger.as_str()), Some("Schedule"));
        assert!(status.server_version.is_some_and(|version| version.starts_with("17")));
        assert!(status.conditions.iter().all(|condition| condition.observed_generation == Some(1)));

        let shown = |column| cell(&table, column).with_context(|| format!("{column} in\n{table}"));
        assert_eq!(shown("SCHEDULE")?, "* * * * *", "{table}");
        assert_eq!(shown("READY")?, "True", "{table}");
        assert_eq!(shown("BACKUP")?, "Verified", "{table}");
        assert!(shown("SIZE")?.ends_with("iB"), "{table}");
        assert!(shown("BACKUPS")?.parse::<u32>()? >= 1, "{table}");
        assert!(shown("RECOVERY-POINT")?.ends_with('s'), "{table}");
        let next: jiff::Timestamp = shown("NEXT")?.parse()?;
        assert!(next > success.scheduled_time.context("checked above")?.0, "{table}");

        let store = env.store().await?;
        for backup in store.backups(&policy).await? {
            store.check(&backup).await?;
            assert_eq!(backup.rows("shop", "goods")?, 1000);
        }
        Ok(())
    })
}

#[test]
fn new_policy_awaits_its_first_backup() -> Result<()> {
    story("first-backup", async |env| {
        let policy = env.policy("shop", |spec| spec.schedule = "H 4 1 1 *".into()).await?;
        policy.ready().await?;
        policy
            .condition_is(ConditionType::BackupHealthy, ConditionStatus::Unknown, Reason::AwaitingFirstBackup)
            .await?;
        let status = policy.status().await?;
        let effective = status.effective_schedule.clone().context("an effective schedule")?;
        assert!(!effective.contains('H') && effective.ends_with(" 4 1 1 *"), "{effective}");
        assert_eq!(policy.cron_job().await?.spec.schedule, effective);
        assert!(status.next_schedule_time.is_some());
        let stalled = status.condition(ConditionType::Stalled);
        assert!(stalled.is_none_or(|stalled| stalled.status == "False"), "{stalled:?}");
        Ok(())
    })
}

/// Returns the text of the first row below a heading.
fn cell<'a>(table: &'a str, heading: &str) -> Option<&'a str> {
    let mut lines = table.lines();
    let (headings, row) = (lines.next()?, lines.next()?);
    let start = headings.find(heading)?;
    let rest = &headings[start + heading.len()..];
    let width = heading.len() + rest.len() - rest.trim_start().len();
    let end = if rest.trim().is_empty() { row.len() } else { start + width };
    Some(row.get(start..end.min(row.len()))?.trim())
}
