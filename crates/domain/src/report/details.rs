//! The fields of a report that depend on the operation.

use std::collections::BTreeMap;

use jiff::Timestamp;
use serde::{Deserialize, Serialize};
use serde_with::skip_serializing_none;
use strum::{Display, EnumString, IntoStaticStr};

use super::stage::{BackupStage, Progress, ScrubStage};
use crate::{
    message::{self, Message},
    name::BACKUP_ID_LENGTH,
    operation::Operation,
    reason::Reason,
};

/// Declares the variants of [`Details`] and [`Stage`], with everything that is alike for all operations.
macro_rules! details {
    ($($operation:ident $accessor:ident: $details:ident, $stage:ident;)+) => {
        /// The fields of a report that depend on the operation. In JSON they are on the same level as the
        /// common fields, and the field `operation` selects them.
        #[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
        #[serde(tag = "operation", rename_all = "camelCase")]
        #[expect(clippy::large_enum_variant, reason = "a program holds few reports at a time")]
        pub enum Details {
            $(
                #[doc = concat!("Of [`Operation::", stringify!($operation), "`].")]
                $operation($details),
            )+
        }

        /// A stage of any operation.
        #[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
        pub enum Stage {
            $(
                #[doc = concat!("Of [`Operation::", stringify!($operation), "`].")]
                $operation($stage),
            )+
        }

        impl Details {
            /// Creates the details of a run that has just started.
            pub fn new(operation: Operation) -> Self {
                match operation { $(Operation::$operation => Self::$operation($details::default()),)+ }
            }

            /// Returns the operation of the run.
            pub const fn operation(&self) -> Operation {
                match self { $(Self::$operation(_) => Operation::$operation,)+ }
            }

            /// Returns the stage in which the run is, or in which it ended.
            pub const fn stage(&self) -> Stage {
                match self { $(Self::$operation(details) => Stage::$operation(details.progress.stage),)+ }
            }

            /// Returns the duration of each stage in seconds, in the stages' order.
            pub fn stages(&self) -> Vec<(Stage, f64)> {
                match self {
                    $(Self::$operation(details) => {
                        let stages = details.progress.stages.iter();
                        stages.map(|(stage, seconds)| (Stage::$operation(*stage), *seconds)).collect()
                    })+
                }
            }

            /// Ends the current stage, which took `seconds`, and starts another one. Does nothing if the
            /// stage belongs to another operation.
            pub fn enter(&mut self, stage: Stage, seconds: f64) {
                match (self, stage) {
                    $((Self::$operation(details), Stage::$operation(stage)) => {
                        details.progress.enter(stage, seconds);
                    })+
                    _ => {}
                }
            }

            /// Sets the stage in which the run failed, if it differs from the current one.
            pub fn failed_in(&mut self, stage: Stage) {
                match (self, stage) {
                    $((Self::$operation(details), Stage::$operation(stage)) => details.progress.stage = stage,)+
                    _ => {}
                }
            }

            $(
                #[doc = concat!("Returns the details of [`Operation::", stringify!($operation), "`]; `None` for other operations.")]
                pub const fn $accessor(&self) -> Option<&$details> {
                    if let Self::$operation(details) = self { Some(details) } else { None }
                }
            )+

            /// Removes the last artifact from the report. Returns `false` if there is none.
            pub(super) fn drop_last_artifact(&mut self) -> bool {
                match self { $(Self::$operation(details) => details.drop_last_artifact(),)+ }
            }

            /// Removes the duration of the last stage. Returns `false` if there is none.
            pub(super) fn drop_last_stage(&mut self) -> bool {
                match self { $(Self::$operation(details) => details.progress.stages.pop_last().is_some(),)+ }
            }

            /// Shortens each text to at most `limit` bytes, and removes the counts of kept backups.
            pub(super) fn shorten(&mut self, limit: usize) {
                match self { $(Self::$operation(details) => details.shorten(limit),)+ }
            }
        }

        impl Stage {
            /// Returns the last stage of an operation's runs. In it the run writes its report.
            pub const fn last(operation: Operation) -> Self {
                match operation { $(Operation::$operation => Self::$operation($stage::Report),)+ }
            }

            /// Returns the name in reports and metrics, for example `preflight`.
            pub fn as_str(self) -> &'static str {
                match self { $(Self::$operation(stage) => stage.as_str(),)+ }
            }
        }

        $(
            impl From<$stage> for Stage {
                fn from(stage: $stage) -> Self {
                    Self::$operation(stage)
                }
            }
        )+
    };
}

details! {
    Backup as_backup: BackupDetails, BackupStage;
    Scrub as_scrub: ScrubDetails, ScrubStage;
}

/// The fields that only the report of a backup run has.
#[skip_serializing_none]
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct BackupDetails {
    /// The run's stage and the duration of each stage.
    #[serde(flatten)]
    pub progress: Progress<BackupStage>,
    /// The server's setting `server_version`, for example `17.6 (Debian 17.6-0+deb13u1)`.
    pub server_version: Option<String>,
    /// The version of the client programs, for example `17.6`.
    pub client_version: Option<String>,
    /// The backup that the run stored; absent if it stored none.
    pub backup: Option<BackupSummary>,
    /// The result of pruning; absent if the run ended before pruning.
    pub prune: Option<PruneOutcome>,
    /// The files of the backup.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub artifacts: Vec<ArtifactSummary>,
}

/// The fields that only the report of a scrub has.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct ScrubDetails {
    /// The run's stage and the duration of each stage.
    #[serde(flatten)]
    pub progress: Progress<ScrubStage>,
    /// The number of backups that were read to their end and match their manifests.
    #[serde(default)]
    pub passed: u32,
    /// The names of the backups that do not match their manifests, at most [`CORRUPTED_LIMIT`].
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub corrupted: Vec<String>,
    /// The number of backups that could not be read for a reason other than corruption, for example a store
    /// that did not answer.
    #[serde(default, skip_serializing_if = "is_zero")]
    pub unchecked: u32,
    /// The number of bytes that were read.
    #[serde(default)]
    pub bytes_read: u64,
}

/// The maximum number of corrupted backups that a report names; each takes 26 bytes.
pub const CORRUPTED_LIMIT: usize = 20;

#[allow(clippy::trivially_copy_pass_by_ref, reason = "serde's skip_serializing_if gives a reference")]
const fn is_zero(count: &u32) -> bool {
    *count == 0
}

impl BackupDetails {
    fn drop_last_artifact(&mut self) -> bool {
        self.artifacts.pop().is_some()
    }

    fn shorten(&mut self, limit: usize) {
        let Self { server_version, client_version, backup, prune, progress: _, artifacts: _ } = self;
        let texts = [server_version.as_mut(), client_version.as_mut()];
        let location = backup.as_mut().map(|backup| &mut backup.location);
        texts.into_iter().flatten().chain(location).for_each(|text| message::cut(text, limit));
        if let Some(prune) = prune {
            prune.kept.clear();
            prune.message.cut(limit, limit);
        }
    }
}

impl ScrubDetails {
    /// A scrub has no artifacts.
    const fn drop_last_artifact(&self) -> bool {
        let Self { progress: _, passed: _, corrupted: _, unchecked: _, bytes_read: _ } = self;
        false
    }

    fn shorten(&mut self, _: usize) {
        self.corrupted.truncate(CORRUPTED_LIMIT);
        for backup in &mut self.corrupted {
            message::cut(backup, BACKUP_ID_LENGTH);
        }
    }
}

/// A summary of the backup that a run stored.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct BackupSummary {
    /// The backup's name, which is the name of its folder in the repository.
    pub id: String,
    /// The recovery point: the oldest snapshot time of the backup's databases.
    pub snapshot_time: Timestamp,
    /// The size of all artifacts, in bytes.
    pub size_bytes: u64,
    /// The number of artifacts.
    pub artifacts: u32,
    /// The SHA-256 of `manifest.json`.
    pub manifest_sha256: String,
    /// The folder relative to the store's root: `<namespace>/<policy>/<backup>`.
    pub location: String,
    /// The result of reading the backup back.
    pub verification: Verification,
    /// Whether the backup contains password hashes of roles.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub password_hashes: bool,
}

/// The result of reading a new backup back.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, Display, EnumString, IntoStaticStr)]
pub enum Verification {
    /// The backup passed every check of the policy's level.
    Verified,
    /// The stored bytes equal the written ones. The policy requires no further check (`verification.level:
    /// Checksum`).
    Stored,
    /// The backup is intact but differs too much from earlier ones.
    Suspicious,
}

impl Verification {
    /// Returns the name in reports and statuses, for example `Verified`.
    pub fn as_str(self) -> &'static str {
        self.into()
    }

    /// Returns the reason of a run that stored a backup with this result.
    pub const fn reason(self) -> Reason {
        match self {
            Self::Verified => Reason::Verified,
            Self::Stored => Reason::Stored,
            Self::Suspicious => Reason::Suspicious,
        }
    }
}

/// A summary of one file of a backup.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct ArtifactSummary {
    /// The database's name; absent for roles and tablespaces.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub database: Option<String>,
    /// The file's name in the backup's folder.
    pub file: String,
    /// The size of the stored file, in bytes.
    pub size_bytes: u64,
    /// The SHA-256 of the stored bytes.
    pub sha256: String,
}

/// The result of pruning.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct PruneOutcome {
    /// One of `Pruned`, `NoRules`, `DryRun`, `PruneFailed` and `RepositoryOwnedByOther`.
    pub reason: Reason,
    /// A text that explains the reason.
    #[serde(flatten)]
    pub message: Message,
    /// The number of backups that each rule keeps, for example `{"last": 3, "daily": 7, "minimum verified":
    /// 3}`.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub kept: BTreeMap<String, u32>,
    /// The number of backups that were removed.
    pub removed: u32,
    /// The number of unfinished backups of earlier runs that were removed.
    pub leftovers: u32,
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn run_starts_in_its_first_stage_and_ends_in_its_last() {
        assert_eq!(BackupStage::all().next(), Some(BackupStage::default()));
        assert_eq!(BackupStage::all().last().map(Stage::from), Some(Stage::last(Operation::Backup)));
        assert_eq!(ScrubStage::all().next(), Some(ScrubStage::default()));
        assert_eq!(ScrubStage::all().last().map(Stage::from), Some(Stage::last(Operation::Scrub)));
    }
}
