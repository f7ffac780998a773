//! The status of a policy: from the previous one, the spec and what is observed now.
//!
//! An unchanged world gives an equal status, so nothing is written: transition times come from the previous
//! status, and facts that Jobs carried stay when the Jobs are gone.

mod condition;
mod health;
mod record;
mod run;

use api::{
    BackupPolicy, BackupPolicyStatus,
    status::{HISTORY_LIMIT, RetainedStatus, RunResult, RunStatus},
};
use domain::report::RunReport;
use jiff::Timestamp;

use self::{
    condition::Conditions,
    run::{Judged, judge},
};
use crate::{
    observed::Observed,
    size,
    validate::{Invalid, ValidPolicy},
};

/// A status, and when time alone would change it.
#[derive(Clone, Debug, PartialEq)]
pub struct StatusOutcome {
    /// The status.
    pub status: BackupPolicyStatus,
    /// The next moment at which it changes though nothing happens: a slot passes, a backup becomes overdue.
    pub next_change: Option<Timestamp>,
}

/// Computes the status at `now`.
pub fn status(
    policy: &BackupPolicy,
    valid: Result<&ValidPolicy, &Invalid>,
    observed: &Observed,
    now: Timestamp,
) -> StatusOutcome {
    let previous = policy.status.clone().unwrap_or_default();
    let judged = judged(observed);
    let mut status = facts(&previous, &judged);
    status.observed_generation = policy.metadata.generation;
    status.last_handled_request =
        observed.handled_request.clone().or_else(|| previous.last_handled_request.clone());

    let mut conditions = Conditions::new(&previous.conditions, policy.metadata.generation, now);
    condition::acceptance(&mut conditions, valid, &observed.cron_job);
    let mut next_change = None;
    if let Ok(valid) = valid {
        let next_slot = valid.schedule.after(&valid.zone, now).filter(|_| !valid.suspend);
        status.effective_schedule = Some(valid.schedule.effective().to_owned());
        status.next_schedule_time = next_slot.map(api::status::time);
        let health = health::health(valid, &previous, &status, &judged, now);
        conditions.set("BackupHealthy", health.status, health.reason, health.message);
        next_change = [next_slot, health.overdue_at].into_iter().flatten().min();
    } else {
        status.effective_schedule.clone_from(&previous.effective_schedule);
        // As before: a bad edit says nothing about the copies.
        conditions.keep("BackupHealthy");
    }
    condition::retention(&mut conditions, newest_report(&previous, &judged));
    status.conditions = conditions.finish();
    StatusOutcome { status, next_change }
}

/// The observed runs, oldest first.
fn judged(observed: &Observed) -> Vec<Judged<'_>> {
    let mut judged: Vec<Judged<'_>> = observed.runs.iter().map(judge).collect();
    judged.sort_by(|a, b| (a.start, &a.observed.job).cmp(&(b.start, &b.observed.job)));
    judged
}

/// Everything but the conditions: what was known, and what the runs add to it.
fn facts(previous: &BackupPolicyStatus, judged: &[Judged<'_>]) -> BackupPolicyStatus {
    let mut status = BackupPolicyStatus {
        server_version: previous.server_version.clone(),
        client_version: previous.client_version.clone(),
        last_backup: previous.last_backup.clone(),
        last_success: previous.last_success.clone(),
        last_failure: previous.last_failure.clone(),
        retained: previous.retained.clone(),
        history: history(previous, judged),
        ..BackupPolicyStatus::default()
    };
    for run in judged {
        record::remember(&mut status, run);
    }
    if let Some(report) = newest_report(previous, judged) {
        status.retained = retained(report).or(status.retained);
    }
    status
}

/// The newest finished runs: those that are observed, those that their reports tell of, and those that were
/// known. What is observed outranks what was known, and anything outranks a lost report.
fn history(previous: &BackupPolicyStatus, judged: &[Judged<'_>]) -> Vec<RunStatus> {
    let told =
        judged.iter().filter_map(|run| run.report).flat_map(|report| &report.recent).map(record::from_record);
    let mut history: Vec<RunStatus> = Vec::new();
    let all =
        judged.iter().filter_map(record::from_judged).chain(previous.history.iter().cloned()).chain(told);
    for run in all {
        match history.iter_mut().find(|known| known.id == run.id) {
            Some(known) if known.result == RunResult::Unknown && run.result != RunResult::Unknown => {
                *known = run;
            }
            Some(_) => {}
            None => history.push(run),
        }
    }
    history.sort_by(|a, b| (b.start_time.0, &b.id).cmp(&(a.start_time.0, &a.id)));
    history.truncate(HISTORY_LIMIT);
    history
}

/// The newest final report that is not older than what the status knows already.
fn newest_report<'a>(previous: &BackupPolicyStatus, judged: &[Judged<'a>]) -> Option<&'a RunReport> {
    let known =
        previous.last_backup.as_ref().and_then(|run| run.start_time.as_ref()).map(|time| time.0.as_second());
    let reports = judged.iter().filter_map(Judged::final_report);
    let newest = reports.max_by_key(|report| (report.start_time, report.retained.is_some()))?;
    (Some(newest.start_time.as_second()) >= known || newest.retained.is_some()).then_some(newest)
}

fn retained(report: &RunReport) -> Option<RetainedStatus> {
    let retained = report.retained.as_ref()?;
    let (kept, removed) =
        report.prune.as_ref().map_or_else(Default::default, |prune| (prune.kept.clone(), prune.removed));
    Some(RetainedStatus {
        sets: retained.sets,
        verified: retained.verified,
        size_bytes: retained.bytes,
        size: size::human(retained.bytes),
        oldest: retained.oldest.map(api::status::time),
        newest: retained.newest.map(api::status::time),
        kept,
        removed,
    })
}
