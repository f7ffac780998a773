//! The condition `BackupHealthy`, which states whether the newest backup that was due exists and is
//! successful.

use api::{
    BackupPolicyStatus,
    status::{BackupStatus, ConditionStatus, RunResult, RunStatus, Verification},
};
use domain::{message::Message, name, overdue, reason::Reason};
use jiff::{SignedDuration, Timestamp};

use super::{
    condition::{Obstacle, rejected, whose},
    run_result::{AssessedRun, cannot_start, lost, why},
    text::{and_sentence, as_sentence, minute, plain},
    wrong_clocks,
};
use crate::{observed::RequestObstacle, validate::ValidPolicy};

/// The maximum length of a `requested-at` token in a message, in bytes. A date is shorter.
const TOKEN_LIMIT: usize = 64;

/// The condition, and the time at which it becomes `Overdue` without a new backup.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Health {
    pub status: ConditionStatus,
    pub reason: Reason,
    pub message: String,
    pub overdue_at: Option<Timestamp>,
}

/// A request whose run has not started.
#[derive(Clone, Copy, Debug)]
pub struct Request<'a> {
    pub token: &'a str,
    /// The reason why the request's Job cannot be created.
    pub obstacle: Option<&'a RequestObstacle>,
}

/// Returns the condition at the time `now`. `status` contains the current facts. `obstacle` is the reason why
/// the backup CronJob is not up to date. `runs` are sorted, oldest first.
pub fn health(
    policy: &ValidPolicy,
    obstacle: Option<&Obstacle>,
    status: &BackupPolicyStatus,
    runs: &[AssessedRun<'_>],
    request: Option<Request<'_>>,
    now: Timestamp,
) -> Health {
    let newest_backup = newest_backup(status);
    if policy.suspend {
        let waiting = request.map(waiting).unwrap_or_default();
        let message =
            format!("the policy is suspended and starts no scheduled backups{waiting}; {newest_backup}");
        return fixed(ConditionStatus::Unknown, Reason::Suspended, message);
    }
    if let Some(Request { token, obstacle: Some(obstacle) }) = request {
        let job = name::requested_job(&policy.identity.name, token);
        let (reason, message) = request_obstacle(&job, obstacle);
        return fixed(ConditionStatus::False, reason, and_newest(&message, status));
    }
    let ended = status.history.first();
    // The history can have a newer run that ended and whose pods are gone.
    let is_newest = |run: &&AssessedRun<'_>| {
        let start = (run.start, &run.observed.job);
        ended.is_none_or(|ended| (ended.start_time.0, &ended.job) < start)
    };
    let active = runs.last().filter(|run| run.result == RunResult::Running).filter(is_newest);
    if let Some((reason, message)) = active.and_then(cannot_start) {
        return fixed(ConditionStatus::False, reason, and_newest(&message, status));
    }
    if let Some(bad) = newest_failed(status).or_else(|| newest_corrupted(status)) {
        return bad;
    }
    let due = due(policy, status, now);
    let mut health = due.condition(obstacle, status, &newest_backup, ended, now);
    if let Some((run, failure)) = active.and_then(|run| Some((run, run.failure.as_ref()?))) {
        let job = &run.observed.job;
        health.message =
            format!("{}; an attempt of {job} failed, retrying: {}", health.message, failure.message);
    }
    health
}

/// Returns the reason and the message for a requested Job that cannot be created.
fn request_obstacle(job: &str, obstacle: &RequestObstacle) -> (Reason, Message) {
    match obstacle {
        RequestObstacle::Foreign(foreign) => {
            let message = Message::new(format!("{job} cannot start: Job \"{job}\" {}", whose(foreign)));
            (Reason::NameTaken, message.hint(format!("Delete Job \"{job}\", or change requested-at.")))
        }
        RequestObstacle::Refused(rejection) => {
            let message = rejected(&format!("Job \"{job}\""), rejection);
            let hint = message.what_to_do().unwrap_or_default().to_owned();
            (Reason::Refused, Message::new(format!("{job} cannot start: {}", message.text())).hint(hint))
        }
    }
}

/// Returns the message, followed by a description of the newest backup.
fn and_newest(message: &Message, status: &BackupPolicyStatus) -> String {
    let hint = message.what_to_do().map(str::to_owned).unwrap_or_default();
    Message::new(format!("{}; {}", message.text(), newest_backup(status))).hint(hint).to_string()
}

/// Returns `BackupHealthy=False` if the newest ended run failed, except if its suspicious backup was
/// acknowledged. Needs only the status, so it also works for an invalid spec.
pub fn newest_failed(status: &BackupPolicyStatus) -> Option<Health> {
    let is_acknowledged = |run: &&RunStatus| {
        let is_last = |last: &BackupStatus| {
            last.job == run.job && last.verification == Some(Verification::Acknowledged)
        };
        status.last_success.as_ref().is_some_and(|backup| backup.job == run.job)
            || status.last_run.as_ref().is_some_and(is_last)
    };
    let is_suspicious = |run: &&RunStatus| run.reason == Reason::Suspicious;
    let newest = status.history.first().filter(|run| run.result == RunResult::Failed);
    let run = newest.filter(|run| !(is_suspicious(run) && is_acknowledged(run)))?;
    let why = why(run, status);
    let message = if is_suspicious(&run) { why } else { format!("{} failed: {why}", run.job) };
    let reason = run.reason.known().unwrap_or(Reason::InternalError);
    Some(fixed(ConditionStatus::False, reason, and_sentence(message, &as_sentence(&newest_backup(status)))))
}

/// Returns the condition if the newest backup is corrupted.
pub fn newest_corrupted(status: &BackupPolicyStatus) -> Option<Health> {
    is_corrupted(status).then(|| {
        let message = Message::new(newest_backup(status)).hint(
            "Check the storage, then request a new backup with the annotation pgbackup.dev/requested-at.",
        );
        fixed(ConditionStatus::False, Reason::BackupCorrupted, message.to_string())
    })
}

fn is_corrupted(status: &BackupPolicyStatus) -> bool {
    let verification = status.last_success.as_ref().and_then(|copy| copy.verification);
    verification == Some(Verification::Corrupted)
}

/// Returns a clause about a request that waits because the policy is suspended.
fn waiting(request: Request<'_>) -> String {
    let token = plain(request.token, TOKEN_LIMIT);
    format!("; the backup that annotation requested-at=\"{token}\" requests starts when suspend is false")
}

const fn fixed(status: ConditionStatus, reason: Reason, message: String) -> Health {
    Health { status, reason, message, overdue_at: None }
}

/// The slot after the newest successful backup, and the times at which a backup is missing.
struct Due {
    slot: Option<Timestamp>,
    overdue_at: Option<Timestamp>,
    /// The time at which the newest successful backup, or a policy without a backup, is older than
    /// `objectives.maxAge`.
    too_old_at: Option<Timestamp>,
    max_age: Option<SignedDuration>,
}

/// Returns the time at which a backup is missing; `None` while the policy is suspended. The time is the same
/// whatever reason `BackupHealthy` has then.
pub fn overdue_time(policy: &ValidPolicy, status: &BackupPolicyStatus, now: Timestamp) -> Option<Timestamp> {
    due(policy, status, now).missing_at().filter(|_| !policy.suspend)
}

/// Returns the time at which the next backup is due, and the times at which it is missing. They are counted
/// from the slot of the newest successful backup, or from the time since which the schedule applies.
fn due(policy: &ValidPolicy, status: &BackupPolicyStatus, now: Timestamp) -> Due {
    let (served, snapshot) = wrong_clocks::served(status, now).unzip();
    let since = status.schedule_since.as_ref().map(|time| time.0);
    let since = [served, since].into_iter().flatten().max();
    let since = since.unwrap_or(policy.created);
    let longest = overdue::longest_run(status.history.iter().filter_map(|run| run.duration_seconds));
    let overdue_at = overdue::overdue_at(&policy.schedule, &policy.zone, since, longest);
    let from = snapshot.unwrap_or(since);
    Due {
        slot: policy.schedule.after(&policy.zone, since),
        overdue_at: overdue_at.map(|at| api::status::time(at).0),
        too_old_at: policy.max_age.and_then(|age| from.checked_add(age).ok()),
        max_age: policy.max_age,
    }
}

impl Due {
    fn missing_at(&self) -> Option<Timestamp> {
        [self.overdue_at, self.too_old_at].into_iter().flatten().min()
    }

    /// Returns the condition of a policy whose newest run did not fail.
    fn condition(
        &self,
        obstacle: Option<&Obstacle>,
        status: &BackupPolicyStatus,
        newest_backup: &str,
        ended: Option<&RunStatus>,
        now: Timestamp,
    ) -> Health {
        let Self { slot, overdue_at, too_old_at, max_age } = *self;
        let due = slot.map(minute).unwrap_or_default();
        if overdue_at.is_some_and(|at| at <= now) {
            let message = Message::new(format!("the backup due at {due} is overdue"))
                .hint("Check the policy's Jobs and events.");
            return fixed(ConditionStatus::False, Reason::Overdue, and_newest(&message, status));
        }
        if let (Some(max_age), true) = (max_age, too_old_at.is_some_and(|at| at <= now)) {
            let fact = format!("no successful backup is younger than {max_age:#} (objectives.maxAge)");
            let message = Message::new(fact)
                .hint("Check why the newest run stored no backup, or schedule backups more often.");
            // The message changes when a scheduled backup is overdue, too.
            return Health {
                overdue_at,
                ..fixed(ConditionStatus::False, Reason::Overdue, and_newest(&message, status))
            };
        }
        let overdue_at = self.missing_at();
        let (status, reason, message) = match (ended.filter(|run| run.result == RunResult::Unknown), obstacle)
        {
            (Some(run), _) => {
                let lost = lost().message;
                let message =
                    Message::new(format!("{}: {}", run.job, lost.text())).or_hint(lost.what_to_do());
                (ConditionStatus::Unknown, Reason::ReportLost, and_newest(&message, status))
            }
            (None, _) if status.last_success.is_some() => {
                let reason = if is_stored(status) { Reason::Stored } else { Reason::Verified };
                (ConditionStatus::True, reason, newest_backup.to_owned())
            }
            (None, Some(obstacle)) => (
                ConditionStatus::Unknown,
                obstacle.reason,
                format!("no backup can start: {}", obstacle.message),
            ),
            (None, None) => {
                let message = match (slot, overdue_at) {
                    (Some(slot), Some(overdue)) if slot <= now => {
                        format!(
                            "the first backup was due at {due} and becomes overdue at {}",
                            minute(overdue)
                        )
                    }
                    (Some(_), _) => format!("the first backup is due at {due}"),
                    (None, _) => "the schedule starts no backup within five years".to_owned(),
                };
                (ConditionStatus::Unknown, Reason::AwaitingFirstBackup, message)
            }
        };
        Health { status, reason, message, overdue_at }
    }
}

/// Returns whether the newest backup is only stored, not verified, because `verification.level` is
/// `Checksum`.
fn is_stored(status: &BackupPolicyStatus) -> bool {
    let verification = status.last_success.as_ref().and_then(|copy| copy.verification);
    verification == Some(Verification::Stored)
}

/// Describes the newest backup, for example `newest verified backup: 2026-11-23 02:15 UTC, 3 files, 1.21
/// GiB`.
fn newest_backup(status: &BackupPolicyStatus) -> String {
    let Some(copy) = &status.last_success else { return "no successful backup exists".to_owned() };
    let time = copy
        .snapshot_time
        .as_ref()
        .or(copy.start_time.as_ref())
        .map_or_else(String::new, |time| minute(time.0));
    let files = copy
        .artifact_count
        .map_or_else(String::new, |count| format!(", {count} file{}", if count == 1 { "" } else { "s" }));
    let size = copy.size.as_ref().map_or_else(String::new, |size| format!(", {size}"));
    if is_corrupted(status) {
        return format!("the newest backup is corrupted: {time}{files}{size}");
    }
    let what = if is_stored(status) { "stored backup, not verified" } else { "verified backup" };
    format!("newest {what}: {time}{files}{size}")
}
