//! `BackupHealthy`: whether the newest backup that is due is there and verified.

use api::{
    BackupPolicyStatus,
    status::{BackupStatus, RunResult, RunStatus, Verification},
};
use domain::{name, reason::Reason, schedule};
use jiff::{SignedDuration, Timestamp};

use super::{
    clocks,
    condition::{REFUSAL_LIMIT, Truth, whose},
    run::{AssessedRun, lost, with_advice},
    text::{minute, one_line, plain},
};
use crate::{
    events,
    observed::{Rejection, RequestObstacle},
    validate::ValidPolicy,
};

/// Longer than any run can be: a report that says more is wrong, and must not put off `Overdue`.
const LONGEST_RUN_SECONDS: f64 = 7.0 * 24.0 * 60.0 * 60.0;

/// As much of a `requested-at` token as a message shows: a date is shorter.
const TOKEN_LIMIT: usize = 64;

/// The condition, and when it turns into `Overdue` if nothing happens.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Health {
    pub status: Truth,
    pub reason: Reason,
    pub message: String,
    pub overdue_at: Option<Timestamp>,
}

/// What `requested-at` asks for and has not got.
#[derive(Clone, Copy, Debug)]
pub struct Request<'a> {
    pub token: &'a str,
    /// Why its Job cannot be created.
    pub obstacle: Option<&'a RequestObstacle>,
}

/// Judges the newest backup at `now`. `status` holds the facts of `now`; `in_place`: the policy's CronJob is as it should be.
pub fn health(
    policy: &ValidPolicy,
    in_place: bool,
    status: &BackupPolicyStatus,
    runs: &[AssessedRun<'_>],
    request: Option<Request<'_>>,
    now: Timestamp,
) -> Health {
    let copy = newest_backup(status);
    if policy.suspend {
        let waiting = request.map(waiting).unwrap_or_default();
        let suspended = if in_place {
            "suspended: no backups are taken"
        } else {
            "suspended, but its CronJob is not in place: see Ready"
        };
        let message = format!("{suspended}{waiting}; {copy}");
        return fixed(Truth::Unknown, Reason::Suspended, message);
    }
    if let Some(Request { token, obstacle: Some(obstacle) }) = request {
        let job = name::requested_job(&policy.identity.name, token);
        let (reason, why) = match obstacle {
            RequestObstacle::Foreign(foreign) => (
                Reason::NameTaken,
                format!("a Job of this name exists and {}; delete that Job", whose(foreign)),
            ),
            RequestObstacle::Refused(Rejection { message, .. }) => {
                (Reason::Refused, format!("the API server refuses it: {}", plain(message, REFUSAL_LIMIT)))
            }
        };
        return fixed(Truth::False, reason, format!("{job} cannot start: {why}; {copy}"));
    }
    let ended = status.history.first();
    // A run that ended and whose pods are gone is in the history only.
    let is_newest = |run: &&AssessedRun<'_>| {
        let start = (run.start, &run.observed.job);
        ended.is_none_or(|ended| (ended.start_time.0, &ended.job) < start)
    };
    let newest = runs.last().filter(|run| run.result == RunResult::Running).filter(is_newest);
    if let Some(run) = newest
        && let (Some(failure), true) = (&run.failure, run.observed.problem.is_some())
    {
        let message = format!("{} cannot start: {}; {copy}", run.observed.job, one_line(&failure.message));
        return fixed(Truth::False, failure.reason, message);
    }
    if let Some(bad) = newest_failed(status).or_else(|| newest_corrupted(status)) {
        return bad;
    }
    let due = due(policy, status, now);
    let mut health = due.judge(in_place, status, &copy, ended, now);
    if let Some((run, failure)) = newest.and_then(|run| Some((run, run.failure.as_ref()?))) {
        let words = one_line(&failure.message);
        let job = &run.observed.job;
        health.message = format!("{}; a try of {job} failed and is repeated: {words}", health.message);
    }
    health
}

/// The newest run that ended has failed: that is so whatever the policy says by now.
pub fn newest_failed(status: &BackupPolicyStatus) -> Option<Health> {
    let acknowledged = |copy: &BackupStatus| copy.verification == Some(Verification::Acknowledged);
    let is_settled = |run: &&RunStatus| {
        status.last_success.as_ref().is_some_and(|copy| copy.job == run.job)
            || status.last_run.as_ref().is_some_and(|last| last.job == run.job && acknowledged(last))
    };
    let suspicious = |run: &&RunStatus| run.reason == Reason::Suspicious;
    let newest = status.history.first().filter(|run| run.result == RunResult::Failed);
    let run = newest.filter(|run| !(suspicious(run) && is_settled(run)))?;
    if suspicious(&run) {
        let words = one_line(&events::why(run, status));
        let message = format!("{words}; {}", newest_backup(status));
        return Some(fixed(Truth::False, Reason::Suspicious, message));
    }
    let words = one_line(&events::why(run, status));
    let reason = run.reason.known().unwrap_or(Reason::InternalError);
    let message = format!("{} failed: {words}; {}", run.job, newest_backup(status));
    Some(fixed(Truth::False, reason, message))
}

/// The newest backup was good, and is not any more.
pub fn newest_corrupted(status: &BackupPolicyStatus) -> Option<Health> {
    is_corrupted(status).then(|| {
        let reason = Reason::BackupCorrupted;
        let message = with_advice(reason, &format!("{}, as a scrub found", newest_backup(status)));
        fixed(Truth::False, reason, message)
    })
}

fn is_corrupted(status: &BackupPolicyStatus) -> bool {
    let verification = status.last_success.as_ref().and_then(|copy| copy.verification);
    verification == Some(Verification::Corrupted)
}

/// Somebody asked for a backup and would wait for it in vain.
fn waiting(request: Request<'_>) -> String {
    let token = plain(request.token, TOKEN_LIMIT);
    format!("; the one that requested-at \"{token}\" asks for starts when suspend is false")
}

const fn fixed(status: Truth, reason: Reason, message: String) -> Health {
    Health { status, reason, message, overdue_at: None }
}

/// The slot that the newest verified backup leaves to be served, and when it is overdue.
struct Due {
    slot: Option<Timestamp>,
    overdue_at: Option<Timestamp>,
    /// When the newest verified backup, or a policy without any, is older than the policy allows.
    too_old_at: Option<Timestamp>,
    max_age: Option<SignedDuration>,
}

/// When a backup is missing, whatever else is wrong by then; never while the policy is suspended.
pub fn overdue_time(policy: &ValidPolicy, status: &BackupPolicyStatus, now: Timestamp) -> Option<Timestamp> {
    due(policy, status, now).missing_at().filter(|_| !policy.suspend)
}

/// Counted from the slot of the newest verified backup, or from when the schedule came to be as it is.
fn due(policy: &ValidPolicy, status: &BackupPolicyStatus, now: Timestamp) -> Due {
    let (served, snapshot) = served(status, now).unzip();
    let since = status.schedule_since.as_ref().map(|time| time.0);
    let since = [served, since].into_iter().flatten().max();
    let since = since.unwrap_or(policy.created);
    let longest = status.history.iter().filter_map(|run| run.duration_seconds).fold(0.0, f64::max);
    let longest = SignedDuration::from_secs_f64(longest.min(LONGEST_RUN_SECONDS));
    let overdue_at = schedule::overdue_at(&policy.schedule, &policy.zone, since, longest);
    let from = snapshot.unwrap_or(since);
    Due {
        slot: policy.schedule.after(&policy.zone, since),
        overdue_at: overdue_at.map(|at| api::status::time(at).0),
        too_old_at: policy.max_age.and_then(|age| from.checked_add(age).ok()),
        max_age: policy.max_age,
    }
}

/// The slot that the newest verified backup serves, and when that was taken. One that nobody scheduled stands for the slots
/// before its snapshot. One that was taken while the cluster's clock was ahead would serve all slots until then: the newest
/// of the runs that are known besides stands in for it.
fn served(status: &BackupPolicyStatus, now: Timestamp) -> Option<(Timestamp, Timestamp)> {
    let (served, taken) = as_told(status)?;
    if clocks::can_be(taken.max(served), now) {
        return Some((served, taken));
    }
    let is_good =
        |run: &&RunStatus| run.result == RunResult::Succeeded && clocks::can_be(run.start_time.0, now);
    status.history.iter().find(is_good).map(|run| (run.start_time.0, run.start_time.0))
}

/// The same, as it was told.
fn as_told(status: &BackupPolicyStatus) -> Option<(Timestamp, Timestamp)> {
    let last = status.last_success.as_ref()?;
    let taken = last.snapshot_time.as_ref().or(last.start_time.as_ref())?.0;
    Some((last.scheduled_time.as_ref().map_or(taken, |slot| slot.0), taken))
}

/// When the newest verified backup will count, which by its time cannot be yet.
pub fn believed_at(status: &BackupPolicyStatus, now: Timestamp) -> Option<Timestamp> {
    let (served, taken) = as_told(status)?;
    clocks::believed_at(taken.max(served), now)
}

impl Due {
    fn missing_at(&self) -> Option<Timestamp> {
        [self.overdue_at, self.too_old_at].into_iter().flatten().min()
    }

    /// No run failed. Is a backup missing?
    fn judge(
        &self,
        in_place: bool,
        status: &BackupPolicyStatus,
        copy: &str,
        ended: Option<&RunStatus>,
        now: Timestamp,
    ) -> Health {
        let Self { slot, overdue_at, too_old_at, max_age } = *self;
        let slot_words = slot.map(minute).unwrap_or_default();
        if overdue_at.is_some_and(|at| at <= now) {
            let message = format!("the backup that was due at {slot_words} is overdue; {copy}");
            return fixed(Truth::False, Reason::Overdue, message);
        }
        if too_old_at.is_some_and(|at| at <= now) {
            let age = max_age.map(|age| format!("{age:#}")).unwrap_or_default();
            let message =
                format!("no verified backup is younger than objectives.maxAge allows ({age}); {copy}");
            // Once a scheduled one is missing too, that is said instead.
            return Health { overdue_at, ..fixed(Truth::False, Reason::Overdue, message) };
        }
        let overdue_at = self.missing_at();
        let (status, reason, message) = match ended.filter(|run| run.result == RunResult::Unknown) {
            Some(run) => {
                let message = format!("{}: {}; {copy}", run.job, lost().message);
                (Truth::Unknown, Reason::ReportLost, message)
            }
            None if status.last_success.is_some() => {
                let reason = if is_stored(status) { Reason::Stored } else { Reason::Verified };
                (Truth::True, reason, copy.to_owned())
            }
            None => {
                let message = match (slot, overdue_at) {
                    _ if !in_place => {
                        "there is no backup yet, and its CronJob is not in place: see Ready".to_owned()
                    }
                    (Some(slot), Some(overdue)) if slot <= now => {
                        format!(
                            "the first backup was due at {slot_words} and is overdue from {}",
                            minute(overdue)
                        )
                    }
                    (Some(_), _) => format!("the first backup is due at {slot_words}"),
                    (None, _) => "no backup is due within five years".to_owned(),
                };
                (Truth::Unknown, Reason::AwaitingFirstBackup, message)
            }
        };
        Health { status, reason, message, overdue_at }
    }
}

/// Whether the newest backup's archives were not read, as the policy wants it.
fn is_stored(status: &BackupPolicyStatus) -> bool {
    let verification = status.last_success.as_ref().and_then(|copy| copy.verification);
    verification == Some(Verification::Stored)
}

/// `newest verified backup: 2026-11-23 02:15 UTC, 3 files, 1.21 GiB`.
fn newest_backup(status: &BackupPolicyStatus) -> String {
    let Some(copy) = &status.last_success else { return "there is no verified backup".to_owned() };
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
        return format!("the newest backup, {time}{files}{size}, is not what was written any more");
    }
    let what = if is_stored(status) { "stored backup, its archives not read" } else { "verified backup" };
    format!("newest {what}: {time}{files}{size}")
}
