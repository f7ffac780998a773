//! Events: the difference of two statuses. Nothing is said twice.

use api::{BackupPolicyStatus, status::RunResult};
use k8s_openapi::apimachinery::pkg::apis::meta::v1::Condition;

/// An event to be written about a policy.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct EventDraft {
    /// Whether somebody should look.
    pub warning: bool,
    /// The reason word.
    pub reason: String,
    /// What was done: `Backup` or `Reconcile`.
    pub action: &'static str,
    /// For people.
    pub note: String,
}

/// What `after` says that `before` did not.
pub fn events(before: Option<&BackupPolicyStatus>, after: &BackupPolicyStatus) -> Vec<EventDraft> {
    let ready = ready(before, after);
    let (runs, told) = runs(before, after);
    let health = health(before, after).filter(|event| !told.contains(&event.reason));
    ready.into_iter().chain(runs).chain(health).collect()
}

fn condition<'a>(status: Option<&'a BackupPolicyStatus>, type_: &str) -> Option<&'a Condition> {
    status?.conditions.iter().find(|condition| condition.type_ == type_)
}

/// The policy was accepted, or is not any more.
fn ready(before: Option<&BackupPolicyStatus>, after: &BackupPolicyStatus) -> Option<EventDraft> {
    let new = condition(Some(after), "Ready")?;
    let same = |old: &&Condition| old.status == new.status && old.reason == new.reason;
    if new.status == "Unknown" || condition(before, "Ready").as_ref().is_some_and(same) {
        return None;
    }
    Some(EventDraft {
        warning: new.status == "False",
        reason: new.reason.clone(),
        action: "Reconcile",
        note: new.message.clone(),
    })
}

/// Each run that has ended since, and the reasons that were told.
fn runs(before: Option<&BackupPolicyStatus>, after: &BackupPolicyStatus) -> (Vec<EventDraft>, Vec<String>) {
    // What a first look finds is history, not news.
    let Some(before) = before.filter(|status| !status.conditions.is_empty()) else {
        return Default::default();
    };
    let is_new = |id: &str| before.history.iter().all(|known| known.id != id);
    let news: Vec<_> = after.history.iter().rev().filter(|run| is_new(&run.id)).collect();
    let drafts = news.iter().map(|run| {
        let failure = after.last_failure.as_ref().filter(|failure| failure.job == run.id);
        let copy = after.last_success.as_ref().filter(|copy| copy.job == run.id);
        let words = match (failure, copy.and_then(|copy| copy.size.as_ref())) {
            (Some(failure), _) => failure.message.clone(),
            (None, Some(size)) => format!("copy verified, {size}"),
            (None, None) => format!("{:?}", run.result),
        };
        EventDraft {
            warning: run.result != RunResult::Succeeded,
            reason: run.reason.clone(),
            action: "Backup",
            note: format!("{}: {words}", run.id),
        }
    });
    (drafts.collect(), news.iter().map(|run| run.reason.clone()).collect())
}

/// The health turned bad without a run's end: a pod that cannot start, a copy overdue.
fn health(before: Option<&BackupPolicyStatus>, after: &BackupPolicyStatus) -> Option<EventDraft> {
    let new = condition(Some(after), "BackupHealthy").filter(|new| new.status == "False")?;
    let known = condition(before, "BackupHealthy").is_some_and(|old| old.reason == new.reason);
    (!known).then(|| EventDraft {
        warning: true,
        reason: new.reason.clone(),
        action: "Backup",
        note: new.message.clone(),
    })
}
