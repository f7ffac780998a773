//! A policy at a glance: what the ops endpoint shows of it, for people and for programs. Read from its status, which alone
//! decides; nothing is judged here a second time.

use api::{
    BackupPolicy, BackupPolicyStatus,
    status::{BackupStatus, RunResult},
};
use domain::schedule::{self, Schedule};
use jiff::Timestamp;
use k8s_openapi::apimachinery::pkg::apis::meta::v1::Condition;
use kube::ResourceExt as _;
use schemars::JsonSchema;
use serde::Serialize;

use crate::validate::max_age;

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
    /// Why, as a word of `docs/reasons.md`.
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
    /// How far apart its next two backups are, in seconds.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub expected_interval_seconds: Option<i64>,
    /// The newest verified copy.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub last_success: Option<Copy>,
    /// `objectives.maxAge`, as it is written.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub max_age: Option<String>,
    /// The same in seconds.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub max_age_seconds: Option<i64>,
    /// Complete copies in the store.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub copies: Option<Copies>,
    /// Whether old copies are removed as the rules say, as the newest run that could look found it.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub retention: Option<Retention>,
    /// The newest runs, oldest first.
    pub runs: Vec<Run>,
}

/// How the removal of old copies stands.
#[derive(Clone, Debug, PartialEq, Eq, JsonSchema, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct Retention {
    /// Nothing is wrong with it; having no rules is not.
    pub healthy: bool,
    /// Why, as a word of `docs/reasons.md`.
    pub reason: String,
    /// The same for a person.
    pub message: String,
}

/// How a policy stands.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, JsonSchema, Serialize)]
pub enum State {
    /// The newest run failed, a copy is missing or suspicious, or the policy cannot work.
    Unhealthy,
    /// It is not known: the first copy is not due yet, or a run left no report.
    Unknown,
    /// No backups are taken.
    Suspended,
    /// The newest copy that is due is verified.
    Healthy,
}

/// A verified copy.
#[derive(Clone, Debug, PartialEq, JsonSchema, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct Copy {
    /// Its recovery point.
    pub snapshot_time: Timestamp,
    /// Its set in the store.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub set: Option<String>,
    /// Its stored bytes.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub size_bytes: Option<u64>,
    /// How long its run took.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub duration_seconds: Option<f64>,
    /// `Verified`, or `Stored` where the policy asks for no more.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub verification: Option<String>,
}

/// What the store holds.
#[derive(Clone, Copy, Debug, PartialEq, Eq, JsonSchema, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct Copies {
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
    let (state, condition) = state(status);
    let effective = status.effective_schedule.as_ref().unwrap_or(&policy.spec.schedule);
    Overview {
        namespace: policy.namespace().unwrap_or_default(),
        name: policy.name_any(),
        state,
        reason: condition.map_or_else(|| "Reconciling".to_owned(), |condition| condition.reason.clone()),
        message: condition.map_or_else(
            || "the operator has not looked at it yet".to_owned(),
            |condition| condition.message.clone(),
        ),
        schedule: effective.clone(),
        time_zone: policy.spec.time_zone.clone(),
        next_schedule_time: status.next_schedule_time.as_ref().map(|time| time.0),
        expected_interval_seconds: interval(effective, &policy.spec.time_zone, now),
        last_success: status.last_success.as_ref().and_then(copy),
        max_age: policy.spec.objectives.max_age.clone(),
        max_age_seconds: max_age(&policy.spec.objectives).ok().flatten().map(|age| age.as_secs()),
        copies: status.retained.as_ref().map(|retained| Copies {
            all: retained.sets,
            verified: retained.verified,
            suspicious: retained.suspicious,
            size_bytes: retained.size_bytes,
        }),
        retention: find(status, "RetentionHealthy").map(|condition| Retention {
            healthy: condition.status != "False",
            reason: condition.reason.clone(),
            message: condition.message.clone(),
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

fn copy(success: &BackupStatus) -> Option<Copy> {
    let time = success.snapshot_time.as_ref().or(success.start_time.as_ref())?;
    Some(Copy {
        snapshot_time: time.0,
        set: success.set.clone(),
        size_bytes: success.size_bytes,
        duration_seconds: success.duration_seconds,
        verification: success.verification.clone(),
    })
}

fn interval(effective: &str, zone: &str, now: Timestamp) -> Option<i64> {
    let zone = schedule::time_zone(zone).ok()?;
    let schedule = Schedule::parse(effective, "").ok()?;
    let first = schedule.after(&zone, now)?;
    Some(schedule.after(&zone, first)?.duration_since(first).as_secs())
}
