//! Fills the fields of the status, many of which belong to one operation. All other code treats the operations
//! alike.

use api::{
    BackupPolicyStatus,
    status::{EndedRun, RunResult, ScheduleStatus, time},
};
use domain::{
    operation::{Operation, PerOperation},
    reason::Reason,
    report::RunReport,
};
use jiff::Timestamp;
use k8s_openapi::apimachinery::pkg::apis::meta::v1::Time;

use super::{history, record, retained, run_result::Runs, scrub, slots::Slots};
use crate::{observed::Observed, validate::ValidPolicy};

/// Returns the operations that store no backup. The health of such an operation depends on its newest run
/// only.
pub fn without_backups() -> impl Iterator<Item = Operation> {
    Operation::all().filter(|operation| *operation != Operation::Backup)
}

/// Returns the reason for an operation's condition before its first run.
pub const fn awaiting_first(operation: Operation) -> Reason {
    match operation {
        Operation::Backup => Reason::AwaitingFirstBackup,
        Operation::Scrub => Reason::AwaitingFirstScrub,
    }
}

/// Returns a status with the facts of the previous status, updated by the runs. `reports` are the reports of
/// backup runs that are not out of date, oldest first.
pub fn facts(
    previous: &BackupPolicyStatus,
    observed: &Observed,
    runs: &Runs<'_>,
    reports: &[&RunReport],
    created: Timestamp,
) -> BackupPolicyStatus {
    let PerOperation { backup: backups, scrub: scrubs } = runs;
    let vanished = history::vanished(previous, &observed.operations.backup.runs);
    let news = history::news(previous, backups);
    let mut last_run = previous.last_run.clone();
    if let (Some(last), Some(_)) = (&mut last_run, vanished) {
        last.result = RunResult::Unknown;
    }
    let newest_first = || reports.iter().rev();
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
        retained: retained::retained(previous, reports, scrubs),
        last_scrub: scrub::last(previous, scrubs),
        last_handled_request: observed
            .handled_request
            .clone()
            .or_else(|| previous.last_handled_request.clone()),
        history: history::history(previous, backups, &news, vanished, created),
        // These follow from the facts above and from the spec.
        observed_generation: None,
        effective_schedule: None,
        next_schedule_time: None,
        schedule_since: None,
        overdue_time: None,
        last_verified_time: None,
        scrub_schedule: None,
        conditions: Vec::new(),
    };
    record::remember(&mut status, backups, &news);
    status
}

/// Returns the newest ended run of an operation; `None` for backups, whose runs are in `history`.
pub fn last_ended(status: &BackupPolicyStatus, operation: Operation) -> Option<&EndedRun> {
    match operation {
        Operation::Backup => None,
        Operation::Scrub => status.last_scrub.as_ref().map(|scrub| &scrub.run),
    }
}

/// Returns the slots of each operation; `None` for an operation without slots in the status.
pub fn slots(status: &BackupPolicyStatus) -> PerOperation<Option<Slots>> {
    let backup = Slots {
        effective: status.effective_schedule.clone(),
        next: status.next_schedule_time.clone(),
        since: status.schedule_since.clone(),
    };
    let others = |schedule: &ScheduleStatus| Slots {
        effective: Some(schedule.effective_schedule.clone()),
        next: schedule.next_schedule_time.clone(),
        since: schedule.schedule_since.clone(),
    };
    PerOperation {
        backup: Some(backup).filter(|slots| *slots != Slots::default()),
        scrub: status.scrub_schedule.as_ref().map(others),
    }
}

/// Writes the slots of each operation into the status.
pub fn set_slots(status: &mut BackupPolicyStatus, slots: PerOperation<Option<Slots>>) {
    let PerOperation { backup, scrub } = slots;
    let backup = backup.unwrap_or_default();
    status.effective_schedule = backup.effective;
    status.next_schedule_time = backup.next;
    status.schedule_since = backup.since;
    let others = |slots: Slots| {
        Some(ScheduleStatus {
            effective_schedule: slots.effective?,
            next_schedule_time: slots.next,
            schedule_since: slots.since,
        })
    };
    status.scrub_schedule = scrub.and_then(others);
}

/// Returns mutable references to the times since which the schedules apply, so that they can be corrected.
pub fn since_mut(status: &mut BackupPolicyStatus) -> PerOperation<Option<&mut Time>> {
    PerOperation {
        backup: status.schedule_since.as_mut(),
        scrub: status.scrub_schedule.as_mut().and_then(|schedule| schedule.schedule_since.as_mut()),
    }
}

/// Returns the slots of an operation that has none in the previous status. `in_place`: the policy's CronJob
/// exists. `is_first`: the policy has no status yet.
pub fn unknown_slots(
    policy: &ValidPolicy,
    operation: Operation,
    in_place: bool,
    is_first: bool,
    now: Timestamp,
) -> Slots {
    let effective = policy.schedule_of(operation).map(|schedule| schedule.effective().to_owned());
    match operation {
        // A policy without a CronJob, and a new policy, must have a backup in time after its creation.
        Operation::Backup => Slots {
            effective: effective.filter(|_| in_place),
            next: None,
            since: (is_first || !in_place).then(|| time(policy.created)),
        },
        Operation::Scrub => {
            Slots { effective, next: None, since: (!in_place && !policy.suspend).then(|| time(now)) }
        }
    }
}
