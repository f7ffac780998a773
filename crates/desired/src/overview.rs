//! A policy at a glance: what the ops endpoint shows of it, for people and for programs. Read from its status, which
//! decides; nothing is judged here a second time, but that a moment which the status names has passed.

use std::collections::BTreeMap;

use api::{
    BackupPolicy, BackupPolicyStatus,
    status::{BackupStatus, RunResult, ScrubStatus},
};
use domain::{
    reason::Reason,
    schedule::{self, Schedule},
};
use jiff::Timestamp;
use k8s_openapi::apimachinery::pkg::apis::meta::v1::Condition;
use kube::ResourceExt as _;
use schemars::JsonSchema;
use serde::Serialize;

use crate::{status::text::minute, validate::max_age};

/// A policy at a glance.
#[derive(Clone, Debug, PartialEq, JsonSchema, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct Overview {
    /// Its namespace.
    pub namespace: String,
    /// Its name.
    pub name: String,
    /// How it stands.
    pub state: State,
    /// Why, as a word of `docs/reference/reasons.md`.
    pub reason: String,
    /// The same for a person.
    pub message: String,
    /// The schedule as it is in the CronJob.
    pub schedule: String,
    /// Its time zone.
    pub time_zone: String,
    /// When the next backup starts.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub next_schedule_time: Option<Timestamp>,
    /// When the policy becomes, or became, overdue unless a backup that counts comes; absent while it is suspended.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub overdue_time: Option<Timestamp>,
    /// Whether that moment is past: a backup that was due is missing, whatever else is wrong.
    pub overdue: bool,
    /// How far apart its next two backups are, in seconds.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub expected_interval_seconds: Option<i64>,
    /// The newest backup that counted when it was taken, whatever a scrub found since: `verification` says it.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub last_success: Option<Copy>,
    /// The recovery point of the newest backup that was read back and found good, or acknowledged: that of `lastSuccess`, or an
    /// earlier one where that backup is only stored or was found corrupted; absent where none is known.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub last_verified_time: Option<Timestamp>,
    /// `objectives.maxAge`, as it is written.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub max_age: Option<String>,
    /// The same in seconds.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub max_age_seconds: Option<i64>,
    /// Complete backups in the store.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub backups: Option<Backups>,
    /// Whether old backups are removed as the rules say, as the newest run that could look found it.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub retention: Option<Retention>,
    /// Whether stored backups are read again, and are as they were written; absent where the policy does not ask for it.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub scrub: Option<Scrub>,
    /// The newest runs, oldest first.
    pub runs: Vec<Run>,
}

/// How the removal of old backups stands.
#[derive(Clone, Debug, PartialEq, Eq, JsonSchema, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct Retention {
    /// Nothing is wrong with it; having no rules is not.
    pub healthy: bool,
    /// Why, as a word of `docs/reference/reasons.md`.
    pub reason: String,
    /// The same for a person.
    pub message: String,
}

/// How the reading again of stored backups stands.
#[derive(Clone, Debug, PartialEq, Eq, JsonSchema, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct Scrub {
    /// Nothing is wrong with it that is known.
    pub healthy: bool,
    /// Why, as a word of `docs/reference/reasons.md`.
    pub reason: String,
    /// The same for a person.
    pub message: String,
    /// The newest one that ended.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub last: Option<ScrubRun>,
}

/// A scrub that ended, however it went.
#[derive(Clone, Copy, Debug, PartialEq, Eq, JsonSchema, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct ScrubRun {
    /// When it started.
    pub start_time: Timestamp,
    /// How many backups are as they were written.
    pub passed: u32,
    /// How many are not; 20 stands for more as well.
    pub corrupted: u32,
    /// How many it could not read.
    pub unchecked: u32,
}

/// How a policy stands.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, JsonSchema, Serialize)]
pub enum State {
    /// The newest run failed, a backup is missing, suspicious or corrupted, or the policy cannot work.
    Unhealthy,
    /// It is not known: the first backup is not due yet, or a run left no report.
    Unknown,
    /// No backups are taken.
    Suspended,
    /// The newest backup that is due is there: verified, stored where the policy asks for no more, or acknowledged.
    Healthy,
}

/// A backup that counted when it was taken.
#[derive(Clone, Debug, PartialEq, JsonSchema, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct Copy {
    /// Its recovery point.
    pub snapshot_time: Timestamp,
    /// Its set in the store.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub backup: Option<String>,
    /// Its stored bytes.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub size_bytes: Option<u64>,
    /// How long its run took.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub duration_seconds: Option<f64>,
    /// How long each stage of it took, in seconds, by the stage's name; empty where nobody has told.
    pub stages: BTreeMap<String, f64>,
    /// What reading it back gave: `Verified`; `Stored` where the policy asks for no more; `Acknowledged` by a person, where it
    /// was suspicious; `Corrupted` where a later scrub found that it is not what was written any more.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub verification: Option<String>,
}

/// What the store holds.
#[derive(Clone, Copy, Debug, PartialEq, Eq, JsonSchema, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct Backups {
    /// Complete ones.
    pub all: u32,
    /// Those whose newest check passed.
    pub verified: u32,
    /// Those that wait for somebody to look.
    pub suspicious: u32,
    /// Their stored bytes.
    pub size_bytes: u64,
}

/// A run that ended.
#[derive(Clone, Debug, PartialEq, JsonSchema, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct Run {
    /// When it started.
    pub start_time: Timestamp,
    /// How it ended.
    pub result: RunResult,
    /// Why.
    pub reason: String,
    /// What it stored.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub size_bytes: Option<u64>,
}

impl Backups {
    /// Those whose newest check found that they are not what was written.
    pub const fn failed(self) -> u32 {
        self.all.saturating_sub(self.verified).saturating_sub(self.suspicious)
    }
}

impl State {
    /// Whether an uptime probe should be content.
    pub const fn is_good(self) -> bool {
        !matches!(self, Self::Unhealthy)
    }
}

/// A policy at a glance, at this moment.
pub fn overview(policy: &BackupPolicy, now: Timestamp) -> Overview {
    let nothing = BackupPolicyStatus::default();
    let status = policy.status.as_ref().unwrap_or(&nothing);
    let overdue_time = status.overdue_time.as_ref().map(|time| time.0);
    let standing = standing(policy, status, overdue_time.filter(|at| *at <= now));
    let effective = status.effective_schedule.as_ref().unwrap_or(&policy.spec.schedule);
    Overview {
        namespace: policy.namespace().unwrap_or_default(),
        name: policy.name_any(),
        state: standing.state,
        reason: standing.reason,
        message: standing.message,
        schedule: effective.clone(),
        time_zone: policy.spec.time_zone.clone(),
        next_schedule_time: status.next_schedule_time.as_ref().map(|time| time.0),
        overdue_time,
        overdue: overdue_time.is_some_and(|at| at <= now),
        expected_interval_seconds: interval(effective, &policy.spec.time_zone, now),
        last_success: status.last_success.as_ref().and_then(copy),
        last_verified_time: status.last_verified_time.as_ref().map(|time| time.0),
        max_age: policy.spec.objectives.max_age.clone(),
        max_age_seconds: max_age(&policy.spec.objectives).ok().flatten().map(|age| age.as_secs()),
        backups: status.retained.as_ref().map(|retained| Backups {
            all: retained.backups,
            verified: retained.verified,
            suspicious: retained.suspicious,
            size_bytes: retained.size_bytes,
        }),
        retention: find(status, "RetentionHealthy").map(|condition| Retention {
            healthy: condition.status != "False",
            reason: condition.reason.clone(),
            message: condition.message.clone(),
        }),
        scrub: find(status, "ScrubHealthy").map(|condition| Scrub {
            healthy: condition.status != "False",
            reason: condition.reason.clone(),
            message: condition.message.clone(),
            last: status.last_scrub.as_ref().and_then(scrub_run),
        }),
        runs: status
            .history
            .iter()
            .rev()
            .map(|run| Run {
                start_time: run.start_time.0,
                result: run.result,
                reason: run.reason.clone(),
                size_bytes: run.size_bytes,
            })
            .collect(),
    }
}

fn find<'a>(status: &'a BackupPolicyStatus, kind: &str) -> Option<&'a Condition> {
    status.conditions.iter().find(|condition| condition.type_ == kind)
}

/// How a policy stands, and why.
struct Standing {
    state: State,
    reason: String,
    message: String,
}

/// What its conditions say. `overdue_since`: the moment that the status names has passed, whether somebody has written into the
/// conditions what that means or not; where statuses cannot be written, nobody does.
fn standing(
    policy: &BackupPolicy,
    status: &BackupPolicyStatus,
    overdue_since: Option<Timestamp>,
) -> Standing {
    let (state, condition) = state(status);
    let rests = policy.spec.suspend || state == State::Suspended;
    if let Some(since) = overdue_since.filter(|_| !rests && state != State::Unhealthy) {
        let message = format!(
            "since {} a backup is missing that was due: look at the policy's Jobs and events; where they are well, look at the \
             operator's log, for it has not written that into the status",
            minute(since)
        );
        return Standing { state: State::Unhealthy, reason: Reason::Overdue.as_str().to_owned(), message };
    }
    let (reason, message) = match condition {
        Some(condition) => (condition.reason.as_str(), condition.message.as_str()),
        None => ("Reconciling", "the operator has not looked at it yet"),
    };
    Standing { state, reason: reason.to_owned(), message: message.to_owned() }
}

/// The condition that says the most, and what it makes of the policy.
fn state(status: &BackupPolicyStatus) -> (State, Option<&Condition>) {
    let health = find(status, "BackupHealthy");
    // What is wrong, before what comes of it.
    if let Some(not_ready) = find(status, "Ready").filter(|ready| ready.status == "False") {
        return (State::Unhealthy, Some(not_ready));
    }
    if let Some(stalled) = find(status, "Stalled").filter(|stalled| stalled.status == "True") {
        return (State::Unhealthy, Some(stalled));
    }
    let state = match health.map(|health| (health.status.as_str(), health.reason.as_str())) {
        Some(("True", _)) => State::Healthy,
        Some(("False", _)) => State::Unhealthy,
        Some((_, "Suspended")) => State::Suspended,
        _ => State::Unknown,
    };
    (state, health)
}

fn scrub_run(scrub: &ScrubStatus) -> Option<ScrubRun> {
    Some(ScrubRun {
        start_time: scrub.start_time.as_ref()?.0,
        passed: scrub.passed,
        corrupted: u32::try_from(scrub.corrupted.len()).unwrap_or(u32::MAX),
        unchecked: scrub.unchecked,
    })
}

fn copy(success: &BackupStatus) -> Option<Copy> {
    let time = success.snapshot_time.as_ref().or(success.start_time.as_ref())?;
    Some(Copy {
        snapshot_time: time.0,
        backup: success.backup.clone(),
        size_bytes: success.size_bytes,
        duration_seconds: success.duration_seconds,
        stages: success.stages.clone(),
        verification: success.verification.clone(),
    })
}

fn interval(effective: &str, zone: &str, now: Timestamp) -> Option<i64> {
    let zone = schedule::time_zone(zone).ok()?;
    let schedule = Schedule::parse(effective, "").ok()?;
    let first = schedule.after(&zone, now)?;
    Some(schedule.after(&zone, first)?.duration_since(first).as_secs())
}

#[cfg(test)]
mod tests;
