//! The status: what the operator observed. Everything but the conditions comes from the reports of the runs.

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
    run::{ArtifactStatus, BackupStatus, FailureStatus, RunStatus, ScrubStatus},
    state::{RunResult, Trigger, Verification},
};

/// The most runs that `history` lists.
pub const HISTORY_LIMIT: usize = 10;

/// status reports what the operator observed: the newest runs, the stored backups, and conditions.
#[skip_serializing_none]
#[derive(KubeSchema, Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct BackupPolicyStatus {
    /// observedGeneration is the generation of the policy that the status describes. It is -1 until the operator has
    /// processed the policy.
    pub observed_generation: Option<i64>,

    /// effectiveSchedule is the schedule of the CronJob: spec.schedule, with each H replaced by the number that the
    /// operator chose for this policy.
    pub effective_schedule: Option<String>,

    /// nextScheduleTime is the time at which the next scheduled backup starts. It is absent if the policy is suspended
    /// or cannot work.
    pub next_schedule_time: Option<Time>,

    /// scheduleSince is the time since which the schedule applies: when the policy was created, when its schedule was
    /// last changed, or when its suspension last ended. Scheduled times before this
    /// time never count as overdue.
    pub schedule_since: Option<Time>,

    /// overdueTime is the time at which the policy becomes overdue if no successful backup is stored before. It can be in
    /// the past. It follows from the schedule and from objectives.maxAge. It is absent if the policy is suspended.
    pub overdue_time: Option<Time>,

    /// serverVersion is the version of the PostgreSQL server, from the newest run that connected to it. For example,
    /// 17.6.
    pub server_version: Option<String>,

    /// clientVersion is the version of pg_dump in the image that backups run in. For example, 17.6.
    pub client_version: Option<String>,

    /// lastRun is the newest backup run, whatever its result.
    pub last_run: Option<BackupStatus>,

    /// lastSuccess is the newest backup run that stored a successful backup. A backup is successful if it is Verified,
    /// if it is Stored and verification.level is Checksum, or if it is Acknowledged. If a scrub found the backup
    /// corrupted later, its verification is Corrupted.
    pub last_success: Option<BackupStatus>,

    /// lastVerifiedTime is the snapshot time of the newest backup that is Verified or Acknowledged. It is earlier than
    /// that of lastSuccess if the newest successful backup is Stored or Corrupted. It is absent if no such backup is
    /// known.
    pub last_verified_time: Option<Time>,

    /// lastFailure is the newest backup run that failed.
    pub last_failure: Option<FailureStatus>,

    /// retained describes the backups in the repository, as the newest run that read the repository found them.
    pub retained: Option<RetainedStatus>,

    /// scrubSchedule describes when scrubs start. It is absent without spec.verification.scrub.
    pub scrub_schedule: Option<ScheduleStatus>,

    /// lastScrub is the newest scrub that ended, whatever its result.
    pub last_scrub: Option<ScrubStatus>,

    /// lastHandledRequest is the newest value of the annotation pgbackup.dev/requested-at for which a Job was created.
    pub last_handled_request: Option<String>,

    /// history lists the newest backup runs that ended, newest first. At most 10 entries.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    #[schemars(length(max = 10))]
    pub history: Vec<RunStatus>,

    /// conditions describe the state of the policy. Ready: the policy is accepted and its CronJobs exist. Reconciling:
    /// the operator is creating the CronJobs. Stalled: the policy cannot work until a person changes something.
    /// BackupHealthy: the newest backup that was due exists and is successful. RetentionHealthy: retention deletes old
    /// backups as the rules require. ScrubHealthy: scrubs run on time and find no corrupted backup. Reconciling and
    /// Stalled exist only while they are True. ScrubHealthy exists only with spec.verification.scrub.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    #[x_kube(merge_strategy = ListMerge::Map(vec!["type".into()]))]
    #[schemars(length(max = 16))]
    pub conditions: Vec<Condition>,
}

impl BackupPolicyStatus {
    /// The condition of a type, if the status has it.
    pub fn condition(&self, type_: ConditionType) -> Option<&Condition> {
        self.conditions.iter().find(|condition| condition.type_ == type_.as_str())
    }
}

/// The backups in a repository.
#[skip_serializing_none]
#[derive(JsonSchema, Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct RetainedStatus {
    /// asOf is the start time of the run that read the repository.
    pub as_of: Option<Time>,

    /// backups is the number of complete backups.
    pub backups: u32,

    /// verified is the number of backups whose newest check passed.
    pub verified: u32,

    /// suspicious is the number of suspicious backups that nobody has acknowledged. Retention ignores and keeps them.
    #[serde(default)]
    pub suspicious: u32,

    /// sizeBytes is the stored size of all complete backups, in bytes.
    pub size_bytes: u64,

    /// size is sizeBytes in a readable unit. For example, 1.2 GiB.
    pub size: String,

    /// oldest is the snapshot time of the oldest backup.
    pub oldest: Option<Time>,

    /// newest is the snapshot time of the newest backup.
    pub newest: Option<Time>,

    /// kept is the number of backups that each retention rule kept in the newest run of retention, by the name of the
    /// rule.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub kept: BTreeMap<String, u32>,

    /// removed is the number of backups that the newest run of retention deleted.
    #[serde(default)]
    pub removed: u32,
}

/// When the runs of an operation start.
#[skip_serializing_none]
#[derive(JsonSchema, Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct ScheduleStatus {
    /// effectiveSchedule is the schedule of the CronJob: the schedule of the spec, with each H replaced by the number
    /// that the operator chose for this policy.
    pub effective_schedule: String,

    /// nextScheduleTime is the time at which the next scheduled run starts. It is absent if the policy is suspended or
    /// cannot work.
    pub next_schedule_time: Option<Time>,

    /// scheduleSince is the time since which the schedule applies. No run is overdue that the schedule would have had
    /// before this time.
    pub schedule_since: Option<Time>,
}

/// A moment as the API writes it: whole seconds.
pub fn time(at: Timestamp) -> Time {
    Time(Timestamp::from_second(at.as_second()).expect("a timestamp's seconds should be a timestamp"))
}
