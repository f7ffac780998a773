//! The reasons why a run's pod does not start.
//!
//! [`pod_status`] reads them from the pod: images, Secrets, the scheduler. Some reasons are only in events: a
//! quota or an admission policy that forbids the pod, a volume that cannot be mounted. [`explain`] reads the
//! events of Jobs and pods that have waited for some time.

pub mod kubernetes_messages;
pub mod pod_status;
mod stable;

use std::{collections::HashMap, time::Duration};

use desired::{ObservedRun, Problem, UnexplainedWait};
use domain::{message::cut, reason::Reason};
use jiff::{SignedDuration, Timestamp};
use k8s_openapi::api::core::v1::Event;
use kube::{Api, Client, api::ListParams};

use self::stable::stable;
use crate::client::{CallError, call};

/// The maximum number of warning events to read about one object. More would not make the problem clearer.
const EVENT_LIMIT: u32 = 50;

/// The maximum length of a message, in bytes.
const MESSAGE_LIMIT: usize = 500;

/// The kubelet's message when it pauses its attempts. Earlier events contain the cause.
const GENERIC_TIMEOUT: &str = "timed out waiting for the condition";

/// The time during which a wait counts as young. No watch shows new events, so they are read repeatedly: at
/// the first interval of [`ASK_AGAIN`] while the wait is young, so that a problem is reported within a
/// minute, and at the second interval afterwards.
const YOUNG: SignedDuration = SignedDuration::from_mins(2);
const ASK_AGAIN: [Duration; 2] = [Duration::from_secs(10), Duration::from_mins(1)];

/// The problems of runs that do not start, according to events.
#[derive(Debug, Default)]
pub struct Explanations {
    /// The problems, by the Job's UID.
    problems: HashMap<String, Problem>,
    /// The pause until the events must be read again; `None` if no run waits.
    pub ask_again: Option<Duration>,
}

impl Explanations {
    /// Returns the run with the problem that events show, if they show one.
    pub fn apply_to(&self, run: ObservedRun) -> ObservedRun {
        let problem = self.problems.get(&run.job_uid).cloned().or(run.problem);
        ObservedRun { problem, ..run }
    }
}

/// Reads the events of each run that has waited for longer than its grace period.
pub async fn explain(
    client: &Client,
    namespace: &str,
    runs: impl Iterator<Item = &ObservedRun>,
    now: Timestamp,
) -> Explanations {
    let mut explanations = Explanations::default();
    for run in runs {
        let Some(wait) = run.unexplained_wait.as_ref().filter(|wait| wait.is_over(now)) else { continue };
        explanations.ask_again = explanations.ask_again.into_iter().chain([pause(wait, now)]).min();
        match warnings(client, namespace, &wait.uid).await {
            Ok(events) => {
                // Older events of the Job are about an earlier attempt. Events of a pod are always about that
                // pod.
                let not_before = (wait.uid == run.job_uid).then_some(wait.since);
                let problem = newest_problem(events, &run.job, not_before);
                explanations.problems.extend(problem.map(|problem| (run.job_uid.clone(), problem)));
            }
            Err(error) => {
                tracing::warn!(
                    namespace,
                    job = run.job,
                    "reading the events of a Job that does not start failed, retrying: {error}"
                );
            }
        }
    }
    explanations
}

fn pause(wait: &UnexplainedWait, now: Timestamp) -> Duration {
    let is_young = now.duration_since(wait.ends()) < YOUNG;
    ASK_AGAIN[usize::from(!is_young)]
}

async fn warnings(client: &Client, namespace: &str, uid: &str) -> Result<Vec<Event>, CallError> {
    let api: Api<Event> = Api::namespaced(client.clone(), namespace);
    let about = format!("involvedObject.uid={uid},type=Warning");
    Ok(call(api.list(&ListParams::default().fields(&about).limit(EVENT_LIMIT))).await?.items)
}

fn newest_problem(events: Vec<Event>, job: &str, not_before: Option<Timestamp>) -> Option<Problem> {
    let explaining =
        events.into_iter().filter(explains).filter_map(|event| Some((last_time(&event)?, event)));
    let current =
        explaining.filter(|(at, _)| not_before.is_none_or(|start| at.as_second() >= start.as_second()));
    let (_, event) =
        current.max_by(|(a, first), (b, second)| (a, &first.message).cmp(&(b, &second.message)))?;
    Some(problem(&event, job))
}

/// Returns whether a warning event contains a cause. `FailedScheduling` is ignored: the pod's condition
/// `PodScheduled` has the same message, and unlike the event it disappears when the pod is scheduled.
fn explains(event: &Event) -> bool {
    let has_reason = event.message.as_ref().is_some_and(|message| !message.contains(GENERIC_TIMEOUT));
    has_reason && event.reason.as_deref() != Some("FailedScheduling")
}

fn last_time(event: &Event) -> Option<Timestamp> {
    let series = event.series.as_ref().and_then(|series| series.last_observed_time.as_ref());
    let times = [series.map(|time| time.0), event.last_timestamp.as_ref().map(|time| time.0)];
    times.into_iter().flatten().max().or_else(|| event.event_time.as_ref().map(|time| time.0))
}

fn problem(event: &Event, job: &str) -> Problem {
    let mut detail = stable(event.message.as_deref().unwrap_or_default(), job);
    cut(&mut detail, MESSAGE_LIMIT);
    let (fact, cause) = match event.reason.as_deref() {
        Some("FailedCreate") => {
            detail = detail.trim_start_matches("Error creating: ").to_owned();
            ("the pod cannot be created: ", kubernetes_messages::of_rejection(&detail))
        }
        Some("FailedMount" | "FailedAttachVolume" | "FailedMapVolume") => {
            ("a volume cannot be mounted: ", kubernetes_messages::of_kubelet(&detail))
        }
        Some("FailedCreatePodSandBox") => ("the pod's sandbox cannot be created: ", None),
        _ => ("", kubernetes_messages::of_kubelet(&detail)),
    };
    let missing_secret = cause.as_ref().and_then(kubernetes_messages::secret_fact);
    let reason = if missing_secret.is_some() { Reason::SecretNotFound } else { Reason::PodCannotStart };
    let message = missing_secret.unwrap_or_else(|| format!("{fact}{detail}"));
    Problem { reason, message, since: None, cause }
}

#[cfg(test)]
mod tests;
