//! The condition of an operation that stores no backup, for example `ScrubHealthy`. It states whether the
//! operation's runs start on time and succeed.

use api::{
    BackupPolicyStatus,
    status::{ConditionStatus, ConditionType, RunResult, time},
};
use domain::{message::Message, operation::Operation, overdue, reason::Reason};
use jiff::Timestamp;

use super::{
    condition::Conditions,
    fields,
    run_result::{AssessedRun, cannot_start},
    text::minute,
};
use crate::validate::ValidPolicy;

/// Sets the condition of an operation. Returns the time at which the condition or the next slot changes
/// without a new observation. `runs` are sorted, oldest first.
pub fn health(
    conditions: &mut Conditions<'_>,
    policy: &ValidPolicy,
    operation: Operation,
    status: &BackupPolicyStatus,
    runs: &[AssessedRun<'_>],
    now: Timestamp,
) -> Option<Timestamp> {
    let schedule = policy.schedule_of(operation)?;
    let type_ = ConditionType::health_of(operation);
    if policy.suspend {
        let message = format!("the policy is suspended and starts no {operation}s");
        conditions.set(type_, ConditionStatus::Unknown, Reason::Suspended, message);
        return None;
    }
    let slots = fields::slots(status).get(operation).clone().unwrap_or_default();
    let next = slots.next.map(|time| time.0);
    let newest = runs.last().filter(|run| run.result == RunResult::Running);
    if let Some((reason, message)) = newest.and_then(cannot_start) {
        conditions.set(type_, ConditionStatus::False, reason, message.to_string());
        return next;
    }
    let last = fields::last_ended(status, operation);
    let served = last.and_then(|run| run.scheduled_time.as_ref().or(run.start_time.as_ref())).cloned();
    let since = [slots.since, served].into_iter().flatten().map(|time| time.0).max().unwrap_or(now);
    let longest = overdue::longest_run(last.and_then(|run| run.duration_seconds));
    let overdue_at = overdue::overdue_at(schedule, &policy.zone, since, longest);
    let overdue_at = overdue_at.map(|at| time(at).0);
    let due = schedule.after(&policy.zone, since).map(minute).unwrap_or_default();
    let (truth, reason, message) = match last {
        Some(run) if run.result == RunResult::Failed => {
            let reason = run.reason.known().unwrap_or(Reason::InternalError);
            (ConditionStatus::False, reason, format!("{} failed: {}", run.job, run.message))
        }
        _ if overdue_at.is_some_and(|at| at <= now) => {
            let message = Message::new(format!("the {operation} due at {due} is overdue"))
                .hint("Check the policy's Jobs and events.");
            (ConditionStatus::False, Reason::Overdue, message.to_string())
        }
        Some(run) if run.result == RunResult::Unknown => {
            (ConditionStatus::Unknown, Reason::ReportLost, format!("{}: {}", run.job, run.message))
        }
        Some(run) => {
            let at = run.start_time.as_ref().map_or_else(String::new, |at| minute(at.0));
            let message = format!("newest {operation}: {at}, {}", run.message);
            (ConditionStatus::True, Reason::Verified, message)
        }
        None => {
            let message = format!("the first {operation} is due at {due}");
            (ConditionStatus::Unknown, fields::awaiting_first(operation), message)
        }
    };
    conditions.set(type_, truth, reason, message);
    [next, overdue_at.filter(|at| *at > now)].into_iter().flatten().min()
}
