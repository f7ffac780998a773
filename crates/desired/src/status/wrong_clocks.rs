//! Wrong clocks. A time is plausible if it lies between the Job's creation and the Job's end, or now, and at most an hour
//! (`SKEW`) later. An implausible time is replaced by the control plane's: otherwise a run of next year would be the newest
//! one for a year.

use api::{BackupPolicyStatus, status::time};
use domain::{
    catalog::SKEW,
    report::{BackupDetails, Details, RunRecord},
};
use jiff::{SignedDuration, Timestamp};

use super::{record, text::minute};
use crate::observed::{Observed, ObservedRun};

/// The same, with times that can be. And when the first of the others will be believed: as long as a Job has not ended, what
/// is to come of it is a matter of `now`.
pub fn correct_implausible(mut observed: Observed, now: Timestamp) -> (Observed, Option<Timestamp>) {
    let changes_at = observed.runs_mut().filter_map(|run| correct(run, now)).min();
    (observed, changes_at)
}

/// Whether this can have been by `now`, but for what clocks may be apart.
pub fn is_plausible(at: Timestamp, now: Timestamp) -> bool {
    at <= now.saturating_add(SKEW).unwrap_or(Timestamp::MAX)
}

/// From when on it can, if not yet.
pub fn plausible_at(at: Timestamp, now: Timestamp) -> Option<Timestamp> {
    at.checked_sub(SKEW).ok().filter(|_| !is_plausible(at, now))
}

/// Sets back to `now` since when things are so in a status, where the operator's clock was ahead when it wrote that: nothing
/// would be overdue until then.
pub fn correct_marks(status: &mut BackupPolicyStatus, now: Timestamp) {
    let conditions = status.conditions.iter_mut().map(|condition| &mut condition.last_transition_time);
    let scrubs = status.scrub_schedule.as_mut().and_then(|scrubs| scrubs.schedule_since.as_mut());
    for mark in conditions.chain(status.schedule_since.as_mut()).chain(scrubs) {
        if !is_plausible(mark.0, now) {
            *mark = time(now);
        }
    }
}

/// Nothing begins before its Job is made, and nothing is later than the Job's end, but for what clocks may be apart.
fn correct(run: &mut ObservedRun, now: Timestamp) -> Option<Timestamp> {
    let report = run.report.as_mut()?;
    let latest = run.ended.unwrap_or(now).saturating_add(SKEW).unwrap_or(Timestamp::MAX);
    let mut doubted = Vec::new();
    let mut is_plausible = |at: Timestamp| {
        if at > latest {
            doubted.push(at);
        }
        at <= latest
    };
    let told = report.start_time;
    if !is_plausible(told) || told < run.created {
        let off = told.duration_since(run.created);
        report.start_time = run.created;
        // It took as long as it says.
        report.completion_time = report.completion_time.and_then(|end| end.checked_sub(off).ok());
        if off.abs() > SKEW {
            let said = minute(told);
            report.warnings.push(format!(
                "the node's clock is wrong: it was {said} at the start of the run. Synchronize the clock."
            ));
        }
    }
    let start = report.start_time;
    if let Some(end) = report.completion_time
        && !(is_plausible(end) && start <= end)
    {
        report.completion_time = run.ended.filter(|ended| start <= *ended);
    }
    if let Details::Backup(BackupDetails { backup: Some(backup), .. }) = &mut report.details
        && !is_plausible(backup.snapshot_time)
    {
        let said = minute(backup.snapshot_time);
        report
            .warnings
            .push(format!("the database server's clock is ahead: it was {said}. Synchronize the clock."));
        backup.snapshot_time = start;
    }
    report.recent.retain_mut(|record| correct_record(record, latest));
    if run.ended.is_some() {
        return None;
    }
    doubted.into_iter().filter_map(|at| at.checked_sub(SKEW).ok()).min()
}

/// The same for what a report tells of an earlier run. Its Job is gone, and its slot stands in its name; one that has none, and
/// of which nobody knows when it was, is left out.
fn correct_record(record: &mut RunRecord, latest: Timestamp) -> bool {
    let slot = record::slot(record).filter(|slot| *slot <= latest);
    if record.start_time > latest || slot.is_some_and(|slot| record.start_time < slot) {
        let Some(slot) = slot else { return false };
        record.start_time = slot;
    }
    let took = SignedDuration::try_from_secs_f64(record.duration_seconds).ok();
    let end = took.and_then(|took| record.start_time.checked_add(took).ok());
    if end.is_none_or(|end| end > latest) {
        // Nobody knows how long it took.
        record.duration_seconds = 0.0;
    }
    record.snapshot_time = record.snapshot_time.map(|at| if at > latest { record.start_time } else { at });
    true
}
