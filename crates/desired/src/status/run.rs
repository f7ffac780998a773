//! How one run ended, from its Job, its pod and its report.

use api::status::RunResult;
use domain::{
    name,
    reason::Reason,
    report::{Outcome, RunReport, Trigger},
};
use jiff::Timestamp;

use crate::observed::{ContainerExit, JobState, ObservedRun};

/// A run and the verdict on it.
#[derive(Clone, Debug)]
pub struct AssessedRun<'a> {
    /// What is seen of it.
    pub observed: &'a ObservedRun,
    /// Its report, provisional or final.
    pub report: Option<&'a RunReport>,
    /// What started it.
    pub trigger: Trigger,
    /// Its slot.
    pub slot: Option<Timestamp>,
    /// When it started, to the second: as its report says, if that can be, or else when its Job was made.
    pub start: Timestamp,
    /// How it ended, or that it has not.
    pub result: RunResult,
    /// What went wrong, or, while it still runs, what went wrong with its newest pod.
    pub failure: Option<Failure>,
}

/// What went wrong.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Failure {
    /// The reason word.
    pub reason: Reason,
    /// The same for a person.
    pub message: String,
}

impl AssessedRun<'_> {
    /// The reason word of a run that has ended.
    pub fn reason(&self) -> Reason {
        let stored = || self.report.and_then(RunReport::backup).map(|backup| backup.verification.reason());
        self.failure.as_ref().map(|failure| failure.reason).or_else(stored).unwrap_or(Reason::Verified)
    }
}

impl<'a> AssessedRun<'a> {
    /// Its report, if it is the last word.
    pub fn final_report(&self) -> Option<&'a RunReport> {
        self.report.filter(|report| report.outcome != Outcome::Running)
    }
}

/// Judges a run. A final report outranks what the kubelet says of the container: on cgroup v1 a container whose
/// child was killed for memory is called OOMKilled although the runner went on and said how it ended.
///
/// `cron_job` is the policy's: only its own Jobs are named after slots.
pub fn judge<'a>(observed: &'a ObservedRun, cron_job: &str) -> AssessedRun<'a> {
    // A Job that succeeded had a pod that did: another report is of one before it.
    let is_of_an_earlier_try =
        |report: &&RunReport| observed.state == JobState::Succeeded && report.outcome != Outcome::Succeeded;
    let report = observed.report.as_ref().filter(|report| !is_of_an_earlier_try(report));
    let slot = name::slot(cron_job, &observed.job);
    let (result, failure) = verdict(observed, report);
    AssessedRun {
        observed,
        report,
        trigger: if slot.is_some() { Trigger::Schedule } else { Trigger::Manual },
        slot,
        // To the second, as statuses have it: what is compared with a status must not know more than it.
        start: api::status::time(report.map_or(observed.created, |report| report.start_time)).0,
        result,
        failure,
    }
}

fn verdict(observed: &ObservedRun, report: Option<&RunReport>) -> (RunResult, Option<Failure>) {
    if report.is_some_and(|report| report.outcome == Outcome::Succeeded) {
        return (RunResult::Succeeded, None);
    }
    let failure = failure(observed, report);
    match (&observed.state, failure) {
        (JobState::Active, failure) => (RunResult::Running, failure),
        (JobState::Failed { .. } | JobState::Gone, Some(failure)) => (RunResult::Failed, Some(failure)),
        _ => (RunResult::Unknown, Some(lost())),
    }
}

/// What went wrong, and what to do about it.
fn failure(observed: &ObservedRun, report: Option<&RunReport>) -> Option<Failure> {
    let Failure { reason, message } = cause(observed, report)?;
    Some(Failure { reason, message: with_advice(reason, &message) })
}

/// What went wrong, from the best source that there is.
fn cause(observed: &ObservedRun, report: Option<&RunReport>) -> Option<Failure> {
    let past_deadline =
        matches!(&observed.state, JobState::Failed { reason } if reason == "DeadlineExceeded");
    let told_to_stop =
        past_deadline || observed.container.as_ref().is_some_and(ContainerExit::was_taken_away);
    let last_word = report.filter(|report| report.outcome == Outcome::Failed);
    // What an earlier try said is of less use than why the next one does not begin.
    if let (JobState::Active, Some(problem)) = (&observed.state, problem(observed)) {
        return Some(problem);
    }
    match last_word {
        // Why it was told to stop says more than that it was.
        Some(report) if !(told_to_stop && report.reason == Some(Reason::Interrupted)) => {
            let reason = report.reason.unwrap_or(Reason::InternalError);
            let text = report.message.text();
            let message = if text.is_empty() { meaning(reason) } else { text.to_owned() };
            Some(Failure { reason, message })
        }
        // Nothing but the deadline ended a pod that could not start.
        _ if past_deadline => problem(observed).or_else(|| Some(deadline(report))),
        _ => problem(observed).or_else(|| pod_failure(observed.container.as_ref()?, report)),
    }
}

/// A run of which nothing is left.
pub fn lost() -> Failure {
    let message =
        "its Job ended or vanished and left no report; the next one will tell whether it stored a backup";
    Failure { reason: Reason::ReportLost, message: message.to_owned() }
}

/// What a reason means, to stand within a sentence.
pub fn meaning(reason: Reason) -> String {
    within_a_sentence(reason.meaning())
}

/// The words of a failure, and in parentheses what a person can do: most words are those of PostgreSQL's tools or the
/// kubelet, which know nothing of policies.
pub fn with_advice(reason: Reason, words: &str) -> String {
    format!("{words} ({})", within_a_sentence(reason.advice()))
}

fn within_a_sentence(sentence: &str) -> String {
    let sentence = sentence.trim_end_matches('.');
    let mut letters = sentence.chars();
    letters.next().map_or_else(String::new, |first| format!("{}{}", first.to_lowercase(), letters.as_str()))
}

fn deadline(report: Option<&RunReport>) -> Failure {
    let message = format!("it was stopped at the Job's deadline{}", in_stage(report));
    Failure { reason: Reason::DeadlineExceeded, message }
}

fn in_stage(report: Option<&RunReport>) -> String {
    report.map_or_else(String::new, |report| format!(" in stage {}", report.details.stage().as_str()))
}

/// In which stage the pod was taken away, and the words of who did.
fn in_stage_by(report: Option<&RunReport>, container: &ContainerExit) -> String {
    let words = container.message.as_ref().map_or_else(String::new, |words| format!(": {words}"));
    format!("{}{words}", in_stage(report))
}

/// Why its pod cannot start.
fn problem(observed: &ObservedRun) -> Option<Failure> {
    let problem = observed.problem.as_ref()?;
    Some(Failure { reason: problem.reason, message: problem.message.clone() })
}

/// What the container's end says when the runner could not speak.
fn pod_failure(container: &ContainerExit, report: Option<&RunReport>) -> Option<Failure> {
    let (reason, message) = match container.reason.as_str() {
        _ if container.exit_code == 0 => return None,
        "OOMKilled" => (Reason::OutOfMemory, format!("the pod ran out of memory{}", in_stage(report))),
        "Evicted" => (Reason::Evicted, format!("the pod was evicted{}", in_stage_by(report, container))),
        "NodeLost" => {
            (Reason::NodeLost, format!("the pod's node was lost{}", in_stage_by(report, container)))
        }
        word if let Some(words) = &container.message => {
            (Reason::PodCannotStart, format!("the runner could not be started: {word}: {words}"))
        }
        _ if report.is_some() => (Reason::Interrupted, format!("the runner was killed{}", in_stage(report))),
        word => (
            Reason::PodFailed,
            format!("the pod ended without a report: {word}, exit code {}", container.exit_code),
        ),
    };
    Some(Failure { reason, message })
}
