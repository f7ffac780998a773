//! The report of a run: the termination message of its pod, and its record in the repository.
//!
//! One format, version 1, JSON. The record `runs/<job>.json` has the full report; the termination message has as much of
//! it as fits into [`MESSAGE_LIMIT`] bytes. A run writes a provisional report when each stage starts, so that a killed
//! run still reports its stage; the final report has the outcome.

mod details;
mod retained;
mod run;
mod stage;

use jiff::Timestamp;
use serde::{Deserialize, Serialize};

pub use self::{
    details::{
        ArtifactSummary, BackupDetails, BackupSummary, CORRUPTED_LIMIT, Details, PruneOutcome, ScrubDetails,
        Verification,
    },
    retained::Retained,
    run::{Outcome, RunIdentity, RunRecord, Trigger, seconds},
    stage::{BackupStage, Progress, ScrubStage, Stage},
};
use crate::{message::Message, reason::Reason};

/// The version of the format. Readers refuse a greater one and ignore fields they do not know.
pub const VERSION: u32 = 1;

/// The most bytes of a termination message. The kubelet keeps 4096 bytes for a container and 12 KiB for a pod; with four
/// injected sidecars each container still has this half.
pub const MESSAGE_LIMIT: usize = 2048;

/// How many records of earlier runs a report carries, so that a status can be repaired from it.
pub const RECENT_RUNS: usize = 5;

/// The longest text of a report's message, in bytes.
pub const TEXT_LIMIT: usize = 480;

/// The longest hint of a report's message, in bytes.
pub const HINT_LIMIT: usize = 320;

/// One run: complete, or as far as it came.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct RunReport {
    /// The format's version, [`VERSION`].
    pub version: u32,
    /// How the run ended, or that it has not.
    pub outcome: Outcome,
    /// Why it ended so; absent while it runs.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub reason: Option<Reason>,
    /// The same for a person, as `message` (at most [`TEXT_LIMIT`] bytes) and `hint` (at most [`HINT_LIMIT`]).
    #[serde(flatten)]
    pub message: Message,
    /// The run that the report is about.
    pub run: RunIdentity,
    /// When the runner started.
    pub start_time: Timestamp,
    /// When the run ended; absent while it runs.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub completion_time: Option<Timestamp>,
    /// What depends on the operation.
    #[serde(flatten)]
    pub details: Details,
    /// The repository after the run; absent when the run did not list it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub retained: Option<Retained>,
    /// Facts worth knowing that did not make the run fail.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub warnings: Vec<String>,
    /// The newest earlier runs that the repository has records of, newest first; at most [`RECENT_RUNS`].
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub recent: Vec<RunRecord>,
    /// Whether something was left out to fit into the termination message.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub truncated: bool,
}

impl RunReport {
    /// The provisional report of a run that has just started.
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

    /// Parses a termination message or a record; `None` when the text is neither: the output of another program, a message
    /// cut short, or a report of a later version.
    pub fn parse(text: &str) -> Option<Self> {
        let report: Self = serde_json::from_str(text).ok()?;
        (report.version <= VERSION).then_some(report)
    }

    /// The full report, as the repository keeps it.
    pub fn to_json(&self) -> String {
        serde_json::to_string(self).expect("a report should always be JSON")
    }

    /// As much of the report as fits into `limit` bytes. Artifacts are dropped first, the last one before the others; then
    /// earlier runs, warnings and the seconds of stages; then long texts are shortened. Outcome, reason and totals remain.
    pub fn to_message(&self, limit: usize) -> String {
        let mut report = self.clone();
        report.message.cut(TEXT_LIMIT, HINT_LIMIT);
        if let Details::Backup(BackupDetails { prune: Some(prune), .. }) = &mut report.details {
            prune.message.cut(TEXT_LIMIT / 2, HINT_LIMIT / 2);
        }
        loop {
            let text = report.to_json();
            if text.len() <= limit {
                return text;
            }
            report.truncated = true;
            if !report.details.drop_last_artifact()
                && report.recent.pop().is_none()
                && report.warnings.pop().is_none()
                && !report.details.drop_last_stage()
            {
                break;
            }
        }
        // A control character takes six bytes in JSON.
        for least in [256, 64, 16] {
            report.message.cut(least, least);
            report.details.shorten(least);
            if report.to_json().len() <= limit {
                break;
            }
        }
        report.to_json()
    }

    /// The backup that the run stored.
    pub fn backup(&self) -> Option<&BackupSummary> {
        self.details.as_backup()?.backup.as_ref()
    }

    /// What the run's pruning did.
    pub fn prune(&self) -> Option<&PruneOutcome> {
        self.details.as_backup()?.prune.as_ref()
    }

    /// The run in one line; `None` while it runs.
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
