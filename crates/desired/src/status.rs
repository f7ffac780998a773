//! The status of a policy: from the previous one, the spec and what is observed now.
//!
//! An unchanged observation gives an equal status, so the operator writes nothing: transition times come from the previous
//! status, which also keeps what deleted Jobs reported.

mod clocks;
mod condition;
mod health;
mod hint;
mod history;
mod record;
mod retained;
mod run;
mod scrub;
mod since;
pub(crate) mod text;
mod verified;

use api::{
    BackupPolicy, BackupPolicyStatus,
    status::{ConditionType, RunResult, ScheduleStatus, time},
};
use domain::{
    operation::{Operation, PerOperation},
    reason::Reason,
    report::RunReport,
};
use jiff::Timestamp;
use k8s_openapi::apimachinery::pkg::apis::meta::v1::Time;

pub(crate) use self::run::why;
use self::{
    condition::{Conditions, Truth},
    health::Request,
    run::{AssessedRun, assess_run},
};
use crate::{
    observed::{
        JobState, Observed, ObservedCronJob, ObservedOperation, ObservedRun, Problem, START_GRACE,
        UnexplainedWait,
    },
    request::open_request,
    validate::{Invalid, ValidPolicy},
};

/// A status, and when time alone changes it.
#[derive(Clone, Debug, PartialEq)]
pub struct StatusOutcome {
    /// The status.
    pub status: BackupPolicyStatus,
    /// When the status changes next without a new observation: a slot passes, or a backup becomes overdue.
    pub next_change: Option<Timestamp>,
}

/// Computes the status at `now`.
pub fn status(
    policy: &BackupPolicy,
    valid: Result<&ValidPolicy, &Invalid>,
    observed: &Observed,
    now: Timestamp,
) -> StatusOutcome {
    let mut previous = policy.status.clone().unwrap_or_default();
    let created = policy.metadata.creation_timestamp.as_ref().map_or(Timestamp::UNIX_EPOCH, |time| time.0);
    clocks::correct_marks(&mut previous, created.max(now));
    let name = policy.metadata.name.as_deref().unwrap_or_default();
    let (observed, plausible_at) = clocks::correct_implausible(of_this_policy(observed, created), now);
    let (observed, settles_at) = settled(observed, now);
    let observed = &observed;
    let assessed =
        observed.operations.as_ref().map(|operation, seen| assess(seen, &operation.cron_job(name)));
    let PerOperation { backup: mut runs, scrub: scrubs } = assessed;
    runs.retain(|run| !history::knows_more(&previous, run));
    let backups = &observed.operations.backup.runs;
    let newest_unseen = history::newest_unseen(&previous, backups);
    let current: Vec<&RunReport> = runs
        .iter()
        .filter(|run| Some(run.start) >= newest_unseen)
        .filter_map(AssessedRun::final_report)
        .collect();
    let mut status = facts(&previous, backups, &runs, &current, created);
    status.retained = retained::retained(&previous, &current, &scrubs);
    if let Ok(valid) = valid {
        record::acknowledge(&mut status, &valid.acknowledged);
    }
    // An acknowledged backup may be corrupted.
    scrub::remember(&mut status, &previous, &scrubs);
    status.last_verified_time = verified::last_verified(&previous, &status, &runs, &scrubs);
    status.observed_generation = policy.metadata.generation;
    status.last_handled_request =
        observed.handled_request.clone().or_else(|| previous.last_handled_request.clone());

    let mut conditions = Conditions::new(&previous.conditions, policy.metadata.generation, now);
    condition::acceptance(&mut conditions, valid, observed);
    let mut next_change = plausible_at;
    let in_place =
        observed.operations.as_ref().map(|_, operation| operation.cron_job == ObservedCronJob::Ours);
    match valid {
        Ok(valid) => {
            let known = known_schedule(policy, &previous);
            let next_slot = since::next((&valid.schedule, &valid.zone), known, now);
            let next_slot = next_slot.filter(|_| in_place.backup && !valid.suspend);
            status.next_schedule_time = next_slot.map(time);
            if in_place.backup {
                status.effective_schedule = Some(valid.schedule.effective().to_owned());
                status.schedule_since = schedule_since(valid, &previous, known, now);
            } else {
                // An existing CronJob of the policy keeps its schedule.
                status.effective_schedule.clone_from(&previous.effective_schedule);
                status.schedule_since = previous.schedule_since.clone().or_else(|| Some(time(valid.created)));
            }
            status.overdue_time = health::overdue_time(valid, &status, now).map(time);
            let obstacle = observed.refused_request.as_ref();
            let request = open_request(policy).map(|token| Request { token, obstacle });
            let obstacle = condition::obstacle_of(valid, Operation::Backup, observed);
            let health = health::health(valid, obstacle.as_ref(), &status, &runs, request, now);
            conditions.set(ConditionType::BackupHealthy, health.status, health.reason, health.message);
            status.scrub_schedule = scrub::schedule(valid, in_place.scrub, &previous, known.same_spec, now);
            let scrub_changes = scrub::health(&mut conditions, valid, &status, &scrubs, now);
            let settles_at = settles_at.filter(|_| !valid.suspend);
            let backup_plausible_at = health::plausible_at(&status, now);
            let changes =
                [plausible_at, backup_plausible_at, next_slot, health.overdue_at, scrub_changes, settles_at];
            next_change = changes.into_iter().flatten().min();
        }
        Err(invalid) => {
            // The CronJob goes on as it was; when, cannot be told from a policy that says otherwise, and a time that was
            // announced before would soon be past.
            status.effective_schedule.clone_from(&previous.effective_schedule);
            status.schedule_since.clone_from(&previous.schedule_since);
            // An invalid spec must not hide a missing backup.
            status.overdue_time.clone_from(&previous.overdue_time);
            status.scrub_schedule = previous
                .scrub_schedule
                .clone()
                .map(|known| ScheduleStatus { next_schedule_time: None, ..known });
            conditions.keep(ConditionType::ScrubHealthy);
            if let Some(health) = health::newest_failed(&status).or_else(|| health::newest_corrupted(&status))
            {
                conditions.set(ConditionType::BackupHealthy, health.status, health.reason, health.message);
            } else {
                // Without a CronJob no backup can start. With one, an invalid spec changes nothing about the backups.
                let runs_on = in_place.backup || status.last_success.is_some();
                if !runs_on || !conditions.keep(ConditionType::BackupHealthy) {
                    let message = format!("no backup can start: {invalid}");
                    conditions.set(ConditionType::BackupHealthy, Truth::Unknown, invalid.reason(), message);
                }
            }
        }
    }
    condition::retention(&mut conditions, current.iter().rev().find_map(|report| report.prune()));
    status.conditions = conditions.finish();
    StatusOutcome { status, next_change }
}

/// The observation without the Jobs of an earlier policy of the same name, which the garbage collector has not deleted yet.
fn of_this_policy(observed: &Observed, created: Timestamp) -> Observed {
    let mut observed = observed.clone();
    for operation in observed.operations.values_mut() {
        operation.runs.retain(|run| run.created >= created);
    }
    observed
}

/// Without what may pass by itself: a pod that has not waited long for its node. And when the first of them has, or has
/// said nothing for long.
fn settled(mut observed: Observed, now: Timestamp) -> (Observed, Option<Timestamp>) {
    let patience_ends = |problem: &Problem| {
        let since = problem.since.filter(|_| problem.reason == Reason::Unschedulable)?;
        since.checked_add(START_GRACE).ok().filter(|ends| *ends > now)
    };
    let mut settles_at = None;
    for run in observed.runs_mut().filter(|run| run.state == JobState::Active) {
        let unscheduled = run.problem.as_ref().and_then(patience_ends);
        if unscheduled.is_some() {
            run.problem = None;
        }
        let speaks = run.unexplained_wait.as_ref().map(UnexplainedWait::ends).filter(|ends| *ends > now);
        settles_at = [settles_at, unscheduled, speaks].into_iter().flatten().min();
    }
    (observed, settles_at)
}

/// The observed runs of an operation, oldest first.
fn assess<'a>(observed: &'a ObservedOperation, cron_job: &str) -> Vec<AssessedRun<'a>> {
    let mut runs: Vec<AssessedRun<'_>> = observed.runs.iter().map(|run| assess_run(run, cron_job)).collect();
    runs.sort_by_key(|run| (run.start, &run.observed.job, &run.observed.job_uid));
    runs
}

/// Everything but the conditions: what was known, and what the runs add to it. `current` are the reports that are
/// not out of date, oldest first.
fn facts(
    previous: &BackupPolicyStatus,
    observed: &[ObservedRun],
    runs: &[AssessedRun<'_>],
    current: &[&RunReport],
    created: Timestamp,
) -> BackupPolicyStatus {
    let vanished = history::vanished(previous, observed);
    let news = history::news(previous, runs);
    let mut last_run = previous.last_run.clone();
    if let (Some(last), Some(_)) = (&mut last_run, vanished) {
        last.result = RunResult::Unknown;
    }
    let newest_first = || current.iter().rev();
    let mut status = BackupPolicyStatus {
        server_version: newest_first()
            .find_map(|report| report.details.as_backup()?.server_version.clone())
            .or_else(|| previous.server_version.clone()),
        client_version: newest_first()
            .find_map(|report| report.details.as_backup()?.client_version.clone())
            .or_else(|| previous.client_version.clone()),
        last_run,
        last_success: previous.last_success.clone(),
        last_failure: previous.last_failure.clone(),
        history: history::history(previous, runs, &news, vanished, created),
        ..BackupPolicyStatus::default()
    };
    record::remember(&mut status, runs, &news);
    status
}

/// The backups' schedule as the previous status has it.
fn known_schedule<'a>(policy: &BackupPolicy, previous: &'a BackupPolicyStatus) -> since::Known<'a> {
    since::Known {
        same_spec: policy.metadata.generation.is_some()
            && previous.observed_generation == policy.metadata.generation,
        effective: previous.effective_schedule.as_deref(),
        announced: previous.next_schedule_time.as_ref(),
        since: previous.schedule_since.as_ref(),
    }
}

/// Since when the policy's backups are scheduled as they are.
fn schedule_since(
    policy: &ValidPolicy,
    previous: &BackupPolicyStatus,
    known: since::Known<'_>,
    now: Timestamp,
) -> Option<Time> {
    if policy.suspend {
        return None;
    }
    if previous.conditions.is_empty() {
        return Some(time(policy.created));
    }
    Some(since::kept((&policy.schedule, &policy.zone), known).unwrap_or_else(|| time(now)))
}
