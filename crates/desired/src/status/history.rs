//! The newest ended backup runs, from the observation, from the previous status, and from the records in
//! reports.

use api::{
    BackupPolicyStatus,
    status::{BackupStatus, FailureStatus, HISTORY_LIMIT, RunResult, RunStatus, Trigger},
};
use domain::{reason::Reason, report::RunReport};
use jiff::Timestamp;

use super::{record, run_result::AssessedRun};
use crate::observed::ObservedRun;

/// Returns the history, newest first. An observed run replaces the same run of the previous status, which in
/// turn replaces a record in the reports `news`. Every such run replaces one whose report was lost. Records
/// from before `created` belong to another policy that used the same repository, and are ignored.
pub fn history(
    previous: &BackupPolicyStatus,
    runs: &[AssessedRun<'_>],
    news: &[&RunReport],
    vanished: Option<&BackupStatus>,
    created: Timestamp,
) -> Vec<RunStatus> {
    let records = news.iter().flat_map(|report| &report.recent).filter(|record| record.start_time >= created);
    // A failed attempt is no failed run while its Job can retry.
    let is_running =
        |job: &str| runs.iter().any(|run| run.observed.job == job && run.result == RunResult::Running);
    let recorded = records.filter(|record| !is_running(&record.job)).map(record::from_record);
    let all = runs
        .iter()
        .rev()
        .filter_map(record::from_assessed)
        .chain(previous.history.iter().filter(|known| !runs_again(known, runs)).cloned())
        .chain(vanished.map(lost))
        .chain(recorded);
    let mut history: Vec<RunStatus> = Vec::new();
    for run in all {
        match history.iter_mut().find(|known| known.job == run.job) {
            // The start stays the later one: it decides which reports of other runs are out of date.
            Some(known) if is_lost_report_of(known, &run) => {
                let start_time = known.start_time.clone().max(run.start_time.clone());
                *known = RunStatus { start_time, ..run };
            }
            Some(_) => {}
            None => history.push(run),
        }
    }
    history.sort_by(|a, b| (b.start_time.0, &b.job).cmp(&(a.start_time.0, &a.job)));
    history.truncate(HISTORY_LIMIT);
    history
}

/// Returns the reports of runs whose end is new. The records in other reports are already in the status, or
/// have left its history. Such a record would enter the history again if its start differs from that in the
/// status, for example because it is the start of another attempt.
pub fn news<'a>(previous: &BackupPolicyStatus, runs: &[AssessedRun<'a>]) -> Vec<&'a RunReport> {
    let is_known = |run: &&AssessedRun<'_>| {
        let is_this = |known: &RunStatus| {
            (&known.job, known.result, known.start_time.0) == (&run.observed.job, run.result, run.start)
        };
        previous.history.iter().any(is_this)
    };
    let ended = runs.iter().filter(|run| run.result != RunResult::Running);
    ended.filter(|run| !is_known(run)).filter_map(AssessedRun::final_report).collect()
}

/// Returns whether `lost` is the run `run` as it was recorded when its report was lost.
fn is_lost_report_of(lost: &RunStatus, run: &RunStatus) -> bool {
    lost.result == RunResult::Unknown
        && run.result != RunResult::Unknown
        && is_of_job_at(run, lost.start_time.0)
}

/// Returns whether a run belongs to the Job that existed at `moment`. A run that started earlier belongs to
/// an earlier Job of the same name, unless the start is a slot: each slot has one Job, and the start is the
/// slot if the node's clock was wrong.
fn is_of_job_at(run: &RunStatus, moment: Timestamp) -> bool {
    run.start_time.0 >= moment || run.trigger == Trigger::Schedule
}

/// Returns whether a run whose report counts as lost is running again.
fn runs_again(known: &RunStatus, runs: &[AssessedRun<'_>]) -> bool {
    known.result == RunResult::Unknown
        && runs.iter().any(|run| run.observed.job == known.job && run.result == RunResult::Running)
}

/// Returns the last run of the previous status if it was running and its Job is no longer observed, because
/// the Job was deleted while the operator was down.
pub fn vanished<'a>(previous: &'a BackupPolicyStatus, observed: &[ObservedRun]) -> Option<&'a BackupStatus> {
    previous
        .last_run
        .as_ref()
        .filter(|last| last.result == RunResult::Running && observed.iter().all(|run| run.job != last.job))
}

fn lost(run: &BackupStatus) -> RunStatus {
    RunStatus {
        job: run.job.clone(),
        trigger: if run.scheduled_time.is_some() { Trigger::Schedule } else { Trigger::Manual },
        result: RunResult::Unknown,
        reason: Reason::ReportLost.into(),
        start_time: run.start_time.clone().unwrap_or_else(|| api::status::time(Timestamp::UNIX_EPOCH)),
        duration_seconds: None,
        size_bytes: None,
    }
}

/// Returns whether the previous status contains more about a run than the observation. A Job whose pods are
/// deleted has no report. A failed Job is kept for long, and its run can be the last failure after it has
/// left the history.
pub fn knows_more(previous: &BackupPolicyStatus, run: &AssessedRun<'_>) -> bool {
    let is_this = |known: &RunStatus| {
        known.job == run.observed.job && known.result != RunResult::Unknown && is_of_job_at(known, run.start)
    };
    // A failure has the time of its end, which matters only if the history has no start.
    let is_last_failure = |known: &FailureStatus| {
        known.job == run.observed.job
            && known.time.0 >= run.start
            && previous.history.iter().all(|other| other.job != known.job)
    };
    run.report.is_none()
        && (previous.history.iter().any(is_this)
            || previous.last_failure.as_ref().is_some_and(is_last_failure))
}

/// Returns the start of the newest run of the previous status that is no longer observed.
pub fn newest_unobserved(previous: &BackupPolicyStatus, observed: &[ObservedRun]) -> Option<Timestamp> {
    let unobserved = |known: &&RunStatus| observed.iter().all(|run| run.job != known.job);
    previous.history.iter().filter(unobserved).map(|known| known.start_time.0).max()
}
