//! What the status keeps of runs.

use std::collections::BTreeMap;

use k8s_openapi::apimachinery::pkg::apis::meta::v1::Time;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use serde_with::skip_serializing_none;

use super::{
    any_reason::AnyReason,
    state::{RunResult, Trigger, Verification},
};

/// A backup run, and the backup that it stored.
#[skip_serializing_none]
#[derive(JsonSchema, Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct BackupStatus {
    /// job is the name of the Job.
    pub job: String,

    /// result is Running, Succeeded, Failed or Unknown. Unknown means that the Job ended or was deleted without a
    /// report.
    pub result: RunResult,

    /// scheduledTime is the time for which the run was scheduled. It is absent for runs that a person started.
    pub scheduled_time: Option<Time>,

    /// startTime is the time at which the run started.
    pub start_time: Option<Time>,

    /// completionTime is the time at which the run ended.
    pub completion_time: Option<Time>,

    /// durationSeconds is how long the run took, in seconds.
    pub duration_seconds: Option<f64>,

    /// stage is the stage that the run is in, or ended in: preflight, hold, dump, upload, verify, manifest, prune or
    /// report.
    pub stage: Option<String>,

    /// stages is how long each stage took, in seconds, by the name of the stage.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    #[schemars(extend("maxProperties" = 16))]
    pub stages: BTreeMap<String, f64>,

    /// backup is the name of the backup that the run stored. It is absent if the run stored none.
    pub backup: Option<String>,

    /// snapshotTime is the recovery point of the backup: the time of the oldest snapshot among its databases.
    pub snapshot_time: Option<Time>,

    /// sizeBytes is the stored size of the backup, in bytes.
    pub size_bytes: Option<u64>,

    /// size is sizeBytes in a readable unit. For example, 1.2 GiB.
    pub size: Option<String>,

    /// artifactCount is the number of files of the backup, including the file of roles and tablespaces.
    pub artifact_count: Option<u32>,

    /// manifestSha256 is the SHA-256 of the manifest of the backup, in hexadecimal.
    pub manifest_sha256: Option<String>,

    /// location is the path of the backup in the store.
    pub location: Option<String>,

    /// verification is the state of the backup. Verified: the runner read the backup back and found it complete.
    /// Stored: the runner compared only the stored bytes, because verification.level is Checksum. Suspicious: the
    /// backup is intact, but comes from another server, lacks a database, or has much less data than the backups before
    /// it. Acknowledged: a person accepted the suspicious backup. Corrupted: a later scrub found that the stored bytes
    /// have changed.
    #[schemars(with = "Option<String>")]
    pub verification: Option<Verification>,

    /// passwordHashes is true if the backup contains the password hashes of roles, as postgres.globals: WithPasswords
    /// requires.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub password_hashes: bool,

    /// artifacts lists the files of the backup. The list is incomplete if it was too long for the report of the run; the
    /// backup itself is complete. At most
    /// 100 entries.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    #[schemars(length(max = 100))]
    pub artifacts: Vec<ArtifactStatus>,

    /// warnings lists findings that did not make the run fail. At most 100 entries.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    #[schemars(length(max = 100))]
    pub warnings: Vec<String>,
}

/// A file of a backup.
#[skip_serializing_none]
#[derive(JsonSchema, Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct ArtifactStatus {
    /// database is the name of the database that the file contains. It is absent for the file of roles and tablespaces.
    pub database: Option<String>,

    /// file is the name of the file.
    pub file: String,

    /// sizeBytes is the size of the file, in bytes.
    pub size_bytes: u64,

    /// sha256 is the SHA-256 of the file, in hexadecimal.
    pub sha256: String,
}

/// A backup run that failed.
#[skip_serializing_none]
#[derive(JsonSchema, Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct FailureStatus {
    /// job is the name of the Job.
    pub job: String,

    /// time is the time at which the run ended, or at which it started if its end is not known.
    pub time: Time,

    /// reason is why the run failed, in one word. docs/reference/reasons.md lists the reasons.
    pub reason: AnyReason,

    /// message is why the run failed, in a sentence, and what to do.
    pub message: String,

    /// stage is the stage that the run ended in.
    pub stage: Option<String>,
}

/// A scrub: a run that reads stored backups back and checks them again.
#[skip_serializing_none]
#[derive(JsonSchema, Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct ScrubStatus {
    /// job is the name of the Job.
    pub job: String,

    /// result is Succeeded, Failed or Unknown. Succeeded: all backups that the scrub read are intact. Failed: a backup
    /// is corrupted, or the scrub could not do its work. Unknown means that the Job ended or was deleted without a
    /// report.
    pub result: RunResult,

    /// reason is why the scrub has this result, in one word. docs/reference/reasons.md lists the reasons.
    pub reason: AnyReason,

    /// message is why the scrub has this result, in a sentence.
    pub message: String,

    /// scheduledTime is the time for which the run was scheduled. It is absent for runs that a person started.
    pub scheduled_time: Option<Time>,

    /// startTime is the time at which the run started.
    pub start_time: Option<Time>,

    /// completionTime is the time at which the run ended.
    pub completion_time: Option<Time>,

    /// durationSeconds is how long the run took, in seconds.
    pub duration_seconds: Option<f64>,

    /// passed is the number of backups that the scrub read and found intact.
    #[serde(default)]
    pub passed: u32,

    /// corrupted lists the names of the backups that the scrub found corrupted. At most 20 entries.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    #[schemars(length(max = 20))]
    pub corrupted: Vec<String>,

    /// unchecked is the number of backups that the scrub could not read, so that their state is unknown.
    #[serde(default)]
    pub unchecked: u32,

    /// bytesRead is how much the scrub read, in bytes.
    #[serde(default)]
    pub bytes_read: u64,
}

/// A backup run that ended, in short.
#[skip_serializing_none]
#[derive(JsonSchema, Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct RunStatus {
    /// job is the name of the Job.
    pub job: String,

    /// trigger is what started the run: Schedule, or Manual if a person started it.
    #[schemars(with = "String")]
    pub trigger: Trigger,

    /// result is Succeeded, Failed or Unknown. Unknown means that the Job ended or was deleted without a report.
    pub result: RunResult,

    /// reason is why the run has this result, in one word. docs/reference/reasons.md lists the reasons.
    pub reason: AnyReason,

    /// startTime is the time at which the run started.
    pub start_time: Time,

    /// durationSeconds is how long the run took, in seconds.
    pub duration_seconds: Option<f64>,

    /// sizeBytes is the size of what the run stored, in bytes.
    pub size_bytes: Option<u64>,
}
