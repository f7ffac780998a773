//! Events: the difference of two statuses. No event repeats.

use api::{
    BackupPolicyStatus,
    status::{ConditionStatus, ConditionType, RunResult, RunStatus},
};
use domain::{reason::Reason, size};
use k8s_openapi::apimachinery::pkg::apis::meta::v1::Condition;

use crate::status::why;

/// An event to be written about a policy.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct EventDraft {
    /// `Warning` instead of `Normal`.
    pub warning: bool,
    /// The reason, as in conditions.
    pub reason: String,
    /// The action: `Backup`, `Scrub` or `Reconcile`.
    pub action: &'static str,
    /// The message for people.
    pub note: String,
    /// The Job that the event is about; `None` if it is about the policy.
    pub job: Option<String>,
}

/// The events of the change from `before` to `after`.
pub fn events(before: Option<&BackupPolicyStatus>, after: &BackupPolicyStatus) -> Vec<EventDraft> {
    let ready = ready(before, after);
    let (runs, mut told) = runs(before, after);
    let scrub = scrub(before, after);
    told.extend(scrub.iter().map(|event| event.reason.clone()));
    let turned = [(ConditionType::BackupHealthy, "Backup"), (ConditionType::ScrubHealthy, "Scrub")]
        .into_iter()
        .filter_map(|(condition, action)| turned_bad(before, after, condition, action))
        .filter(|event| !told.contains(&event.reason));
    ready.into_iter().chain(runs).chain(scrub).chain(turned).collect()
}

/// The end of a scrub.
fn scrub(before: Option<&BackupPolicyStatus>, after: &BackupPolicyStatus) -> Option<EventDraft> {
    // The first status of a policy reports past runs without events.
    let before = before.filter(|status| !status.conditions.is_empty())?;
    let new = after.last_scrub.as_ref()?;
    let known =
        before.last_scrub.as_ref().is_some_and(|old| (&old.job, old.result) == (&new.job, new.result));
    (!known).then(|| EventDraft {
        warning: new.result != RunResult::Succeeded,
        reason: new.reason.to_string(),
        action: "Scrub",
        note: format!("{}: {}", new.job, new.message),
        job: Some(new.job.clone()),
    })
}

/// The policy is no longer accepted, or is accepted again. A new policy that is accepted gives no event.
fn ready(before: Option<&BackupPolicyStatus>, after: &BackupPolicyStatus) -> Option<EventDraft> {
    let new = after.condition(ConditionType::Ready)?;
    let old = before.and_then(|status| status.condition(ConditionType::Ready));
    let same = |old: &Condition| old.status == new.status && old.reason == new.reason;
    let is_news = old.map_or(!ConditionStatus::True.is_of(new), |old| !same(old));
    if ConditionStatus::Unknown.is_of(new) || !is_news {
        return None;
    }
    Some(EventDraft {
        warning: ConditionStatus::False.is_of(new),
        reason: new.reason.clone(),
        action: "Reconcile",
        note: new.message.clone(),
        job: None,
    })
}

/// An event for each run that has ended since, and the reasons of these events. A run whose report was lost gives a second
/// event when its result becomes known.
fn runs(before: Option<&BackupPolicyStatus>, after: &BackupPolicyStatus) -> (Vec<EventDraft>, Vec<String>) {
    // The first status of a policy reports past runs without events.
    let Some(before) = before.filter(|status| !status.conditions.is_empty()) else {
        return Default::default();
    };
    let is_known = |run: &RunStatus| {
        before.history.iter().any(|known| known.job == run.job && known.result == run.result)
    };
    let news: Vec<_> = after.history.iter().rev().filter(|run| !is_known(run)).collect();
    let drafts = news.iter().map(|run| {
        let words = match (run.result, run.size_bytes) {
            (RunResult::Succeeded, Some(size)) => format!("{}, {}", taken(run), size::human(size)),
            (RunResult::Succeeded, None) => taken(run).to_owned(),
            _ => why(run, after),
        };
        EventDraft {
            warning: run.result != RunResult::Succeeded,
            reason: run.reason.to_string(),
            action: "Backup",
            note: format!("{}: {words}", run.job),
            job: Some(run.job.clone()),
        }
    });
    (drafts.collect(), news.iter().map(|run| run.reason.to_string()).collect())
}

/// The state of the backup that a successful run stored.
fn taken(run: &RunStatus) -> &'static str {
    if run.reason == Reason::Stored { "backup stored, not verified" } else { "backup verified" }
}

/// A condition became false without the end of a run: a pod cannot start, or a backup is overdue.
fn turned_bad(
    before: Option<&BackupPolicyStatus>,
    after: &BackupPolicyStatus,
    type_: ConditionType,
    action: &'static str,
) -> Option<EventDraft> {
    let new = after.condition(type_).filter(|new| ConditionStatus::False.is_of(new))?;
    let known = before.and_then(|status| status.condition(type_)).is_some_and(|old| old.reason == new.reason);
    (!known).then(|| EventDraft {
        warning: true,
        reason: new.reason.clone(),
        action,
        note: new.message.clone(),
        job: (type_ == ConditionType::BackupHealthy).then(|| run_of(new, after)).flatten(),
    })
}

/// The run that `BackupHealthy` is false for: the active one if it cannot start, or the newest ended one if it failed.
fn run_of(condition: &Condition, status: &BackupPolicyStatus) -> Option<String> {
    let failed = status.history.first().filter(|run| run.reason.to_string() == condition.reason);
    let reason: Reason = condition.reason.parse().ok()?;
    let cannot_start =
        [Reason::ImagePullFailed, Reason::SecretNotFound, Reason::Unschedulable, Reason::PodCannotStart];
    let active = status.last_run.as_ref().filter(|run| run.result == RunResult::Running);
    let active = active.filter(|_| cannot_start.contains(&reason));
    active.map(|run| run.job.clone()).or_else(|| failed.map(|run| run.job.clone()))
}
