//! The result of a run, from its Job, its pod and its report.

use api::{
    BackupPolicyStatus,
    status::{RunResult, RunStatus},
};
use domain::{
    message::Message,
    name,
    operation::PerOperation,
    reason::Reason,
    report::{Outcome, RunReport, Trigger},
};
use jiff::Timestamp;

use super::{start_failure_hint::cause_hint, text::one_line};
use crate::observed::{ContainerExit, JobState, ObservedRun};

/// The runs of each operation, oldest first.
pub type Runs<'a> = PerOperation<Vec<AssessedRun<'a>>>;

/// An observed run and its result.
#[derive(Clone, Debug)]
pub struct AssessedRun<'a> {
    pub observed: &'a ObservedRun,
    /// The run's report, provisional or final.
    pub report: Option<&'a RunReport>,
    pub trigger: Trigger,
    /// The scheduled time in the Job's name; `None` if a person started the run.
    pub slot: Option<Timestamp>,
    /// The start in whole seconds, from the report, or else the creation of the Job.
    pub start: Timestamp,
    pub result: RunResult,
    /// The failure of the run. For an active run, the failure of its newest pod, which ended with an error or
    /// cannot start.
    pub failure: Option<Failure>,
}

/// The reason and the message of a failed run or attempt.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Failure {
    pub reason: Reason,
    pub message: Message,
}

impl Failure {
    /// Creates a failure with this message. If the message has no hint, adds the hint of the reason.
    fn new(reason: Reason, message: Message) -> Self {
        Self { reason, message: message.or_hint(reason.hint()) }
    }
}

impl AssessedRun<'_> {
    /// Returns the reason of an ended run.
    pub fn reason(&self) -> Reason {
        let stored = || self.report.and_then(RunReport::backup).map(|backup| backup.verification.reason());
        self.failure.as_ref().map(|failure| failure.reason).or_else(stored).unwrap_or(Reason::Verified)
    }
}

impl<'a> AssessedRun<'a> {
    /// Returns the report if it is final; `None` if it is provisional or missing.
    pub fn final_report(&self) -> Option<&'a RunReport> {
        self.report.filter(|report| report.outcome != Outcome::Running)
    }
}

/// Determines the result of a run. A final report takes precedence over the kubelet's reason for the
/// container's end: on cgroup v1 the kubelet reports OOMKilled for a container in which only a child process
/// was killed, although the runner continued and reported its outcome.
///
/// `cron_job` is the name of the operation's CronJob. Only Jobs of this CronJob have a slot in their names.
pub fn assess_run<'a>(observed: &'a ObservedRun, cron_job: &str) -> AssessedRun<'a> {
    // A successful Job had a successful attempt, so a report of a failure is of an earlier attempt.
    let is_of_earlier_attempt =
        |report: &&RunReport| observed.state == JobState::Succeeded && report.outcome != Outcome::Succeeded;
    let report = observed.report.as_ref().filter(|report| !is_of_earlier_attempt(report));
    let slot = name::slot(cron_job, &observed.job);
    let (result, failure) = verdict(observed, report);
    AssessedRun {
        observed,
        report,
        trigger: if slot.is_some() { Trigger::Schedule } else { Trigger::Manual },
        slot,
        // In whole seconds, because it is compared with times in a status.
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

/// Returns the failure of a run, or of the newest attempt of an active run, from the most reliable source.
fn failure(observed: &ObservedRun, report: Option<&RunReport>) -> Option<Failure> {
    let past_deadline =
        matches!(&observed.state, JobState::Failed { reason } if reason == "DeadlineExceeded");
    let interrupted = past_deadline || observed.container.as_ref().is_some_and(ContainerExit::was_taken_away);
    // Why the next attempt cannot start matters more than why the last one failed.
    if let (JobState::Active, Some(obstacle)) = (&observed.state, obstacle(observed)) {
        return Some(obstacle);
    }
    match report.filter(|report| report.outcome == Outcome::Failed) {
        // The cause of an interruption matters more than the interruption.
        Some(report) if !(interrupted && report.reason == Some(Reason::Interrupted)) => {
            Some(reported(report))
        }
        // Nothing but the deadline ended a pod that could not start.
        _ if past_deadline => obstacle(observed).or_else(|| Some(deadline(report))),
        _ => obstacle(observed).or_else(|| pod_failure(observed.container.as_ref()?, report)),
    }
}

/// Returns the failure of a run without a report.
pub fn lost() -> Failure {
    let message = Message::new("the Job ended or was deleted without a report, so the result is unknown");
    Failure::new(Reason::ReportLost, message)
}

/// Returns the reason and the message if the newest pod of an active run cannot start.
pub fn cannot_start(run: &AssessedRun<'_>) -> Option<(Reason, Message)> {
    let Failure { reason, message } = run.failure.as_ref().filter(|_| run.observed.problem.is_some())?;
    let text = format!("{} cannot start: {}", run.observed.job, message.text());
    Some((*reason, Message::new(text).or_hint(message.what_to_do())))
}

/// Returns a text about the failure of a run in the history: the run's own message if the status still
/// contains it, or the meaning of its reason.
pub fn why(run: &RunStatus, status: &BackupPolicyStatus) -> String {
    let failure = status.last_failure.as_ref().filter(|failure| failure.job == run.job);
    match failure {
        Some(failure) if run.result == RunResult::Failed => failure.message.clone(),
        _ if run.result == RunResult::Unknown => lost().message.to_string(),
        _ => {
            run.reason.known().map_or_else(|| run.reason.to_string(), |reason| described(reason).to_string())
        }
    }
}

/// Returns a message for a failure of which only the reason is known.
pub fn described(reason: Reason) -> Message {
    Message::new(as_clause(&reason.meaning().replace('`', ""))).or_hint(reason.hint())
}

/// Returns the sentence as a clause, without its capital letter and full stop.
fn as_clause(sentence: &str) -> String {
    let sentence = sentence.trim_end_matches('.');
    let mut letters = sentence.chars();
    letters.next().map_or_else(String::new, |first| format!("{}{}", first.to_lowercase(), letters.as_str()))
}

/// Returns the failure in a run's report.
fn reported(report: &RunReport) -> Failure {
    let reason = report.reason.unwrap_or(Reason::InternalError);
    let text = report.message.text();
    if text.is_empty() {
        return Failure { reason, message: described(reason) };
    }
    let message = Message::new(one_line(text));
    let message = match report.message.what_to_do() {
        Some(hint) => message.hint(hint),
        None => message,
    };
    Failure::new(reason, message)
}

fn deadline(report: Option<&RunReport>) -> Failure {
    let message = Message::new(format!("the run exceeded the Job's deadline{}", during(report)))
        .hint("Find out what slows the run down, or raise job.activeDeadlineSeconds.");
    Failure::new(Reason::DeadlineExceeded, message)
}

/// Returns a text with the stage in which the run was, for example ` during dump`; empty without a report.
fn during(report: Option<&RunReport>) -> String {
    report.map_or_else(String::new, |report| format!(" during {}", report.details.stage().as_str()))
}

/// Returns the failure of a pod that cannot start.
fn obstacle(observed: &ObservedRun) -> Option<Failure> {
    let problem = observed.problem.as_ref()?;
    let message = Message::new(one_line(&problem.message));
    let message = match &problem.cause {
        Some(cause) => message.hint(cause_hint(cause)),
        None => message,
    };
    Some(Failure::new(problem.reason, message))
}

/// Returns the failure of a container that ended without a final report.
fn pod_failure(container: &ContainerExit, report: Option<&RunReport>) -> Option<Failure> {
    let ContainerExit { reason, exit_code, message } = container;
    let detail = message.as_deref().map(one_line).unwrap_or_default();
    let during = during(report);
    if *exit_code == 0 {
        return None;
    }
    let (reason, message) = match reason.as_str() {
        "OOMKilled" => {
            let message = Message::new(format!("the pod ran out of memory{during}"));
            let hint = "Raise the pod's memory limit (job.resources or a LimitRange), or free memory on its node.";
            (Reason::OutOfMemory, message.hint(hint))
        }
        "Evicted" => (Reason::Evicted, Message::new(format!("the pod was evicted{during}")).detail(detail)),
        "NodeLost" => {
            (Reason::NodeLost, Message::new(format!("the pod's node was lost{during}"))
                .detail(detail)
                .hint("Repair the node, or delete its Node object: only then does Kubernetes retry on another node."))
        }
        _ if let Some(reason) = Reason::from_exit_code(*exit_code) => {
            let silent = if detail.is_empty() { " and left no report" } else { "" };
            let fact = format!("the runner exited with code {exit_code}{during}{silent}");
            (reason, Message::new(fact).detail(detail).hint("Check the pod's log."))
        }
        word if !detail.is_empty() => (
            Reason::PodCannotStart,
            Message::new("the runner cannot be started")
                .detail(format!("{word}: {detail}"))
                .hint("Check that postgres.image is a PostgreSQL image for the architecture of the nodes."),
        ),
        _ if report.is_some() => {
            (Reason::Interrupted, Message::new(format!("the runner was killed{during}")))
        }
        word => {
            let message = Message::new(format!("the pod exited with code {exit_code} and left no report"));
            let message = message.detail(if word == "Error" { "" } else { word });
            (Reason::PodFailed, message.hint("Check the pod's log and the events of its namespace."))
        }
    };
    Some(Failure::new(reason, message))
}
