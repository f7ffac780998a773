//! What only the reports of one operation have.

use std::collections::BTreeMap;

use jiff::Timestamp;
use serde::{Deserialize, Serialize};
use serde_with::skip_serializing_none;
use strum::{Display, EnumString, IntoStaticStr};

use super::stage::{BackupStage, Progress, ScrubStage, Stage};
use crate::{
    message::{self, Message},
    name::BACKUP_ID_LENGTH,
    operation::Operation,
    reason::Reason,
};

/// The part of a report that depends on the operation. In JSON its fields stand beside the common ones, and
/// `operation` tells which they are.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(tag = "operation", rename_all = "camelCase")]
#[expect(clippy::large_enum_variant, reason = "a program holds few reports at a time")]
pub enum Details {
    /// Of a backup run.
    Backup(BackupDetails),
    /// Of a scrub.
    Scrub(ScrubDetails),
}

/// What only the report of a backup run has.
#[skip_serializing_none]
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct BackupDetails {
    /// Where the run is.
    #[serde(flatten)]
    pub progress: Progress<BackupStage>,
    /// The server's version, as the server writes it: `17.6 (Debian 17.6-0+deb13u1)`.
    pub server_version: Option<String>,
    /// The version of the client tools: `17.6`.
    pub client_version: Option<String>,
    /// The backup that the run stored; absent when it stored none.
    pub backup: Option<BackupSummary>,
    /// What pruning did; absent when the run ended before it.
    pub prune: Option<PruneOutcome>,
    /// The files of the backup.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub artifacts: Vec<ArtifactSummary>,
}

/// What only the report of a scrub has.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct ScrubDetails {
    /// Where the run is.
    #[serde(flatten)]
    pub progress: Progress<ScrubStage>,
    /// How many backups were read to their end and match their manifests.
    #[serde(default)]
    pub passed: u32,
    /// The names of backups that do not match their manifests, at most [`CORRUPTED_LIMIT`].
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub corrupted: Vec<String>,
    /// How many backups could not be read for another reason, which says nothing about them.
    #[serde(default, skip_serializing_if = "is_zero")]
    pub unchecked: u32,
    /// How many bytes were read.
    #[serde(default)]
    pub bytes_read: u64,
}

/// How many names of corrupted backups a report has, at most; they take 26 bytes each.
pub const CORRUPTED_LIMIT: usize = 20;

#[allow(clippy::trivially_copy_pass_by_ref, reason = "serde's skip_serializing_if gives a reference")]
const fn is_zero(count: &u32) -> bool {
    *count == 0
}

impl Details {
    /// The details of a run that has just started.
    pub fn new(operation: Operation) -> Self {
        match operation {
            Operation::Backup => Self::Backup(BackupDetails::default()),
            Operation::Scrub => Self::Scrub(ScrubDetails::default()),
        }
    }

    /// What the run does.
    pub const fn operation(&self) -> Operation {
        match self {
            Self::Backup(_) => Operation::Backup,
            Self::Scrub(_) => Operation::Scrub,
        }
    }

    /// The stage that the run is in, or ended in.
    pub const fn stage(&self) -> Stage {
        match self {
            Self::Backup(details) => Stage::Backup(details.progress.stage),
            Self::Scrub(details) => Stage::Scrub(details.progress.stage),
        }
    }

    /// How long each stage took, in seconds, in the stages' order.
    pub fn stages(&self) -> Vec<(Stage, f64)> {
        fn all<S: Ord + Copy + Into<Stage>>(progress: &Progress<S>) -> Vec<(Stage, f64)> {
            progress.stages.iter().map(|(stage, seconds)| ((*stage).into(), *seconds)).collect()
        }
        match self {
            Self::Backup(details) => all(&details.progress),
            Self::Scrub(details) => all(&details.progress),
        }
    }

    /// Leaves the current stage, which took so many seconds, and enters another one. A stage of another operation
    /// changes nothing.
    pub fn enter(&mut self, stage: Stage, seconds: f64) {
        match (self, stage) {
            (Self::Backup(details), Stage::Backup(stage)) => details.progress.enter(stage, seconds),
            (Self::Scrub(details), Stage::Scrub(stage)) => details.progress.enter(stage, seconds),
            (Self::Backup(_), Stage::Scrub(_)) | (Self::Scrub(_), Stage::Backup(_)) => {}
        }
    }

    /// Goes back to a stage in which the run failed.
    pub fn failed_in(&mut self, stage: Stage) {
        match (self, stage) {
            (Self::Backup(details), Stage::Backup(stage)) => details.progress.stage = stage,
            (Self::Scrub(details), Stage::Scrub(stage)) => details.progress.stage = stage,
            (Self::Backup(_), Stage::Scrub(_)) | (Self::Scrub(_), Stage::Backup(_)) => {}
        }
    }

    /// Those of a backup run.
    pub const fn as_backup(&self) -> Option<&BackupDetails> {
        match self {
            Self::Backup(details) => Some(details),
            Self::Scrub(_) => None,
        }
    }

    /// Those of a scrub.
    pub const fn as_scrub(&self) -> Option<&ScrubDetails> {
        match self {
            Self::Scrub(details) => Some(details),
            Self::Backup(_) => None,
        }
    }

    /// Removes the last entry of a list that may be long; `false` when all of them are empty.
    pub(super) fn drop_last_artifact(&mut self) -> bool {
        match self {
            Self::Backup(details) => details.artifacts.pop().is_some(),
            Self::Scrub(_) => false,
        }
    }

    /// Removes the last stage's seconds; `false` when there are none.
    pub(super) fn drop_last_stage(&mut self) -> bool {
        match self {
            Self::Backup(details) => details.progress.stages.pop_last().is_some(),
            Self::Scrub(details) => details.progress.stages.pop_last().is_some(),
        }
    }

    /// Shortens each text to at most `limit` bytes.
    pub(super) fn shorten(&mut self, limit: usize) {
        match self {
            Self::Backup(BackupDetails { server_version, client_version, backup, prune, .. }) => {
                let texts = [server_version.as_mut(), client_version.as_mut()];
                let location = backup.as_mut().map(|backup| &mut backup.location);
                texts.into_iter().flatten().chain(location).for_each(|text| message::cut(text, limit));
                if let Some(prune) = prune {
                    prune.kept.clear();
                    prune.message.cut(limit, limit);
                }
            }
            Self::Scrub(ScrubDetails { corrupted, .. }) => {
                corrupted.truncate(CORRUPTED_LIMIT);
                for backup in corrupted.iter_mut() {
                    message::cut(backup, BACKUP_ID_LENGTH);
                }
            }
        }
    }
}

/// The backup that a run stored.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct BackupSummary {
    /// The backup's name: its folder in the repository.
    pub id: String,
    /// The recovery point: the oldest snapshot of the backup's databases.
    pub snapshot_time: Timestamp,
    /// The stored bytes of all artifacts.
    pub size_bytes: u64,
    /// How many artifacts the backup has.
    pub artifacts: u32,
    /// The SHA-256 of `manifest.json`.
    pub manifest_sha256: String,
    /// The folder below the store's root: `<namespace>/<policy>/<backup>`.
    pub location: String,
    /// What the run found when it read the backup back.
    pub verification: Verification,
    /// Whether the backup holds password hashes of roles.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub password_hashes: bool,
}

/// What a run found when it read its backup back.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, Display, EnumString, IntoStaticStr)]
pub enum Verification {
    /// The backup passed every check of the policy's level.
    Verified,
    /// The stored bytes match; the policy asks for no more (`verification.level: Checksum`).
    Stored,
    /// The backup is intact, but differs too much from earlier ones.
    Suspicious,
}

impl Verification {
    /// The name in reports and statuses: `Verified`.
    pub fn as_str(self) -> &'static str {
        self.into()
    }

    /// The reason of a run that stored such a backup.
    pub const fn reason(self) -> Reason {
        match self {
            Self::Verified => Reason::Verified,
            Self::Stored => Reason::Stored,
            Self::Suspicious => Reason::Suspicious,
        }
    }
}

/// One file of a backup.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct ArtifactSummary {
    /// The database; absent for roles and tablespaces.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub database: Option<String>,
    /// The file's name in the backup.
    pub file: String,
    /// The stored bytes.
    pub size_bytes: u64,
    /// The SHA-256 of the stored bytes.
    pub sha256: String,
}

/// What pruning did.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct PruneOutcome {
    /// `Pruned`, `NoRules`, `DryRun`, `PruneFailed` or `RepositoryOwnedByOther`.
    pub reason: Reason,
    /// The same for a person.
    #[serde(flatten)]
    pub message: Message,
    /// How many backups each rule keeps: `{"last": 3, "daily": 7, "minimum verified": 3}`.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub kept: BTreeMap<String, u32>,
    /// How many backups were removed.
    pub removed: u32,
    /// How many leftovers of unfinished runs were removed.
    pub leftovers: u32,
}
