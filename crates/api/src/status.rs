//! The status of a policy: what the operator observed. The runs and backups in it come from the reports of
//! the runs.

mod any_reason;
mod condition;
mod run;
mod state;

use std::collections::BTreeMap;

use k8s_openapi::{
    apimachinery::pkg::apis::meta::v1::{Condition, Time},
    jiff::Timestamp,
};
use kube::KubeSchema;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use serde_with::skip_serializing_none;

pub use self::{
    any_reason::AnyReason,
    condition::{ConditionStatus, ConditionType},
    run::{ArtifactStatus, BackupStatus, EndedRun, FailureStatus, RunStatus, ScrubStatus},
    state::{RunResult, Trigger, Verification},
};

/// The largest number of runs in `history`.
pub const HISTORY_LIMIT: usize = 10;

/// status reports what the operator observed: the newest runs, the stored backups, and the conditions of the policy.
#[skip_serializing_none]
#[derive(KubeSchema, Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct BackupPolicyStatus {
    /// observedGeneration is the generation of the policy that this status describes. It is -1 before the operator
    /// has processed the policy.
    pub observed_generation: Option<i64>,

    /// effectiveSchedule is the schedule of the CronJob for backups: spec.schedule with a number in place of each H.
    /// For example, "37 2 * * *" for "H 2 * * *".
    pub effective_schedule: Option<String>,

    /// nextScheduleTime is the time at which the next scheduled backup starts. It is absent if the policy is
    /// suspended or invalid, or if its CronJob does not exist.
    pub next_schedule_time: Option<Time>,

    /// scheduleSince is the time since which the current schedule applies: the creation of the policy, the last
    /// change of its schedule, or the end of its last suspension. A backup that was due before this time is never
    /// overdue. It is absent if the policy is suspended.
    pub schedule_since: Option<Time>,

    /// overdueTime is the time at which the policy becomes overdue, unless a successful backup is stored before. A
    /// time in the past means that the policy is overdue now. It depends on the schedule and on objectives.maxAge. It
    /// is absent if the policy is suspended or was never valid, or if nothing is due within five years and
    /// objectives.maxAge is not set.
    pub overdue_time: Option<Time>,

    /// serverVersion is the version of the PostgreSQL server that the newest run connected to. For example, 17.6.
    pub server_version: Option<String>,

    /// clientVersion is the version of the pg_dump that the newest run used. For example, 17.6.
    pub client_version: Option<String>,

    /// lastRun is the newest backup run, which can still be running.
    pub last_run: Option<BackupStatus>,

    /// lastSuccess is the run that stored the newest successful backup. A backup is successful if its verification is
    /// Verified or Acknowledged, or if it is Stored and verification.level is Checksum. If a scrub later finds this
    /// backup corrupted, it remains here with the verification Corrupted.
    pub last_success: Option<BackupStatus>,

    /// lastVerifiedTime is the snapshot time of the newest backup that is Verified or Acknowledged. If the newest
    /// successful backup is Stored or Corrupted, lastVerifiedTime is the snapshot time of an older backup. It is
    /// absent if there is no such backup.
    pub last_verified_time: Option<Time>,

    /// lastFailure is the newest backup run that failed. It remains after later runs succeed.
    pub last_failure: Option<FailureStatus>,

    /// retained describes the backups in the repository, as counted by the newest run that listed them.
    pub retained: Option<RetainedStatus>,

    /// scrubSchedule describes when scrubs start. It is absent if spec.verification.scrub is not set.
    pub scrub_schedule: Option<ScheduleStatus>,

    /// lastScrub is the newest scrub that ended, whatever its result.
    pub last_scrub: Option<ScrubStatus>,

    /// lastHandledRequest is the newest value of the annotation pgbackup.dev/requested-at for which the operator
    /// created a Job.
    pub last_handled_request: Option<String>,

    /// history lists the newest backup runs that ended, newest first. At most 10 entries.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    #[schemars(length(max = 10))]
    pub history: Vec<RunStatus>,

    /// conditions describe the state of the policy. Ready: the policy is accepted and its CronJobs exist.
    /// Reconciling: the operator is creating the CronJobs. Stalled: the policy cannot work until a person changes
    /// something. BackupHealthy: the newest backup that was due is stored and successful. RetentionHealthy: retention
    /// works as the policy defines it. ScrubHealthy: scrubs run on time and find no corrupted backup. Reconciling and
    /// Stalled exist only while they are True. ScrubHealthy exists only if spec.verification.scrub is set.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    #[x_kube(merge_strategy = ListMerge::Map(vec!["type".into()]))]
    #[schemars(length(max = 16))]
    pub conditions: Vec<Condition>,
}

impl BackupPolicyStatus {
    /// Returns the condition of the given type, or `None` if the status has no such condition.
    pub fn condition(&self, type_: ConditionType) -> Option<&Condition> {
        self.conditions.iter().find(|condition| condition.type_ == type_.as_str())
    }
}

/// The backups in a repository.
#[skip_serializing_none]
#[derive(JsonSchema, Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct RetainedStatus {
    /// asOf is the start time of the run that counted the backups.
    pub as_of: Option<Time>,

    /// backups is the number of complete backups in the repository, in any state.
    pub backups: u32,

    /// verified is the number of backups that passed their newest check and that are not suspicious. Acknowledged
    /// backups are included. With verification.level: Checksum, backups whose stored bytes were compared are included.
    pub verified: u32,

    /// suspicious is the number of suspicious backups that are not acknowledged. Retention keeps them.
    #[serde(default)]
    pub suspicious: u32,

    /// sizeBytes is the stored size of all complete backups together, in bytes.
    pub size_bytes: u64,

    /// size is sizeBytes in a readable unit. For example, 1.21 GiB.
    pub size: String,

    /// oldest is the snapshot time of the oldest backup in the repository.
    pub oldest: Option<Time>,

    /// newest is the snapshot time of the newest backup in the repository.
    pub newest: Option<Time>,

    /// kept is the number of backups that each retention rule kept when retention ran last, by the name of the rule.
    /// A backup that several rules keep is counted for each of them. For example, {last: 3, daily: 7}.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub kept: BTreeMap<String, u32>,

    /// removed is the number of backups that were deleted when retention ran last.
    #[serde(default)]
    pub removed: u32,
}

/// The schedule of an operation, with its next start.
#[skip_serializing_none]
#[derive(JsonSchema, Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct ScheduleStatus {
    /// effectiveSchedule is the schedule of the CronJob for scrubs: verification.scrub.schedule with a number in
    /// place of each H. For example, "37 4 * * 0" for "H 4 * * 0".
    pub effective_schedule: String,

    /// nextScheduleTime is the time at which the next scrub starts. It is absent if the policy is suspended or
    /// invalid, or if the CronJob for scrubs does not exist.
    pub next_schedule_time: Option<Time>,

    /// scheduleSince is the time since which the current schedule of scrubs applies. A scrub that was due before this
    /// time is never overdue. It is absent if the policy is suspended.
    pub schedule_since: Option<Time>,
}

/// Converts a time to the form of the Kubernetes API, without the fraction of a second.
pub fn time(at: Timestamp) -> Time {
    Time(Timestamp::from_second(at.as_second()).expect("a timestamp's seconds should be a timestamp"))
}
