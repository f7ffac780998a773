//! `BackupHealthy`: whether the newest copy that is due is there and verified.

use api::{BackupPolicyStatus, status::RunResult};
use domain::{reason::Reason, schedule};
use jiff::{SignedDuration, Timestamp};
use k8s_openapi::apimachinery::pkg::apis::meta::v1::Condition;

use super::{
    condition::Truth,
    run::{Failure, Judged},
};
use crate::validate::ValidPolicy;

/// The condition, and when it turns into `Overdue` if nothing happens.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Health {
    pub status: Truth,
    pub reason: Reason,
    pub message: String,
    pub overdue_at: Option<Timestamp>,
}

/// Judges the newest copy at `now`. `status` holds the facts of `now`, `previous` those of before.
pub fn health(
    policy: &ValidPolicy,
    previous: &BackupPolicyStatus,
    status: &BackupPolicyStatus,
    runs: &[Judged<'_>],
    now: Timestamp,
) -> Health {
    if policy.suspend {
        return fixed(
            Truth::Unknown,
            Reason::Suspended,
            format!("suspended: no backups are taken; {}", newest_copy(status)),
        );
    }
    let overdue_at = schedule::overdue_at(
        &policy.schedule,
        &policy.zone,
        counted_from(policy, previous, status, now),
        longest_run(status),
    );
    let overdue_at = overdue_at.map(api::status::time).map(|time| time.0);
    if let Some(failure) = current_failure(status, runs) {
        let truth = if failure.reason == Reason::ReportLost { Truth::Unknown } else { Truth::False };
        return fixed(truth, failure.reason, format!("{}; {}", failure.message, newest_copy(status)));
    }
    match overdue_at {
        Some(at) if at <= now => {
            let message = format!(
                "a backup was due and no verified copy came of it by {}; {}",
                minute(at),
                newest_copy(status)
            );
            fixed(Truth::False, Reason::Overdue, message)
        }
        _ if status.last_success.is_none() => {
            let message = "no backup was due yet".to_owned();
            Health { status: Truth::Unknown, reason: Reason::AwaitingFirstBackup, message, overdue_at }
        }
        _ => {
            Health { status: Truth::True, reason: Reason::Verified, message: newest_copy(status), overdue_at }
        }
    }
}

const fn fixed(status: Truth, reason: Reason, message: String) -> Health {
    Health { status, reason, message, overdue_at: None }
}

/// What is wrong now: with the newest run while it runs, else with the newest one that ended, if no later one
/// succeeded. A failure whose Job is gone is remembered in the status.
fn current_failure(status: &BackupPolicyStatus, runs: &[Judged<'_>]) -> Option<Failure> {
    let newest = runs.last();
    if let Some(run) = newest.filter(|run| run.result == RunResult::Running)
        && let Some(failure) = &run.failure
    {
        return Some(Failure {
            message: format!("the run in progress cannot go on: {}", failure.message),
            ..failure.clone()
        });
    }
    let ended = status.history.first().filter(|run| run.result != RunResult::Succeeded)?;
    let reason = Reason::ALL.iter().copied().find(|reason| reason.word() == ended.reason)?;
    let seen = runs.iter().find(|run| run.observed.job == ended.id).and_then(|run| run.failure.as_ref());
    let remembered = status.last_failure.as_ref().filter(|failure| failure.job == ended.id);
    let (stage, words) = match (seen, remembered) {
        (_, Some(failure)) => (failure.stage.as_deref(), failure.message.clone()),
        (Some(failure), None) => (None, failure.message.clone()),
        (None, None) => (None, reason.meaning().trim_end_matches('.').to_owned()),
    };
    let stage = stage.map_or_else(String::new, |stage| format!(" in stage {stage}"));
    Some(Failure { reason, message: format!("the last run failed{stage}: {words}") })
}

/// From when on the next copy is due: the slot of the newest verified copy, or the policy's creation. A condition
/// that is not False speaks for its time too: a policy that was suspended for a month is not overdue when it
/// wakes up, but when it misses its first slot after that.
fn counted_from(
    policy: &ValidPolicy,
    previous: &BackupPolicyStatus,
    status: &BackupPolicyStatus,
    now: Timestamp,
) -> Timestamp {
    let success = status.last_success.as_ref();
    let newest_slot =
        success.and_then(|run| run.scheduled_time.as_ref().or(run.start_time.as_ref())).map(|time| time.0);
    let condition = previous.conditions.iter().find(|condition| condition.type_ == "BackupHealthy");
    let awake_since = condition.and_then(|condition| awake_since(condition, now));
    [Some(policy.created), newest_slot, awake_since].into_iter().flatten().max().unwrap_or(policy.created)
}

fn awake_since(condition: &Condition, now: Timestamp) -> Option<Timestamp> {
    if condition.reason == Reason::Suspended.word() {
        return Some(now);
    }
    (condition.status != Truth::False.word()).then_some(condition.last_transition_time.0)
}

fn longest_run(status: &BackupPolicyStatus) -> SignedDuration {
    let longest = status.history.iter().filter_map(|run| run.duration_seconds).fold(0.0, f64::max);
    SignedDuration::from_secs_f64(longest)
}

/// `copy of 2026-11-23 02:15 UTC verified: 3 files, 1.21 GiB`.
fn newest_copy(status: &BackupPolicyStatus) -> String {
    let Some(copy) = &status.last_success else { return "there is no verified copy".to_owned() };
    let time = copy
        .snapshot_time
        .as_ref()
        .or(copy.start_time.as_ref())
        .map_or_else(String::new, |time| minute(time.0));
    let files = copy
        .artifact_count
        .map_or_else(String::new, |count| format!(", {count} file{}", if count == 1 { "" } else { "s" }));
    let size = copy.size.as_ref().map_or_else(String::new, |size| format!(", {size}"));
    format!("newest verified copy: {time}{files}{size}")
}

fn minute(at: Timestamp) -> String {
    at.strftime("%Y-%m-%d %H:%M UTC").to_string()
}
