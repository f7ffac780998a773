//! The events about a policy, derived from the difference of two statuses. An unchanged status has no events,
//! so no event repeats.

use api::{
    BackupPolicyStatus,
    status::{AnyReason, ConditionStatus, ConditionType, EndedRun, RunResult, RunStatus},
};
use domain::{operation::Operation, reason::Reason, size};
use k8s_openapi::apimachinery::pkg::apis::meta::v1::Condition;

use crate::status::{fields, why};

/// The reasons of an active run that cannot start.
const START_FAILURES: [Reason; 4] =
    [Reason::ImagePullFailed, Reason::SecretNotFound, Reason::Unschedulable, Reason::PodCannotStart];

/// An event to be written about a policy.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct EventDraft {
    /// Whether the event has the type `Warning` instead of `Normal`.
    pub warning: bool,
    /// The reason, with the same values as in conditions.
    pub reason: AnyReason,
    /// The action: `Backup`, `Scrub` or `Reconcile`.
    pub action: &'static str,
    /// The event's message for people.
    pub note: String,
    /// The Job that the event is about; `None` if it is about the policy.
    pub job: Option<String>,
}

/// Returns the events of the change from `before` to `after`.
pub fn events(before: Option<&BackupPolicyStatus>, after: &BackupPolicyStatus) -> Vec<EventDraft> {
    let mut events: Vec<EventDraft> = ready(before, after).into_iter().collect();
    let ended = ended_runs(before, after);
    let is_of_ended_run = |event: &EventDraft| ended.iter().any(|ended| ended.reason == event.reason);
    let unhealthy = Operation::all().filter_map(|operation| unhealthy(before, after, operation));
    let unhealthy: Vec<_> = unhealthy.filter(|event| !is_of_ended_run(event)).collect();
    events.extend(ended);
    events.extend(unhealthy);
    events
}

/// Returns an event if the policy is no longer accepted, or is accepted again. A new policy that is accepted
/// has no event.
fn ready(before: Option<&BackupPolicyStatus>, after: &BackupPolicyStatus) -> Option<EventDraft> {
    let new = after.condition(ConditionType::Ready)?;
    let old = before.and_then(|status| status.condition(ConditionType::Ready));
    let is_same = |old: &Condition| old.status == new.status && old.reason == new.reason;
    let is_news = old.map_or(!ConditionStatus::True.is_of(new), |old| !is_same(old));
    if ConditionStatus::Unknown.is_of(new) || !is_news {
        return None;
    }
    Some(EventDraft {
        warning: ConditionStatus::False.is_of(new),
        reason: new.reason.as_str().into(),
        action: "Reconcile",
        note: new.message.clone(),
        job: None,
    })
}

/// Returns an event for each run that ended between the two statuses. The first status of a policy reports
/// past runs without events.
fn ended_runs(before: Option<&BackupPolicyStatus>, after: &BackupPolicyStatus) -> Vec<EventDraft> {
    let Some(before) = before.filter(|status| !status.conditions.is_empty()) else { return Vec::new() };
    let others = Operation::all().filter_map(|operation| last_ended(before, after, operation));
    ended_backups(before, after).chain(others).collect()
}

/// Returns an event for each backup run that ended between the two statuses. A run whose report was lost has
/// a second event when its result becomes known.
fn ended_backups(
    before: &BackupPolicyStatus,
    after: &BackupPolicyStatus,
) -> impl Iterator<Item = EventDraft> {
    let is_known = |run: &&RunStatus| {
        before.history.iter().any(|known| known.job == run.job && known.result == run.result)
    };
    after.history.iter().rev().filter(move |run| !is_known(run)).map(|run| {
        let outcome = match (run.result, run.size_bytes) {
            (RunResult::Succeeded, Some(size)) => format!("{}, {}", stored(run), size::human(size)),
            (RunResult::Succeeded, None) => stored(run).to_owned(),
            _ => why(run, after),
        };
        EventDraft {
            warning: run.result != RunResult::Succeeded,
            reason: run.reason.clone(),
            action: action(Operation::Backup),
            note: format!("{}: {outcome}", run.job),
            job: Some(run.job.clone()),
        }
    })
}

/// Returns a text for the state of the backup that a successful run stored.
fn stored(run: &RunStatus) -> &'static str {
    if run.reason == Reason::Stored { "backup stored, not verified" } else { "backup verified" }
}

/// Returns an event if the newest run of an operation that stores no backup ended between the two statuses.
fn last_ended(
    before: &BackupPolicyStatus,
    after: &BackupPolicyStatus,
    operation: Operation,
) -> Option<EventDraft> {
    let new = fields::last_ended(after, operation)?;
    let is_new = |old: &EndedRun| (&old.job, old.result) != (&new.job, new.result);
    fields::last_ended(before, operation).is_none_or(is_new).then(|| EventDraft {
        warning: new.result != RunResult::Succeeded,
        reason: new.reason.clone(),
        action: action(operation),
        note: format!("{}: {}", new.job, new.message),
        job: Some(new.job.clone()),
    })
}

/// Returns an event if the condition of an operation became false, or became false for another reason: a pod
/// cannot start, or a run is overdue.
fn unhealthy(
    before: Option<&BackupPolicyStatus>,
    after: &BackupPolicyStatus,
    operation: Operation,
) -> Option<EventDraft> {
    let type_ = ConditionType::health_of(operation);
    let new = after.condition(type_).filter(|new| ConditionStatus::False.is_of(new))?;
    let is_known =
        before.and_then(|status| status.condition(type_)).is_some_and(|old| old.reason == new.reason);
    let reason = AnyReason::from(new.reason.as_str());
    (!is_known).then(|| EventDraft {
        warning: true,
        job: unhealthy_job(&reason, after, operation),
        reason,
        action: action(operation),
        note: new.message.clone(),
    })
}

/// Returns the name of the Job because of which the condition is false: the active Job if it cannot start, or
/// the newest ended Job if it failed.
fn unhealthy_job(reason: &AnyReason, status: &BackupPolicyStatus, operation: Operation) -> Option<String> {
    if operation != Operation::Backup {
        return None;
    }
    let active = status.last_run.as_ref().filter(|run| run.result == RunResult::Running);
    let active = active.filter(|_| reason.known().is_some_and(|reason| START_FAILURES.contains(&reason)));
    let failed = status.history.first().filter(|run| run.reason == *reason);
    active.map(|run| run.job.clone()).or_else(|| failed.map(|run| run.job.clone()))
}

fn action(operation: Operation) -> &'static str {
    ConditionType::health_of(operation).subject()
}
