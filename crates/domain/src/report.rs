//! The report of a run, which is stored twice: as the termination message of the run's pod and as a record in
//! the repository.
//!
//! Both are JSON, version 1. The record `runs/<job>.json` has the full report; the termination message has as
//! much of it as fits into [`termination_message::LIMIT`] bytes. The run writes a provisional report at the start of each
//! stage, so a killed run still reports its stage. The final report has the outcome.

// Its macro declares the stages of an operation in any module below.
#[macro_use]
mod stage;

mod details;
mod retained;
mod run;
pub mod termination_message;

use jiff::Timestamp;
use serde::{Deserialize, Serialize};

pub use self::{
    details::*,
    retained::Retained,
    run::{Outcome, RunIdentity, RunRecord, Trigger, seconds},
    stage::*,
};
use crate::{message::Message, reason::Reason};

/// The version of the report's format. Readers reject a greater version and ignore unknown fields.
pub const VERSION: u32 = 1;

/// The maximum number of earlier runs in a report. The operator repairs a status from them if it missed a
/// run.
pub const RECENT_RUNS: usize = 5;

/// The maximum size of the `message` of a report, in bytes.
pub const TEXT_LIMIT: usize = 480;

/// The maximum size of the `hint` of a report, in bytes.
pub const HINT_LIMIT: usize = 320;

/// The report of one run, complete or provisional.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct RunReport {
    /// The version of the format, [`VERSION`].
    pub version: u32,
    /// The run's outcome; `Running` in a provisional report.
    pub outcome: Outcome,
    /// The reason for the outcome; absent while the run is running.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub reason: Option<Reason>,
    /// A text that explains the reason, as the JSON fields `message` (at most [`TEXT_LIMIT`] bytes) and
    /// `hint` (at most [`HINT_LIMIT`] bytes).
    #[serde(flatten)]
    pub message: Message,
    /// Identifies the run.
    pub run: RunIdentity,
    /// The time at which the runner started.
    pub start_time: Timestamp,
    /// The time at which the run ended; absent while it is running.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub completion_time: Option<Timestamp>,
    /// The fields that depend on the operation.
    #[serde(flatten)]
    pub details: Details,
    /// Figures of the repository after the run; absent if the run did not list the repository.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub retained: Option<Retained>,
    /// Problems that did not make the run fail, as sentences.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub warnings: Vec<String>,
    /// The newest earlier runs with a record in the repository, newest first, at most [`RECENT_RUNS`].
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub recent: Vec<RunRecord>,
    /// Whether parts of the report were left out to fit into the termination message.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub truncated: bool,
}

impl RunReport {
    /// Creates the provisional report of a run that has just started.
    pub fn started(run: RunIdentity, details: Details, start_time: Timestamp) -> Self {
        Self {
            version: VERSION,
            outcome: Outcome::Running,
            reason: None,
            message: Message::default(),
            run,
            start_time,
            completion_time: None,
            details,
            retained: None,
            warnings: Vec::new(),
            recent: Vec::new(),
            truncated: false,
        }
    }

    /// Parses a termination message or a record. Returns `None` for any other text: output of another
    /// program, a truncated message, or a report of a later version.
    pub fn parse(text: &str) -> Option<Self> {
        let report: Self = serde_json::from_str(text).ok()?;
        (report.version <= VERSION).then_some(report)
    }

    /// Formats the full report as it is stored in the repository: JSON on one line.
    pub fn to_json(&self) -> String {
        serde_json::to_string(self).expect("a report should always be JSON")
    }

    /// Returns the backup that the run stored; `None` if it stored none.
    pub fn backup(&self) -> Option<&BackupSummary> {
        self.details.as_backup()?.backup.as_ref()
    }

    /// Returns the result of the run's pruning; `None` if the run did not prune.
    pub fn prune(&self) -> Option<&PruneOutcome> {
        self.details.as_backup()?.prune.as_ref()
    }

    /// Summarizes the run as it is listed in later reports; `None` while the run is running.
    pub fn record(&self) -> Option<RunRecord> {
        Some(RunRecord {
            job: self.run.job.clone(),
            trigger: self.run.trigger,
            result: self.outcome,
            reason: self.reason?,
            start_time: self.start_time,
            duration_seconds: seconds(self.completion_time?.duration_since(self.start_time)),
            size_bytes: self.backup().map(|backup| backup.size_bytes),
            snapshot_time: self.backup().map(|backup| backup.snapshot_time),
        })
    }
}

#[cfg(test)]
mod tests;
