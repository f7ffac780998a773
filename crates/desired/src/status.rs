//! Computes the status of a policy from the previous status, the spec and the current observation.
//!
//! An unchanged observation results in an equal status, so that the operator writes nothing. For this reason
//! transition times, and the results of deleted Jobs, are kept from the previous status.

mod condition;
mod ended;
pub(crate) mod fields;
mod health;
mod history;
mod periodic;
mod record;
mod retained;
mod run_result;
mod scrub;
mod slots;
mod start_failure_hint;
pub(crate) mod text;
mod verified;
mod wrong_clocks;

use api::{
    BackupPolicy, BackupPolicyStatus,
    status::{ConditionStatus, ConditionType, time},
};
use domain::{name, operation::Operation, reason::Reason, report::RunReport};
use jiff::Timestamp;

pub(crate) use self::run_result::why;
use self::{
    condition::Conditions,
    health::Request,
    run_result::{AssessedRun, Runs, assess_run},
    slots::Slots,
};
use crate::{
    observed::{
        JobState, Observed, ObservedCronJob, ObservedOperation, Problem, START_GRACE, UnexplainedWait,
    },
    open_request::open_request,
    validate::{Invalid, ValidPolicy},
};

/// A computed status, and the time at which it changes without a new observation.
#[derive(Clone, Debug, PartialEq)]
pub struct StatusOutcome {
    /// The computed status.
    pub status: BackupPolicyStatus,
    /// The time at which the status changes without a new observation, for example because a backup becomes
    /// overdue.
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
    wrong_clocks::correct_marks(&mut previous, created.max(now));
    let (observed, plausible_at) = wrong_clocks::correct(of_this_policy(observed, created), now);
    let (observed, grace_ends_at) = without_short_waits(observed, now);
    let runs = assess(policy, &previous, &observed);
    let reports = current_reports(&previous, &observed, &runs);

    let acknowledged = valid.map_or(&[][..], |valid| &valid.backup.acknowledged);
    let mut status = fields::facts(&previous, &observed, &runs, &reports, created);
    record::acknowledge(&mut status, acknowledged);
    // A scrub can find an acknowledged backup corrupted.
    scrub::mark_corrupted(&mut status, &previous, &runs.scrub);
    status.last_verified_time = verified::last_verified(&previous, &status, &runs.backup, &runs.scrub);
    status.observed_generation = policy.metadata.generation;

    let mut conditions = Conditions::new(&previous.conditions, policy.metadata.generation, now);
    condition::acceptance(&mut conditions, valid, &observed);
    let mut changes = vec![plausible_at];
    match valid {
        Ok(valid) => {
            set_slots(&mut status, &previous, policy, valid, &observed, now);
            changes.push(grace_ends_at.filter(|_| !valid.suspend));
            changes.extend(set_health(&mut conditions, &mut status, policy, valid, &observed, &runs, now));
        }
        Err(invalid) => keep_health(&mut conditions, &mut status, &previous, invalid, &observed),
    }
    condition::retention(&mut conditions, reports.iter().rev().find_map(|report| report.prune()));
    status.conditions = conditions.finish();
    StatusOutcome { status, next_change: changes.into_iter().flatten().min() }
}

/// Returns the observation without the Jobs of an earlier policy of the same name. The garbage collector may
/// not have deleted them yet.
fn of_this_policy(observed: &Observed, created: Timestamp) -> Observed {
    let mut observed = observed.clone();
    for operation in observed.operations.values_mut() {
        operation.runs.retain(|run| run.created >= created);
    }
    observed
}

/// Removes the problems of pods that have waited for a node for less than the grace period. Returns the
/// observation, and the first time at which a grace period ends. A wait without an explanation has the same
/// grace period.
fn without_short_waits(mut observed: Observed, now: Timestamp) -> (Observed, Option<Timestamp>) {
    let grace_ends = |problem: &Problem| {
        let since = problem.since.filter(|_| problem.reason == Reason::Unschedulable)?;
        since.checked_add(START_GRACE).ok().filter(|ends| *ends > now)
    };
    let mut first = None;
    for run in observed.runs_mut().filter(|run| run.state == JobState::Active) {
        let unscheduled = run.problem.as_ref().and_then(grace_ends);
        if unscheduled.is_some() {
            run.problem = None;
        }
        let unexplained = run.unexplained_wait.as_ref().map(UnexplainedWait::ends).filter(|ends| *ends > now);
        first = [first, unscheduled, unexplained].into_iter().flatten().min();
    }
    (observed, first)
}

/// Returns the observed runs with their results. Omits each backup run about which the previous status
/// contains more than the observation.
fn assess<'a>(policy: &BackupPolicy, previous: &BackupPolicyStatus, observed: &'a Observed) -> Runs<'a> {
    let name = policy.metadata.name.as_deref().unwrap_or_default();
    let oldest_first = |operation: Operation, observed: &'a ObservedOperation| {
        let cron_job = name::cron_job(name, operation);
        let mut runs: Vec<_> = observed.runs.iter().map(|run| assess_run(run, &cron_job)).collect();
        runs.sort_by_key(|run: &AssessedRun<'_>| (run.start, &run.observed.job, &run.observed.job_uid));
        runs
    };
    let mut runs = observed.operations.as_ref().map(oldest_first);
    runs.backup.retain(|run| !history::knows_more(previous, run));
    runs
}

/// Returns the final reports of backup runs, oldest first. Omits reports that are older than a run in the
/// status that is no longer observed: their information about the server and the store is outdated.
fn current_reports<'a>(
    previous: &BackupPolicyStatus,
    observed: &Observed,
    runs: &Runs<'a>,
) -> Vec<&'a RunReport> {
    let newest_unobserved = history::newest_unobserved(previous, &observed.operations.backup.runs);
    let current = runs.backup.iter().filter(|run| Some(run.start) >= newest_unobserved);
    current.filter_map(AssessedRun::final_report).collect()
}

/// Sets for each operation the schedule, the next slot, and the time since which the schedule applies.
fn set_slots(
    status: &mut BackupPolicyStatus,
    previous: &BackupPolicyStatus,
    policy: &BackupPolicy,
    valid: &ValidPolicy,
    observed: &Observed,
    now: Timestamp,
) {
    let generation = policy.metadata.generation;
    let is_same_spec = generation.is_some() && previous.observed_generation == generation;
    let is_first = previous.conditions.is_empty();
    let slots = fields::slots(previous).map(|operation, known| {
        let in_place = is_in_place(observed, operation);
        let known = known.unwrap_or_else(|| fields::unknown_slots(valid, operation, in_place, is_first, now));
        slots::slots(valid, operation, in_place, known, is_same_spec, now)
    });
    fields::set_slots(status, slots);
}

fn is_in_place(observed: &Observed, operation: Operation) -> bool {
    observed.operations.get(operation).cron_job == ObservedCronJob::Ours
}

/// Sets the condition of each operation. Returns the time at which one of them changes without a new
/// observation.
fn set_health(
    conditions: &mut Conditions<'_>,
    status: &mut BackupPolicyStatus,
    policy: &BackupPolicy,
    valid: &ValidPolicy,
    observed: &Observed,
    runs: &Runs<'_>,
    now: Timestamp,
) -> Vec<Option<Timestamp>> {
    status.overdue_time = health::overdue_time(valid, status, now).map(time);
    let obstacle = observed.refused_request.as_ref();
    let request = open_request(policy).map(|token| Request { token, obstacle });
    let obstacle = condition::obstacle_of(valid, Operation::Backup, observed);
    let health = health::health(valid, obstacle.as_ref(), status, &runs.backup, request, now);
    conditions.set(ConditionType::BackupHealthy, health.status, health.reason, health.message);
    let next_slot = status.next_schedule_time.as_ref().map(|at| at.0);
    let mut changes = vec![next_slot, health.overdue_at, wrong_clocks::success_plausible_at(status, now)];
    changes.extend(
        fields::without_backups().map(|operation| {
            periodic::health(conditions, valid, operation, status, runs.get(operation), now)
        }),
    );
    changes
}

/// Sets the health conditions of a policy whose spec is invalid. Keeps them, except `BackupHealthy` if the newest
/// run failed, the newest backup is corrupted or no backup can start: the CronJobs stay unchanged. Removes the
/// times of the next runs, because the schedules in the spec may differ from those of the CronJobs.
fn keep_health(
    conditions: &mut Conditions<'_>,
    status: &mut BackupPolicyStatus,
    previous: &BackupPolicyStatus,
    invalid: &Invalid,
    observed: &Observed,
) {
    let kind = ConditionType::BackupHealthy;
    let without_next = |slots: Option<Slots>| slots.map(|slots| Slots { next: None, ..slots });
    fields::set_slots(status, fields::slots(previous).map(|_, slots| without_next(slots)));
    // An invalid spec must not hide a missing backup.
    status.overdue_time.clone_from(&previous.overdue_time);
    for operation in fields::without_backups() {
        conditions.keep(ConditionType::health_of(operation));
    }
    if let Some(health) = health::newest_failed(status).or_else(|| health::newest_corrupted(status)) {
        conditions.set(kind, health.status, health.reason, health.message);
        return;
    }
    let starts_backups = is_in_place(observed, Operation::Backup) || status.last_success.is_some();
    if !starts_backups || !conditions.keep(kind) {
        let message = format!("no backup can start: {invalid}");
        conditions.set(kind, ConditionStatus::Unknown, invalid.reason(), message);
    }
}
