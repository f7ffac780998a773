//! The stages of a run. Each operation has its own stages.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};
use strum::{Display, EnumIter, EnumString, IntoEnumIterator as _, IntoStaticStr};

/// Declares the stages of an operation's runs in their order. A run starts in the first one.
macro_rules! stages {
    (
        $(#[doc = $doc:literal])+ $name:ident:
        $(#[doc = $first_doc:literal])+ $first:ident,
        $($(#[doc = $stage_doc:literal])+ $stage:ident,)+
    ) => {
        $(#[doc = $doc])+
        #[derive(
            Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize, Display,
            EnumIter, EnumString, IntoStaticStr,
        )]
        #[serde(rename_all = "camelCase")]
        #[strum(serialize_all = "camelCase")]
        pub enum $name {
            $(#[doc = $first_doc])+
            #[default]
            $first,
            $($(#[doc = $stage_doc])+ $stage,)+
        }

        impl $name {
            /// Returns all stages, in their order.
            pub fn all() -> impl Iterator<Item = Self> {
                Self::iter()
            }

            /// Returns the name in reports and metrics, for example `verify`.
            pub fn as_str(self) -> &'static str {
                self.into()
            }
        }
    };
}

stages! {
    /// The stages of a backup run, in the order in which they run.
    BackupStage:
    /// Checks everything that can make the run fail, before anything is dumped.
    Preflight,
    /// Locks the tables of each database, then takes the snapshot.
    Hold,
    /// Streams pg_dump's output into the store, and hashes and parses it on the way.
    Dump,
    /// Makes the written files durable.
    Upload,
    /// Reads the stored bytes back.
    Verify,
    /// Writes the manifest. From then on the backup exists.
    Manifest,
    /// Removes backups that retention does not keep.
    Prune,
    /// Writes the record and the report.
    Report,
}

stages! {
    /// The stages of a scrub, in the order in which they run.
    ScrubStage:
    /// Reads stored backups back and compares them with their manifests.
    Verify,
    /// Writes the report.
    Report,
}

/// The stage of a run, and the duration of each stage so far.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(bound(deserialize = "S: Ord + Deserialize<'de>"))]
pub struct Progress<S: Ord> {
    /// The stage in which the run is, or in which it ended.
    pub stage: S,
    /// The duration of each stage, in seconds.
    #[serde(default = "BTreeMap::new", skip_serializing_if = "BTreeMap::is_empty")]
    pub stages: BTreeMap<S, f64>,
}

impl<S: Ord + Copy> Progress<S> {
    /// Adds `seconds` to the current stage's duration and starts the stage `next`. A stage can be entered
    /// more than once; its durations add up.
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
    fn durations_of_a_repeated_stage_are_added_up() {
        let mut progress = Progress::<BackupStage>::default();
        progress.enter(BackupStage::Hold, 0.5);
        progress.enter(BackupStage::Dump, 0.25);
        progress.enter(BackupStage::Hold, 2.0);
        progress.enter(BackupStage::Dump, 0.125);
        assert_eq!(progress.stage, BackupStage::Dump);
        let took = [(BackupStage::Preflight, 0.5), (BackupStage::Hold, 0.375), (BackupStage::Dump, 2.0)];
        assert_eq!(progress.stages, took.into());
    }
}
