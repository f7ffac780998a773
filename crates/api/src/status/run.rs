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
    /// job is the name of the run's Job.
    pub job: String,

    /// result is Running, Succeeded, Failed or Unknown. Unknown: the Job ended or was deleted, and the operator
    /// received no report of the run.
    pub result: RunResult,

    /// scheduledTime is the time for which the run was scheduled. It is absent if a person started the run.
    pub scheduled_time: Option<Time>,

    /// startTime is the time at which the run started.
    pub start_time: Option<Time>,

    /// completionTime is the time at which the run ended.
    pub completion_time: Option<Time>,

    /// durationSeconds is the duration of the run, in seconds.
    pub duration_seconds: Option<f64>,

    /// stage is the current stage of the run, or the last stage of a run that ended: preflight, hold, dump, upload,
    /// verify, manifest, prune or report.
    pub stage: Option<String>,

    /// stages is the duration of each stage of the run, in seconds, by the name of the stage. For example, {dump:
    /// 12.4}.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    #[schemars(extend("maxProperties" = 16))]
    pub stages: BTreeMap<String, f64>,

    /// backup is the name of the backup that the run stored. It is absent if the run stored no backup. For example,
    /// 20260501T020003Z-1a2b3c.
    pub backup: Option<String>,

    /// snapshotTime is the recovery point of the backup: the snapshot time of its databases. If the snapshots were
    /// taken at different times, it is the earliest.
    pub snapshot_time: Option<Time>,

    /// sizeBytes is the stored size of the backup, in bytes.
    pub size_bytes: Option<u64>,

    /// size is sizeBytes in a readable unit. For example, 1.21 GiB.
    pub size: Option<String>,

    /// artifactCount is the number of files of the backup, including the file of roles and tablespaces, without the
    /// manifest.
    pub artifact_count: Option<u32>,

    /// manifestSha256 is the SHA-256 of the backup's file manifest.json, in hexadecimal.
    pub manifest_sha256: Option<String>,

    /// location is the path of the backup on the volume, or its URL in the bucket. For example,
    /// shop/nightly/20260501T020003Z-1a2b3c.
    pub location: Option<String>,

    /// verification is the state of the backup. Verified: the runner read the backup back and found it complete.
    /// Stored: the runner compared only the stored bytes, because verification.level is Checksum. Suspicious: the
    /// backup is intact, but it comes from another server, lacks a database, or has much less data than earlier
    /// backups. Acknowledged: a person accepted the suspicious backup. Corrupted: a later scrub found that a
    /// file of the backup is missing, or differs from what the runner wrote.
    #[schemars(with = "Option<String>")]
    pub verification: Option<Verification>,

    /// passwordHashes is true if the backup contains the password hashes of roles, because
    /// postgres.globals is WithPasswords.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub password_hashes: bool,

    /// artifacts lists the files of the backup. If the backup has many files, the list is shorter than artifactCount,
    /// because the size of a run's report is limited. At most 100 entries.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    #[schemars(length(max = 100))]
    pub artifacts: Vec<ArtifactStatus>,

    /// warnings lists problems that the run found and that did not make it fail. At most 100 entries.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    #[schemars(length(max = 100))]
    pub warnings: Vec<String>,
}

/// A file of a backup.
#[skip_serializing_none]
#[derive(JsonSchema, Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct ArtifactStatus {
    /// database is the name of the database that the file belongs to. It is absent for the file of roles and
    /// tablespaces.
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
    /// job is the name of the run's Job.
    pub job: String,

    /// time is the time at which the run ended, or at which it started if the end is unknown.
    pub time: Time,

    /// reason is the reason of the failure in one word, for programs. docs/reference/reasons.md lists all reasons.
    /// For example, LockTimeout.
    pub reason: AnyReason,

    /// message describes the failure and what to do about it.
    pub message: String,

    /// stage is the stage in which the run failed. For example, dump.
    pub stage: Option<String>,
}

/// A scrub: a run that reads stored backups back and checks them again.
#[skip_serializing_none]
#[derive(JsonSchema, Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct ScrubStatus {
    /// The run.
    #[serde(flatten)]
    pub run: EndedRun,

    /// passed is the number of backups that the scrub read and found intact.
    #[serde(default)]
    pub passed: u32,

    /// corrupted lists the names of the backups that the scrub found corrupted. At most 20 entries.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    #[schemars(length(max = 20))]
    pub corrupted: Vec<String>,

    /// unchecked is the number of backups whose check had no result: the scrub could not read them, for example
    /// because the store did not answer, or pg_restore failed although the stored bytes are unchanged. Their state is
    /// unknown.
    #[serde(default)]
    pub unchecked: u32,

    /// bytesRead is the number of bytes that the scrub read.
    #[serde(default)]
    pub bytes_read: u64,
}

/// A run that ended, of an operation that stores no backup.
#[skip_serializing_none]
#[derive(JsonSchema, Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct EndedRun {
    /// job is the name of the run's Job.
    pub job: String,

    /// result is Succeeded, Failed or Unknown. Succeeded: the run did all its work and found nothing wrong. Failed: the
    /// run found something wrong, for example a corrupted backup, or ended with an error. Unknown: the Job ended or was
    /// deleted, and the operator received no report of the run.
    pub result: RunResult,

    /// reason is the reason of the result in one word, for programs. docs/reference/reasons.md lists all reasons. For
    /// example, BackupCorrupted.
    pub reason: AnyReason,

    /// message describes the result of the run, and what to do if it failed.
    pub message: String,

    /// scheduledTime is the time for which the run was scheduled. It is absent if a person started the run.
    pub scheduled_time: Option<Time>,

    /// startTime is the time at which the run started.
    pub start_time: Option<Time>,

    /// completionTime is the time at which the run ended.
    pub completion_time: Option<Time>,

    /// durationSeconds is the duration of the run, in seconds.
    pub duration_seconds: Option<f64>,
}

/// A summary of a backup run that ended.
#[skip_serializing_none]
#[derive(JsonSchema, Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct RunStatus {
    /// job is the name of the run's Job.
    pub job: String,

    /// trigger is Schedule for a scheduled run, or Manual for a run that a person started.
    #[schemars(with = "String")]
    pub trigger: Trigger,

    /// result is Succeeded, Failed or Unknown. Unknown: the Job ended or was deleted, and the operator received no
    /// report of the run.
    pub result: RunResult,

    /// reason is the reason of the result in one word, for programs. docs/reference/reasons.md lists all reasons. For
    /// example, Verified.
    pub reason: AnyReason,

    /// startTime is the time at which the run started.
    pub start_time: Time,

    /// durationSeconds is the duration of the run, in seconds.
    pub duration_seconds: Option<f64>,

    /// sizeBytes is the stored size of the backup that the run stored, in bytes. It is absent if the run stored no
    /// backup.
    pub size_bytes: Option<u64>,
}
