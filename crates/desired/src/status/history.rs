//! The newest finished runs: those that are observed, those that were known, and those that reports tell of.

use api::{
    BackupPolicyStatus,
    status::{BackupStatus, FailureStatus, HISTORY_LIMIT, RunResult, RunStatus, Trigger},
};
use domain::{reason::Reason, report::RunReport};
use jiff::Timestamp;

use super::{record, run::AssessedRun};
use crate::observed::ObservedRun;

/// The history after `runs`, newest first. What is observed outranks what was known, what was known outranks what
/// another run's report tells (`news`), and anything outranks a lost report. What reports tell of the time before
/// `created` is of another policy that had the same folder.
pub fn history(
    previous: &BackupPolicyStatus,
    runs: &[AssessedRun<'_>],
    news: &[&RunReport],
    vanished: Option<&BackupStatus>,
    created: Timestamp,
) -> Vec<RunStatus> {
    let told = news.iter().flat_map(|report| &report.recent).filter(|record| record.start_time >= created);
    // A try that failed is no failure yet while its Job is at work.
    let at_work =
        |id: &str| runs.iter().any(|run| run.observed.job == id && run.result == RunResult::Running);
    let told = told.filter(|record| !at_work(&record.job)).map(record::from_record);
    let all = runs
        .iter()
        .rev()
        .filter_map(record::from_assessed)
        .chain(previous.history.iter().filter(|known| !runs_again(known, runs)).cloned())
        .chain(vanished.map(lost))
        .chain(told);
    let mut history: Vec<RunStatus> = Vec::new();
    for run in all {
        match history.iter_mut().find(|known| known.job == run.job) {
            // It does not become older by what is told of it: by its start it is known what of others is out of date.
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

/// The reports of runs whose end is new. What others tell of the runs before them is in the status already, or fell out
/// of its history; and as a record may have another start than the status (that of a try), it would come back.
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

/// Whether `lost` is the same run without its report.
fn is_lost_report_of(lost: &RunStatus, run: &RunStatus) -> bool {
    lost.result == RunResult::Unknown
        && run.result != RunResult::Unknown
        && is_of_job_made_by(run, lost.start_time.0)
}

/// Whether a run is of the Job that was there at a moment. An earlier start is another Job's of the same name, but for those
/// of slots: each has one Job, and if the node's clock was wrong, the slot is all that is known of the start.
fn is_of_job_made_by(run: &RunStatus, moment: Timestamp) -> bool {
    run.start_time.0 >= moment || run.trigger == Trigger::Schedule
}

/// It was given up too early: its Job is there, and runs.
fn runs_again(known: &RunStatus, runs: &[AssessedRun<'_>]) -> bool {
    known.result == RunResult::Unknown
        && runs.iter().any(|run| run.observed.job == known.job && run.result == RunResult::Running)
}

/// The run that the status says is running and whose Job is nowhere: it vanished while nobody watched.
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

/// Whether the status knows more of a run than is left to be seen: of a Job whose pods are gone only its end is. Failed
/// Jobs stay for long, and a failure may be the last one when its run has left the history.
pub fn knows_more(previous: &BackupPolicyStatus, run: &AssessedRun<'_>) -> bool {
    let is_this = |known: &RunStatus| {
        known.job == run.observed.job
            && known.result != RunResult::Unknown
            && is_of_job_made_by(known, run.start)
    };
    // Its time is its end: it only tells where the history does not any more.
    let is_last_failure = |known: &FailureStatus| {
        known.job == run.observed.job
            && known.time.0 >= run.start
            && previous.history.iter().all(|other| other.job != known.job)
    };
    run.report.is_none()
        && (previous.history.iter().any(is_this)
            || previous.last_failure.as_ref().is_some_and(is_last_failure))
}

/// The start of the newest run that the status knows and that is not seen any more. What an older run says of the
/// server and the store is out of date.
pub fn newest_unseen(previous: &BackupPolicyStatus, observed: &[ObservedRun]) -> Option<Timestamp> {
    let unseen = |known: &&RunStatus| observed.iter().all(|run| run.job != known.job);
    previous.history.iter().filter(unseen).map(|known| known.start_time.0).max()
}
