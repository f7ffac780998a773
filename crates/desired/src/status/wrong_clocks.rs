//! Corrects times from wrong clocks. A time is plausible if it is not before its Job's creation, and at most
//! an hour ([`SKEW`]) after the Job's end, or after `now` while the Job is active. An implausible time is
//! replaced by the control plane's time of the same event. Otherwise a run that reports a time in the next
//! year would remain the newest run for a year.

use api::{
    BackupPolicyStatus,
    status::{RunResult, RunStatus, time},
};
use domain::{
    catalog::SKEW,
    report::{BackupDetails, Details, RunRecord, RunReport},
};
use jiff::{SignedDuration, Timestamp};
use k8s_openapi::apimachinery::pkg::apis::meta::v1::Time;

use super::{fields, record, text::minute};
use crate::observed::{Observed, ObservedRun};

/// Returns the observation with plausible times. Also returns the first time at which a replaced time becomes
/// plausible because its Job is still active.
pub fn correct(mut observed: Observed, now: Timestamp) -> (Observed, Option<Timestamp>) {
    let changes_at = observed.runs_mut().filter_map(|run| correct_run(run, now)).min();
    (observed, changes_at)
}

/// Replaces times of a status that the operator wrote while its own clock was ahead. Otherwise nothing would
/// be overdue until those times.
pub fn correct_marks(status: &mut BackupPolicyStatus, now: Timestamp) {
    let correct = |mark: &mut Time| {
        if !is_plausible(mark.0, now) {
            *mark = time(now);
        }
    };
    status.conditions.iter_mut().map(|condition| &mut condition.last_transition_time).for_each(correct);
    fields::since_mut(status).into_iter().filter_map(|(_, since)| since).for_each(correct);
}

/// Returns the slot for which the newest successful backup was made, and the backup's snapshot time. For a
/// backup that was not scheduled, the snapshot time replaces the slot. A backup with a time in the future
/// would count for all slots until then, so the newest plausible run is used instead.
pub fn served(status: &BackupPolicyStatus, now: Timestamp) -> Option<(Timestamp, Timestamp)> {
    let (slot, snapshot) = last_success(status)?;
    if is_plausible(snapshot.max(slot), now) {
        return Some((slot, snapshot));
    }
    let is_success =
        |run: &&RunStatus| run.result == RunResult::Succeeded && is_plausible(run.start_time.0, now);
    status.history.iter().find(is_success).map(|run| (run.start_time.0, run.start_time.0))
}

/// Returns the time at which the snapshot time of the newest successful backup becomes plausible; `None` if
/// it is plausible.
pub fn success_plausible_at(status: &BackupPolicyStatus, now: Timestamp) -> Option<Timestamp> {
    let (slot, snapshot) = last_success(status)?;
    let latest = snapshot.max(slot);
    latest.checked_sub(SKEW).ok().filter(|_| !is_plausible(latest, now))
}

/// Returns the slot and the snapshot time of the newest successful backup, even if they are not plausible.
fn last_success(status: &BackupPolicyStatus) -> Option<(Timestamp, Timestamp)> {
    let last = status.last_success.as_ref()?;
    let snapshot = last.snapshot_time.as_ref().or(last.start_time.as_ref())?.0;
    Some((last.scheduled_time.as_ref().map_or(snapshot, |slot| slot.0), snapshot))
}

fn is_plausible(at: Timestamp, now: Timestamp) -> bool {
    at <= latest_plausible(now)
}

fn latest_plausible(end: Timestamp) -> Timestamp {
    end.saturating_add(SKEW).unwrap_or(Timestamp::MAX)
}

/// Corrects the times in the report of a run. Returns the first time at which a replaced time becomes
/// plausible because the Job is still active.
fn correct_run(run: &mut ObservedRun, now: Timestamp) -> Option<Timestamp> {
    let report = run.report.as_mut()?;
    let latest = latest_plausible(run.ended.unwrap_or(now));
    let reported_start = report.start_time;
    correct_start(report, run.created, latest);
    let times = [Some(reported_start), report.completion_time, snapshot(report).copied()];
    let implausible = times.into_iter().flatten().filter(|at| *at > latest).min();
    let start = report.start_time;
    if report.completion_time.is_some_and(|end| end > latest || end < start) {
        report.completion_time = run.ended.filter(|ended| start <= *ended);
    }
    if let Some(snapshot) = snapshot(report).filter(|snapshot| **snapshot > latest) {
        let shown = minute(std::mem::replace(snapshot, start));
        let warning = "the database server's clock is ahead";
        report.warnings.push(format!("{warning}: it showed {shown}. Synchronize the clock."));
    }
    report.recent.retain_mut(|record| correct_record(record, latest));
    implausible.filter(|_| run.ended.is_none()).and_then(|at| at.checked_sub(SKEW).ok())
}

/// Returns a mutable reference to the recovery point of the backup that the run stored.
fn snapshot(report: &mut RunReport) -> Option<&mut Timestamp> {
    let Details::Backup(BackupDetails { backup: Some(backup), .. }) = &mut report.details else {
        return None;
    };
    Some(&mut backup.snapshot_time)
}

/// Replaces an implausible start by the Job's creation. Keeps the duration of the run, because it does not
/// depend on the clock's setting.
fn correct_start(report: &mut RunReport, created: Timestamp, latest: Timestamp) {
    let reported = report.start_time;
    if (created..=latest).contains(&reported) {
        return;
    }
    let error = reported.duration_since(created);
    report.start_time = created;
    report.completion_time = report.completion_time.and_then(|end| end.checked_sub(error).ok());
    if error.abs() > SKEW {
        let shown = minute(reported);
        report.warnings.push(format!(
            "the node's clock is wrong: it showed {shown} at the start of the run. Synchronize the clock."
        ));
    }
}

/// Corrects the record of an earlier run whose Job is deleted, with the slot in the Job's name as the control
/// plane's time. Returns `false` for a record with an implausible time and without a slot.
fn correct_record(record: &mut RunRecord, latest: Timestamp) -> bool {
    let slot = record::slot(record).filter(|slot| *slot <= latest);
    if record.start_time > latest || slot.is_some_and(|slot| record.start_time < slot) {
        let Some(slot) = slot else { return false };
        record.start_time = slot;
    }
    let duration = SignedDuration::try_from_secs_f64(record.duration_seconds).ok();
    let end = duration.and_then(|duration| record.start_time.checked_add(duration).ok());
    if end.is_none_or(|end| end > latest) {
        // Zero: the duration is unknown.
        record.duration_seconds = 0.0;
    }
    record.snapshot_time = record.snapshot_time.map(|at| if at > latest { record.start_time } else { at });
    true
}
