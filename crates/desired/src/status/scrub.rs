//! `ScrubHealthy`: whether stored backups are read again when they should be, and are as they were written.

use api::{
    BackupPolicyStatus,
    status::{ConditionType, RunResult, ScheduleStatus, ScrubStatus, Verification, time},
};
use domain::{
    message::Message,
    name, overdue,
    reason::Reason,
    report::{Outcome, seconds},
};
use jiff::Timestamp;

use super::{
    condition::{Conditions, Truth},
    run::{AssessedRun, cannot_start},
    since,
    text::{minute, one_line},
};
use crate::validate::{ValidPolicy, ValidScrub};

const TYPE: ConditionType = ConditionType::ScrubHealthy;

/// Puts what scrubs found among the facts: the newest of them, and that the newest backup is corrupted. `runs` are the scrubs
/// that are seen, oldest first.
pub fn remember(status: &mut BackupPolicyStatus, previous: &BackupPolicyStatus, runs: &[AssessedRun<'_>]) {
    status.last_scrub = last_scrub(previous, runs);
    let Some(copy) = &mut status.last_success else { return };
    let is_it = |backup: &String| match (&copy.backup, &copy.snapshot_time) {
        (Some(own), _) => own == backup,
        // Known from another run's report, which does not name it.
        (None, Some(snapshot)) => backup.starts_with(&name::backup_time(snapshot.0)),
        (None, None) => false,
    };
    let known = previous.last_success.as_ref().is_some_and(|known| {
        (&known.job, &known.backup) == (&copy.job, &copy.backup)
            && known.verification == Some(Verification::Corrupted)
    });
    if known || found_corrupted(runs).any(is_it) {
        copy.verification = Some(Verification::Corrupted);
    }
}

/// The backups that these scrubs found corrupted. One that was killed has written down what it found until then.
pub fn found_corrupted<'a>(runs: &'a [AssessedRun<'_>]) -> impl Iterator<Item = &'a String> {
    let found = runs.iter().filter_map(|run| run.report?.details.as_scrub());
    found.flat_map(|scrub| &scrub.corrupted)
}

fn last_scrub(previous: &BackupPolicyStatus, runs: &[AssessedRun<'_>]) -> Option<ScrubStatus> {
    let known = previous.last_scrub.as_ref();
    let Some(run) = runs.iter().rfind(|run| run.result != RunResult::Running) else { return known.cloned() };
    let order = |start: Option<Timestamp>, job: &str| (start, job.to_owned());
    let is_newer = known.is_some_and(|known| {
        order(known.start_time.as_ref().map(|time| time.0), &known.job)
            > order(Some(run.start), &run.observed.job)
    });
    // Of a Job whose pods are gone only its end is left to be seen.
    let knows_more = known.is_some_and(|known| {
        known.job == run.observed.job && known.result != RunResult::Unknown && run.report.is_none()
    });
    if is_newer || knows_more { known.cloned() } else { Some(scrub_status(run)) }
}

fn scrub_status(run: &AssessedRun<'_>) -> ScrubStatus {
    let report = run.final_report();
    let end = report.and_then(|report| report.completion_time);
    let found = run.report.and_then(|report| report.details.as_scrub()).cloned().unwrap_or_default();
    let failure = run.failure.as_ref().map(|failure| failure.message.to_string());
    let success = report.filter(|report| report.outcome == Outcome::Succeeded);
    ScrubStatus {
        job: run.observed.job.clone(),
        result: run.result,
        reason: run.reason().into(),
        message: failure
            .or_else(|| success.map(|report| one_line(report.message.text())))
            .unwrap_or_default(),
        scheduled_time: run.slot.map(time),
        start_time: Some(time(run.start)),
        completion_time: end.map(time),
        duration_seconds: report.and_then(|report| Some(seconds(end?.duration_since(report.start_time)))),
        passed: found.passed,
        corrupted: found.corrupted,
        unchecked: found.unchecked,
        bytes_read: found.bytes_read,
    }
}

/// When scrubs are due.
pub fn schedule(
    policy: &ValidPolicy,
    in_place: bool,
    previous: &BackupPolicyStatus,
    same_spec: bool,
    now: Timestamp,
) -> Option<ScheduleStatus> {
    let ValidScrub { schedule, .. } = policy.scrub.as_ref()?;
    let known = previous.scrub_schedule.as_ref();
    if !in_place && let Some(known) = known {
        // an existing CronJob keeps its schedule, but the next slot is unknown.
        return Some(ScheduleStatus { next_schedule_time: None, ..known.clone() });
    }
    let before = since::Known {
        same_spec,
        effective: known.map(|known| known.effective_schedule.as_str()),
        announced: known.and_then(|known| known.next_schedule_time.as_ref()),
        since: known.and_then(|known| known.schedule_since.as_ref()),
    };
    let slots = (schedule, &policy.zone);
    let next = since::next(slots, before, now).filter(|_| in_place && !policy.suspend);
    Some(ScheduleStatus {
        effective_schedule: schedule.effective().to_owned(),
        next_schedule_time: next.map(time),
        schedule_since: (!policy.suspend).then(|| since::kept(slots, before).unwrap_or_else(|| time(now))),
    })
}

/// The condition, and when it or the next slot changes though nothing happens.
pub fn health(
    conditions: &mut Conditions<'_>,
    policy: &ValidPolicy,
    status: &BackupPolicyStatus,
    runs: &[AssessedRun<'_>],
    now: Timestamp,
) -> Option<Timestamp> {
    let ValidScrub { schedule, .. } = policy.scrub.as_ref()?;
    let last = status.last_scrub.as_ref();
    let next = status.scrub_schedule.as_ref().and_then(|known| known.next_schedule_time.as_ref());
    let next = next.map(|time| time.0);
    if policy.suspend {
        conditions.set(TYPE, Truth::Unknown, Reason::Suspended, "suspended: no scrubs run");
        return None;
    }
    let newest = runs.last().filter(|run| run.result == RunResult::Running);
    if let Some((reason, message)) = newest.and_then(cannot_start) {
        conditions.set(TYPE, Truth::False, reason, message.to_string());
        return next;
    }
    let since = status.scrub_schedule.as_ref().and_then(|known| known.schedule_since.as_ref());
    let served = last.and_then(|scrub| scrub.scheduled_time.as_ref().or(scrub.start_time.as_ref()));
    let since = [since, served].into_iter().flatten().map(|time| time.0).max().unwrap_or(now);
    let longest = overdue::longest_run(last.and_then(|scrub| scrub.duration_seconds));
    let overdue_at = overdue::overdue_at(schedule, &policy.zone, since, longest);
    let overdue_at = overdue_at.map(|at| time(at).0);
    let due = schedule.after(&policy.zone, since).map(minute).unwrap_or_default();
    let (truth, reason, message) = match last {
        Some(scrub) if scrub.result == RunResult::Failed => {
            let reason = scrub.reason.known().unwrap_or(Reason::InternalError);
            (Truth::False, reason, format!("{} failed: {}", scrub.job, scrub.message))
        }
        _ if overdue_at.is_some_and(|at| at <= now) => {
            let message = Message::new(format!("the scrub due at {due} is overdue"))
                .hint("Check the policy's Jobs and events.");
            (Truth::False, Reason::Overdue, message.to_string())
        }
        Some(scrub) if scrub.result == RunResult::Unknown => {
            (Truth::Unknown, Reason::ReportLost, format!("{}: {}", scrub.job, scrub.message))
        }
        Some(scrub) => {
            let at = scrub.start_time.as_ref().map_or_else(String::new, |at| minute(at.0));
            (Truth::True, Reason::Verified, format!("{at}: {}", scrub.message))
        }
        None => (Truth::Unknown, Reason::AwaitingFirstScrub, format!("the first scrub is due at {due}")),
    };
    conditions.set(TYPE, truth, reason, message);
    [next, overdue_at.filter(|at| *at > now)].into_iter().flatten().min()
}
