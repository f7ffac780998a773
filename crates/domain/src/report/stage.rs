//! The stages of a run. Each operation has stages of its own.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};
use strum::{Display, EnumIter, EnumString, IntoEnumIterator as _, IntoStaticStr};

use crate::operation::Operation;

/// The stages of a backup run, in their order.
#[derive(
    Clone,
    Copy,
    Debug,
    Default,
    PartialEq,
    Eq,
    PartialOrd,
    Ord,
    Hash,
    Serialize,
    Deserialize,
    Display,
    EnumIter,
    EnumString,
    IntoStaticStr,
)]
#[serde(rename_all = "camelCase")]
#[strum(serialize_all = "camelCase")]
pub enum BackupStage {
    /// Checks whatever can make the run fail before a byte is dumped.
    #[default]
    Preflight,
    /// Locks the tables, then takes the snapshot.
    Hold,
    /// Runs pg_dump into the store, and hashes and parses the archive on its way.
    Dump,
    /// Makes the written files durable.
    Upload,
    /// Reads the stored bytes back.
    Verify,
    /// Writes the manifest: from here on the backup exists.
    Manifest,
    /// Removes backups that retention does not keep.
    Prune,
    /// Writes the record and the report.
    Report,
}

/// The stages of a scrub, in their order.
#[derive(
    Clone,
    Copy,
    Debug,
    Default,
    PartialEq,
    Eq,
    PartialOrd,
    Ord,
    Hash,
    Serialize,
    Deserialize,
    Display,
    EnumIter,
    EnumString,
    IntoStaticStr,
)]
#[serde(rename_all = "camelCase")]
#[strum(serialize_all = "camelCase")]
pub enum ScrubStage {
    /// Reads stored backups back.
    #[default]
    Verify,
    /// Writes the report.
    Report,
}

/// A stage of any operation.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Stage {
    /// A stage of a backup run.
    Backup(BackupStage),
    /// A stage of a scrub.
    Scrub(ScrubStage),
}

impl BackupStage {
    /// All stages of a backup run, in their order.
    pub fn all() -> impl Iterator<Item = Self> {
        Self::iter()
    }

    /// The name in reports and metrics: `preflight`.
    pub fn as_str(self) -> &'static str {
        self.into()
    }
}

impl ScrubStage {
    /// All stages of a scrub, in their order.
    pub fn all() -> impl Iterator<Item = Self> {
        Self::iter()
    }

    /// The name in reports and metrics: `verify`.
    pub fn as_str(self) -> &'static str {
        self.into()
    }
}

impl Stage {
    /// The last stage of an operation's runs, in which the report is written.
    pub const fn last(operation: Operation) -> Self {
        match operation {
            Operation::Backup => Self::Backup(BackupStage::Report),
            Operation::Scrub => Self::Scrub(ScrubStage::Report),
        }
    }

    /// The name in reports and metrics: `preflight`.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Backup(stage) => stage.as_str(),
            Self::Scrub(stage) => stage.as_str(),
        }
    }
}

impl From<BackupStage> for Stage {
    fn from(stage: BackupStage) -> Self {
        Self::Backup(stage)
    }
}

impl From<ScrubStage> for Stage {
    fn from(stage: ScrubStage) -> Self {
        Self::Scrub(stage)
    }
}

/// Where a run is, and how long each stage took so far.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(bound(deserialize = "S: Ord + Deserialize<'de>"))]
pub struct Progress<S: Ord> {
    /// The stage that the run is in, or ended in.
    pub stage: S,
    /// How long each stage took, in seconds.
    #[serde(default = "BTreeMap::new", skip_serializing_if = "BTreeMap::is_empty")]
    pub stages: BTreeMap<S, f64>,
}

impl<S: Ord + Copy> Progress<S> {
    /// Leaves the current stage, which took so many seconds (since it was entered last), and enters another one.
    pub fn enter(&mut self, next: S, seconds: f64) {
        let took = self.stages.entry(self.stage).or_default();
        *took = ((*took + seconds) * 1000.0).round() / 1000.0;
        self.stage = next;
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn progress_sums_the_seconds_of_a_repeated_stage() {
        let mut progress = Progress::<BackupStage>::default();
        progress.enter(BackupStage::Hold, 0.5);
        progress.enter(BackupStage::Dump, 0.25);
        progress.enter(BackupStage::Hold, 2.0);
        progress.enter(BackupStage::Dump, 0.125);
        assert_eq!(progress.stage, BackupStage::Dump);
        let took = [(BackupStage::Preflight, 0.5), (BackupStage::Hold, 0.375), (BackupStage::Dump, 2.0)];
        assert_eq!(progress.stages, took.into());
    }

    #[test]
    fn runs_start_in_the_first_stage_and_end_in_the_last() {
        assert_eq!(BackupStage::all().next(), Some(BackupStage::default()));
        assert_eq!(BackupStage::all().last().map(Stage::from), Some(Stage::last(Operation::Backup)));
        assert_eq!(ScrubStage::all().next(), Some(ScrubStage::default()));
        assert_eq!(ScrubStage::all().last().map(Stage::from), Some(Stage::last(Operation::Scrub)));
    }
}
