//! The status: what the operator has seen. Everything but the conditions comes from the runs' own reports.

mod any_reason;
mod condition;
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
    state::{RunResult, Trigger, Verification},
};

/// How many runs a status remembers.
pub const HISTORY_LIMIT: usize = 10;

/// The status of a policy.
#[skip_serializing_none]
#[derive(KubeSchema, Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct BackupPolicyStatus {
    /// The generation of the spec that this status speaks of; -1 when nobody has looked at the policy yet.
    pub observed_generation: Option<i64>,

    /// The schedule as the CronJob has it: each H replaced by the number chosen for this policy.
    pub effective_schedule: Option<String>,

    /// When the next backup starts; absent when suspended, and while the policy is not accepted as it is.
    pub next_schedule_time: Option<Time>,

    /// Since when the schedule is as it is: when the policy was made, its schedule last changed, or its suspension
    /// last ended. No backup is overdue for a slot before that.
    pub schedule_since: Option<Time>,

    /// When the policy becomes, or became, overdue unless a backup that counts comes: some time after the first slot that has
    /// none, or when the newest backup gets older than objectives.maxAge allows. Absent while the policy is suspended.
    pub overdue_time: Option<Time>,

    /// The server's version, as the last run that reached it found it.
    pub server_version: Option<String>,

    /// The version of the client tools in the policy's image.
    pub client_version: Option<String>,

    /// The newest run, however it went.
    pub last_run: Option<BackupStatus>,

    /// The newest run whose backup counted when it was taken: Verified; Stored where verification.level asks for no more;
    /// Acknowledged by a person. Its verification is Corrupted where a later scrub found that it is not what was written any more.
    pub last_success: Option<BackupStatus>,

    /// The recovery point of the newest backup that was read back and found good, or that a person acknowledged. Earlier than
    /// that of lastSuccess where the newest backup is only Stored, or Corrupted; absent where none is known, as after a scrub that found this
    /// very copy corrupted.
    pub last_verified_time: Option<Time>,

    /// The newest run that failed.
    pub last_failure: Option<FailureStatus>,

    /// What the store holds, as the newest run that could look found it.
    pub retained: Option<RetainedStatus>,

    /// When stored backups are read again; absent without verification.scrub.
    pub scrub_schedule: Option<ScheduleStatus>,

    /// The newest scrub that ended, however it went.
    pub last_scrub: Option<ScrubStatus>,

    /// The value of the annotation pgbackup.dev/requested-at that was last acted on.
    pub last_handled_request: Option<String>,

    /// The newest finished runs, newest first, at most 10.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    #[schemars(length(max = 10))]
    pub history: Vec<RunStatus>,

    /// Ready: the policy is accepted and its CronJob in place. Reconciling and Stalled: as kstatus has them.
    /// BackupHealthy: the newest backup that is due is there, and counts. RetentionHealthy: old backups are removed as the
    /// rules say. ScrubHealthy, only with verification.scrub: stored backups are read again, and are as they were written.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    #[x_kube(merge_strategy = ListMerge::Map(vec!["type".into()]))]
    #[schemars(length(max = 16))]
    pub conditions: Vec<Condition>,
}

/// One run, as its report has it.
#[skip_serializing_none]
#[derive(JsonSchema, Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct BackupStatus {
    /// The Job that ran it.
    pub job: String,

    /// Succeeded, Failed, Running or Unknown.
    pub result: RunResult,

    /// The slot of the schedule that it stands for; absent for manual runs.
    pub scheduled_time: Option<Time>,

    /// When it started.
    pub start_time: Option<Time>,

    /// When it ended.
    pub completion_time: Option<Time>,

    /// How long it took.
    pub duration_seconds: Option<f64>,

    /// The stage it is in, or ended in: preflight, hold, dump, upload, verify, manifest, prune, report.
    pub stage: Option<String>,

    /// How long each stage took, in seconds, by the stage's name.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    #[schemars(extend("maxProperties" = 16))]
    pub stages: BTreeMap<String, f64>,

    /// The set's name in the store; absent when it left none.
    pub backup: Option<String>,

    /// The recovery point: the oldest snapshot of the backup's databases.
    pub snapshot_time: Option<Time>,

    /// The stored bytes.
    pub size_bytes: Option<u64>,

    /// The same for people: 1.2 GiB.
    pub size: Option<String>,

    /// How many files the backup has, roles included.
    pub artifact_count: Option<u32>,

    /// The SHA-256 of the backup's manifest.json.
    pub manifest_sha256: Option<String>,

    /// Where the backup is in the store.
    pub location: Option<String>,

    /// What reading it back gave: Verified; or Stored, Suspicious, Acknowledged. Corrupted: a later scrub found that it is not
    /// what was written any more.
    #[schemars(with = "Option<String>")]
    pub verification: Option<Verification>,

    /// Whether password hashes of roles are in the backup (postgres.globals: WithPasswords).
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub password_hashes: bool,

    /// The set's files, as many as the report had room for.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    #[schemars(length(max = 100))]
    pub artifacts: Vec<ArtifactStatus>,

    /// Things worth knowing that did not make it fail.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    #[schemars(length(max = 100))]
    pub warnings: Vec<String>,
}

/// A file of a backup.
#[skip_serializing_none]
#[derive(JsonSchema, Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct ArtifactStatus {
    /// The database; absent for roles and tablespaces.
    pub database: Option<String>,

    /// The file's name in the backup.
    pub file: String,

    /// Its stored bytes.
    pub size_bytes: u64,

    /// Its SHA-256.
    pub sha256: String,
}

/// A run that failed.
#[skip_serializing_none]
#[derive(JsonSchema, Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct FailureStatus {
    /// The Job that ran it.
    pub job: String,

    /// When it ended; when it started, if it could not tell its end.
    pub time: Time,

    /// Why: a word of docs/reference/reasons.md.
    pub reason: AnyReason,

    /// The same for a person, with what to do.
    pub message: String,

    /// The stage it ended in.
    pub stage: Option<String>,
}

/// What the store holds.
#[skip_serializing_none]
#[derive(JsonSchema, Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct RetainedStatus {
    /// When the run started, a backup or a scrub, that found it so.
    pub as_of: Option<Time>,

    /// The backups that are complete.
    pub backups: u32,

    /// Those whose newest check passed.
    pub verified: u32,

    /// Those that are whole and not like those before them: they wait, and count for nothing.
    #[serde(default)]
    pub suspicious: u32,

    /// The stored bytes of all of them.
    pub size_bytes: u64,

    /// The same for people.
    pub size: String,

    /// The oldest backup's snapshot.
    pub oldest: Option<Time>,

    /// The newest backup's snapshot.
    pub newest: Option<Time>,

    /// How many backups each rule keeps, by the rule's name, as the last plan had it.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub kept: BTreeMap<String, u32>,

    /// How many backups the last plan removed.
    #[serde(default)]
    pub removed: u32,
}

/// When something is done.
#[skip_serializing_none]
#[derive(JsonSchema, Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct ScheduleStatus {
    /// The schedule as the CronJob has it: each H replaced by the number chosen for this policy.
    pub effective_schedule: String,

    /// When it is next; absent when suspended.
    pub next_schedule_time: Option<Time>,

    /// Since when the schedule is as it is. Nothing is overdue for a slot before that.
    pub schedule_since: Option<Time>,
}

/// A scrub: stored backups were read again.
#[skip_serializing_none]
#[derive(JsonSchema, Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct ScrubStatus {
    /// The Job that ran it.
    pub job: String,

    /// Succeeded: all that was read is as it was written. Failed: some is not, or it could not be read. Unknown: it left
    /// no report.
    pub result: RunResult,

    /// Why: a word of docs/reference/reasons.md.
    pub reason: AnyReason,

    /// The same for a person.
    pub message: String,

    /// The slot of the schedule that it stands for; absent for one that a person started.
    pub scheduled_time: Option<Time>,

    /// When it started.
    pub start_time: Option<Time>,

    /// When it ended.
    pub completion_time: Option<Time>,

    /// How long it took.
    pub duration_seconds: Option<f64>,

    /// How many backups it read that are as they were written.
    #[serde(default)]
    pub passed: u32,

    /// The backups that are not, at most 20 of them.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    #[schemars(length(max = 20))]
    pub corrupted: Vec<String>,

    /// How many backups it could not read, for a reason that says nothing of them.
    #[serde(default)]
    pub unchecked: u32,

    /// The bytes that it read.
    #[serde(default)]
    pub bytes_read: u64,
}

/// A run in one line.
#[skip_serializing_none]
#[derive(JsonSchema, Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct RunStatus {
    /// The Job's name.
    pub job: String,

    /// Schedule or Manual.
    #[schemars(with = "String")]
    pub trigger: Trigger,

    /// How it ended.
    pub result: RunResult,

    /// Why: a word of docs/reference/reasons.md.
    pub reason: AnyReason,

    /// When it started.
    pub start_time: Time,

    /// How long it took.
    pub duration_seconds: Option<f64>,

    /// The size of what it stored.
    pub size_bytes: Option<u64>,
}

/// A moment as the API writes it: whole seconds.
pub fn time(at: Timestamp) -> Time {
    Time(Timestamp::from_second(at.as_second()).expect("a timestamp's seconds should be a timestamp"))
}
