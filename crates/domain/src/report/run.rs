//! Which run a report is about, and a run in one line.

use jiff::Timestamp;
use serde::{Deserialize, Serialize};
use strum::{Display, EnumString, IntoStaticStr};

use crate::reason::Reason;

/// The run that a report is about.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct RunIdentity {
    /// The Job's name; the run's record in the repository has the same.
    pub job: String,
    /// The Job's UID.
    pub job_uid: String,
    /// What started the run.
    pub trigger: Trigger,
    /// The slot of the schedule; absent for manual runs.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub scheduled_time: Option<Timestamp>,
}

/// What started a run.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, Display, EnumString, IntoStaticStr)]
pub enum Trigger {
    /// The schedule.
    Schedule,
    /// A person: by the annotation, or by a Job made from the CronJob.
    Manual,
}

/// How a run ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, Display, EnumString, IntoStaticStr)]
pub enum Outcome {
    /// The run has not ended: the report is provisional.
    Running,
    /// The run did what it is for.
    Succeeded,
    /// The run ended early. It stored no backup, except when it was stopped after its manifest: then the report's
    /// `backup` is a verified one.
    Failed,
}

impl Trigger {
    /// The name in reports and statuses: `Schedule`.
    pub fn as_str(self) -> &'static str {
        self.into()
    }
}

impl Outcome {
    /// The name in reports and statuses: `Succeeded`.
    pub fn as_str(self) -> &'static str {
        self.into()
    }
}

/// A run in one line: reports carry those of earlier runs, and a status keeps its history in them.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct RunRecord {
    /// The Job's name.
    pub job: String,
    /// What started the run.
    pub trigger: Trigger,
    /// How the run ended.
    pub result: Outcome,
    /// Why it ended so.
    pub reason: Reason,
    /// When the runner started.
    pub start_time: Timestamp,
    /// How long the run took, in seconds.
    pub duration_seconds: f64,
    /// The stored bytes of the run's backup; absent when it stored none.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub size_bytes: Option<u64>,
    /// The recovery point of the run's backup; absent when it stored none.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub snapshot_time: Option<Timestamp>,
}

/// A duration in seconds, rounded to milliseconds, as reports and statuses show it.
pub fn seconds(duration: jiff::SignedDuration) -> f64 {
    (duration.as_secs_f64() * 1000.0).round() / 1000.0
}
