//! The overview of a policy, as the ops endpoint serves it to people and to programs. It comes from the
//! policy's status.

use std::collections::BTreeMap;

use api::{
    BackupPolicy, BackupPolicyStatus,
    status::{AnyReason, BackupStatus, ConditionType, RunResult, ScrubStatus, Verification},
};
use desired::validate::max_age;
use domain::schedule::{self, Schedule};
use jiff::Timestamp;
use kube::ResourceExt as _;
use schemars::JsonSchema;
use serde::Serialize;

use crate::state::{ConditionState, Standing, State, standing};

/// The overview of a policy.
#[derive(Clone, Debug, PartialEq, JsonSchema, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct Overview {
    /// The policy's namespace.
    pub namespace: String,
    /// The policy's name.
    pub name: String,
    /// The policy's state.
    pub state: State,
    /// Why the policy is in this state: a reason from docs/reference/reasons.md.
    pub reason: String,
    /// The reason in a sentence: that of the condition which decides the state.
    pub message: String,
    /// The schedule as the CronJob has it, with H resolved.
    pub schedule: String,
    /// The schedule's time zone.
    pub time_zone: String,
    /// Start of the next scheduled backup; absent while the policy is suspended or
    /// invalid, or while its CronJob does not exist.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub next_schedule_time: Option<Timestamp>,
    /// Time at which the policy becomes overdue, or became overdue, without a new successful backup; absent
    /// while the policy is suspended or was never valid, or if nothing is due within five years and
    /// objectives.maxAge is not set.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub overdue_time: Option<Timestamp>,
    /// Whether overdueTime has passed. A policy can be overdue although its reason is another one.
    pub overdue: bool,
    /// Time between the next two scheduled backups, in seconds.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub expected_interval_seconds: Option<i64>,
    /// The newest successful backup. A later scrub may have found it corrupted: see verification.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub last_success: Option<Backup>,
    /// Recovery point of the newest verified or acknowledged backup. It is older than
    /// lastSuccess.snapshotTime if that backup is only stored or is corrupted; absent without such a backup.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub last_verified_time: Option<Timestamp>,
    /// spec.objectives.maxAge, as written.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub max_age: Option<String>,
    /// spec.objectives.maxAge in seconds.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub max_age_seconds: Option<i64>,
    /// The complete backups in the store; absent until a run has reported them.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub backups: Option<BackupCounts>,
    /// Whether retention removes old backups by the rules, from the condition RetentionHealthy. It is Healthy
    /// without rules.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub retention: Option<Check>,
    /// Whether scrubs run on time and find the stored backups intact; absent without spec.verification.scrub.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub scrub: Option<Scrub>,
    /// The newest runs, oldest first.
    pub runs: Vec<Run>,
}

/// The state of retention or of scrubs, from its condition.
#[derive(Clone, Debug, PartialEq, Eq, JsonSchema, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct Check {
    /// The condition's status: Healthy is True, Unhealthy is False.
    pub state: ConditionState,
    /// Why the condition is in this state: a reason from docs/reference/reasons.md.
    pub reason: String,
    /// The reason in a sentence.
    pub message: String,
}

/// Whether scrubs run on time and find the stored backups intact, from the condition ScrubHealthy.
#[derive(Clone, Debug, PartialEq, Eq, JsonSchema, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct Scrub {
    /// The condition ScrubHealthy.
    #[serde(flatten)]
    pub check: Check,
    /// The newest scrub that ended, successful or not.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub last: Option<ScrubRun>,
}

/// A scrub that ended, successful or not.
#[derive(Clone, Copy, Debug, PartialEq, Eq, JsonSchema, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct ScrubRun {
    /// Start of the scrub.
    pub start_time: Timestamp,
    /// Number of backups that the scrub found intact.
    pub passed: u32,
    /// Number of backups that the scrub found corrupted; 20 means 20 or more.
    pub corrupted: u32,
    /// Number of backups whose check had no result, for example because the store did not answer.
    pub unchecked: u32,
}

/// A successful backup.
#[derive(Clone, Debug, PartialEq, JsonSchema, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct Backup {
    /// The backup's recovery point.
    pub snapshot_time: Timestamp,
    /// The backup's name in the store.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub backup: Option<String>,
    /// Stored size in bytes.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub size_bytes: Option<u64>,
    /// Duration of the backup's run, in seconds.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub duration_seconds: Option<f64>,
    /// Duration of each stage of the run, in seconds, by the stage's name; empty if the run reported none.
    pub stages: BTreeMap<String, f64>,
    /// State of the backup. Verified: its archives were read back and are complete. Stored: only its stored
    /// bytes were compared, because verification.level is Checksum. Acknowledged: a person accepted the
    /// suspicious backup. Corrupted: a later scrub found that a file is missing or has changed.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schemars(with = "Option<String>")]
    pub verification: Option<Verification>,
}

/// The complete backups in a policy's repository.
#[derive(Clone, Copy, Debug, PartialEq, Eq, JsonSchema, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct BackupCounts {
    /// Number of complete backups.
    pub all: u32,
    /// Number of backups that passed their newest check and that are not suspicious.
    pub verified: u32,
    /// Number of suspicious backups that are not acknowledged.
    pub suspicious: u32,
    /// Stored size of all complete backups, in bytes.
    pub size_bytes: u64,
}

impl BackupCounts {
    /// Returns the number of backups whose newest check failed.
    pub const fn corrupted(self) -> u32 {
        self.all.saturating_sub(self.verified).saturating_sub(self.suspicious)
    }
}

/// A backup run that ended.
#[derive(Clone, Debug, PartialEq, JsonSchema, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct Run {
    /// Start of the run.
    pub start_time: Timestamp,
    /// The run's result.
    pub result: RunResult,
    /// Why the run has this result: a reason from docs/reference/reasons.md.
    pub reason: AnyReason,
    /// Size of the backup that the run stored, in bytes; absent if it stored none.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub size_bytes: Option<u64>,
}

impl Overview {
    /// Returns the check that a condition gives; `None` if the policy has none, or if the condition decides
    /// the policy's state.
    pub fn check(&self, condition: ConditionType) -> Option<&Check> {
        match condition {
            ConditionType::Ready
            | ConditionType::Reconciling
            | ConditionType::Stalled
            | ConditionType::BackupHealthy => None,
            ConditionType::RetentionHealthy => self.retention.as_ref(),
            ConditionType::ScrubHealthy => self.scrub.as_ref().map(|scrub| &scrub.check),
        }
    }

    /// Returns the start of the newest ended run that a check is about; `None` if no run ended, or if the
    /// check is not about runs.
    pub fn last_start(&self, condition: ConditionType) -> Option<Timestamp> {
        match condition {
            ConditionType::Ready
            | ConditionType::Reconciling
            | ConditionType::Stalled
            | ConditionType::BackupHealthy
            | ConditionType::RetentionHealthy => None,
            ConditionType::ScrubHealthy => Some(self.scrub.as_ref()?.last?.start_time),
        }
    }

    /// Returns the failed checks. The policy's state does not include them.
    pub fn failed_checks(&self) -> impl Iterator<Item = (ConditionType, &Check)> {
        let checks = ConditionType::all().filter_map(|condition| Some((condition, self.check(condition)?)));
        checks.filter(|(_, check)| check.state == ConditionState::Unhealthy)
    }
}

/// Returns the overview of a policy at the time `now`.
pub fn overview(policy: &BackupPolicy, now: Timestamp) -> Overview {
    let empty = BackupPolicyStatus::default();
    let status = policy.status.as_ref().unwrap_or(&empty);
    let Standing { state, reason, message } = standing(policy, status, now);
    let overdue_time = status.overdue_time.as_ref().map(|time| time.0);
    let schedule = status.effective_schedule.as_ref().unwrap_or(&policy.spec.schedule);
    Overview {
        namespace: policy.namespace().unwrap_or_default(),
        name: policy.name_any(),
        state,
        reason,
        message,
        schedule: schedule.clone(),
        time_zone: policy.spec.time_zone.clone(),
        next_schedule_time: status.next_schedule_time.as_ref().map(|time| time.0),
        overdue_time,
        overdue: overdue_time.is_some_and(|at| at <= now),
        expected_interval_seconds: interval_seconds(schedule, &policy.spec.time_zone, now),
        last_success: status.last_success.as_ref().and_then(backup),
        last_verified_time: status.last_verified_time.as_ref().map(|time| time.0),
        max_age: policy.spec.objectives.max_age.clone(),
        max_age_seconds: max_age(&policy.spec.objectives).ok().flatten().map(|age| age.as_secs()),
        backups: status.retained.as_ref().map(|retained| BackupCounts {
            all: retained.backups,
            verified: retained.verified,
            suspicious: retained.suspicious,
            size_bytes: retained.size_bytes,
        }),
        retention: check(status, ConditionType::RetentionHealthy),
        scrub: check(status, ConditionType::ScrubHealthy)
            .map(|check| Scrub { check, last: status.last_scrub.as_ref().and_then(scrub_run) }),
        runs: runs(status),
    }
}

fn check(status: &BackupPolicyStatus, kind: ConditionType) -> Option<Check> {
    let condition = status.condition(kind)?;
    Some(Check {
        state: condition.into(),
        reason: condition.reason.clone(),
        message: condition.message.clone(),
    })
}

fn runs(status: &BackupPolicyStatus) -> Vec<Run> {
    let run = |run: &api::status::RunStatus| Run {
        start_time: run.start_time.0,
        result: run.result,
        reason: run.reason.clone(),
        size_bytes: run.size_bytes,
    };
    status.history.iter().rev().map(run).collect()
}

fn scrub_run(scrub: &ScrubStatus) -> Option<ScrubRun> {
    Some(ScrubRun {
        start_time: scrub.run.start_time.as_ref()?.0,
        passed: scrub.passed,
        corrupted: u32::try_from(scrub.corrupted.len()).unwrap_or(u32::MAX),
        unchecked: scrub.unchecked,
    })
}

fn backup(success: &BackupStatus) -> Option<Backup> {
    let time = success.snapshot_time.as_ref().or(success.start_time.as_ref())?;
    Some(Backup {
        snapshot_time: time.0,
        backup: success.backup.clone(),
        size_bytes: success.size_bytes,
        duration_seconds: success.duration_seconds,
        stages: success.stages.clone(),
        verification: success.verification,
    })
}

fn interval_seconds(schedule: &str, zone: &str, now: Timestamp) -> Option<i64> {
    let zone = schedule::time_zone(zone).ok()?;
    let schedule = Schedule::parse(schedule, "").ok()?;
    let first = schedule.after(&zone, now)?;
    Some(schedule.after(&zone, first)?.duration_since(first).as_secs())
}

#[cfg(test)]
mod tests;
