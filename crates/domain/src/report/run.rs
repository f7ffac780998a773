//! The identity of a run, and its one-line summary.

use jiff::Timestamp;
use serde::{Deserialize, Serialize};
use strum::{Display, EnumString, IntoStaticStr};

use crate::reason::Reason;

/// Identifies the run that a report describes.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct RunIdentity {
    /// The Job's name, which is also the name of the run's record in the repository.
    pub job: String,
    /// The Job's UID.
    pub job_uid: String,
    /// Whether the schedule or a person started the run.
    pub trigger: Trigger,
    /// The time at which the run was scheduled; absent for manual runs.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub scheduled_time: Option<Timestamp>,
}

/// The cause of a run: the schedule or a person.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, Display, EnumString, IntoStaticStr)]
pub enum Trigger {
    /// The schedule started the run.
    Schedule,
    /// A person started the run: with the annotation `pgbackup.dev/requested-at`, or by creating a Job from
    /// the CronJob.
    Manual,
}

/// The outcome of a run.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, Display, EnumString, IntoStaticStr)]
pub enum Outcome {
    /// The run is still running: the report is provisional.
    Running,
    /// The run did all of its work.
    Succeeded,
    /// The run ended before its work was done. It stored no backup, with one exception: a run that was
    /// stopped after it wrote the manifest reports its verified backup in `backup`.
    Failed,
}

impl Trigger {
    /// Returns the name in reports and statuses, for example `Schedule`.
    pub fn as_str(self) -> &'static str {
        self.into()
    }
}

impl Outcome {
    /// Returns the name in reports and statuses, for example `Succeeded`.
    pub fn as_str(self) -> &'static str {
        self.into()
    }
}

/// A one-line summary of a run. Reports list earlier runs with it, and the status keeps its history in it.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct RunRecord {
    /// The Job's name.
    pub job: String,
    /// Whether the schedule or a person started the run.
    pub trigger: Trigger,
    /// The run's outcome.
    pub result: Outcome,
    /// The reason for the outcome.
    pub reason: Reason,
    /// The time at which the runner started.
    pub start_time: Timestamp,
    /// The duration of the run, in seconds.
    pub duration_seconds: f64,
    /// The size of the run's backup, in bytes; absent if the run stored none.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub size_bytes: Option<u64>,
    /// The recovery point of the run's backup; absent if the run stored none.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub snapshot_time: Option<Timestamp>,
}

/// Converts a duration to seconds, rounded to milliseconds, as in reports and statuses.
pub fn seconds(duration: jiff::SignedDuration) -> f64 {
    (duration.as_secs_f64() * 1000.0).round() / 1000.0
}
