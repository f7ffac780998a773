//! How one run ended, from its Job, its pod and its report.

use api::status::RunResult;
use domain::{
    name,
    reason::Reason,
    report::{Outcome, RunReport, Trigger},
};
use jiff::Timestamp;

use crate::observed::{JobState, ObservedRun};

/// A run and the verdict on it.
#[derive(Clone, Debug)]
pub struct Judged<'a> {
    /// What is seen of it.
    pub observed: &'a ObservedRun,
    /// Its report, provisional or final.
    pub report: Option<&'a RunReport>,
    /// What started it.
    pub trigger: Trigger,
    /// Its slot.
    pub slot: Option<Timestamp>,
    /// When it started: its first report's time, or the Job's.
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

impl Judged<'_> {
    /// The reason word of a run that has ended.
    pub fn reason(&self) -> Reason {
        self.failure.as_ref().map_or(Reason::Verified, |failure| failure.reason)
    }
}

impl<'a> Judged<'a> {
    /// Its report, if it is the last word.
    pub fn final_report(&self) -> Option<&'a RunReport> {
        self.report.filter(|report| report.outcome != Outcome::Running)
    }
}

/// Judges a run. A final report outranks what the kubelet says of the container: on cgroup v1 a container whose
/// child was killed for memory is called OOMKilled although the runner went on and said how it ended.
pub fn judge(observed: &ObservedRun) -> Judged<'_> {
    let report = observed.report.as_ref();
    let slot = slot(observed);
    let (result, failure) = verdict(observed, report);
    Judged {
        observed,
        report,
        trigger: if slot.is_some() { Trigger::Schedule } else { Trigger::Manual },
        slot,
        start: report.map_or(observed.created, |report| report.start_time),
        result,
        failure,
    }
}

fn slot(observed: &ObservedRun) -> Option<Timestamp> {
    let (cron_job, _) = observed.job.rsplit_once('-')?;
    name::slot(cron_job, &observed.job)
}

fn verdict(observed: &ObservedRun, report: Option<&RunReport>) -> (RunResult, Option<Failure>) {
    let past_deadline =
        matches!(&observed.state, JobState::Failed { reason } if reason == "DeadlineExceeded");
    let last_word = report.filter(|report| report.outcome != Outcome::Running);
    if let Some(report) = last_word
        && !(past_deadline && report.reason == Some(Reason::Interrupted))
    {
        let reason = report.reason.unwrap_or(Reason::InternalError);
        let failure = Failure { reason, message: report.message.clone() };
        return match (report.outcome, &observed.state) {
            (Outcome::Succeeded, _) => (RunResult::Succeeded, None),
            // A retry is on its way; what went wrong is known already.
            (_, JobState::Active) => {
                (RunResult::Running, Some(observed.problem_failure().unwrap_or(failure)))
            }
            _ => (RunResult::Failed, Some(failure)),
        };
    }
    let failure = if past_deadline { Some(deadline(report)) } else { observed.pod_failure(report) };
    match (&observed.state, failure) {
        (JobState::Active, failure) => (RunResult::Running, observed.problem_failure().or(failure)),
        (_, Some(failure)) => (RunResult::Failed, Some(failure)),
        (JobState::Failed { reason }, None) if observed.problem.is_some() => {
            let message = format!("the Job was given up ({reason})");
            (
                RunResult::Failed,
                observed.problem_failure().or(Some(Failure { reason: Reason::PodFailed, message })),
            )
        }
        (JobState::Succeeded | JobState::Failed { .. } | JobState::Gone, None) => {
            let message = "its Job ended or vanished and left no report; the next run will tell whether it stored a copy";
            (RunResult::Unknown, Some(Failure { reason: Reason::ReportLost, message: message.to_owned() }))
        }
    }
}

fn deadline(report: Option<&RunReport>) -> Failure {
    Failure {
        reason: Reason::DeadlineExceeded,
        message: format!("the run took longer than the Job's deadline{}", in_stage(report)),
    }
}

fn in_stage(report: Option<&RunReport>) -> String {
    report.map_or_else(String::new, |report| format!("; it was in stage {}", report.stage.word()))
}

impl ObservedRun {
    fn problem_failure(&self) -> Option<Failure> {
        let problem = self.problem.as_ref()?;
        Some(Failure { reason: problem.reason, message: problem.message.clone() })
    }

    /// What the container's end says when the runner could not speak.
    fn pod_failure(&self, report: Option<&RunReport>) -> Option<Failure> {
        let container = self.container.as_ref()?;
        let (reason, message) = match container.reason.as_str() {
            "OOMKilled" => (Reason::OutOfMemory, format!("the pod ran out of memory{}", in_stage(report))),
            "Evicted" => (Reason::Evicted, format!("the node evicted the pod{}", in_stage(report))),
            _ if report.is_some() => {
                (Reason::Interrupted, format!("the runner was killed{}", in_stage(report)))
            }
            word => (
                Reason::PodFailed,
                format!("the pod ended without a report: {word}, exit code {}", container.exit_code),
            ),
        };
        (container.exit_code != 0 || report.is_some()).then_some(Failure { reason, message })
    }
}
