//! The states of runs and backups in a status.
//!
//! A newer operator may have written the status. A state that this version does not define is read as
//! `Unknown`, because one value that cannot be read would stop the operator's watch of all policies.

use domain::{reason::Reason, report};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use strum::{Display, EnumString, IntoStaticStr};

/// The result of a run.
#[derive(
    JsonSchema,
    Clone,
    Copy,
    Debug,
    Default,
    PartialEq,
    Eq,
    Serialize,
    Deserialize,
    Display,
    EnumString,
    IntoStaticStr,
)]
pub enum RunResult {
    /// The run has not ended.
    #[default]
    Running,
    /// The run completed its operation.
    Succeeded,
    /// The run ended with an error.
    Failed,
    /// The run's Job ended or vanished without a report.
    #[serde(other)]
    Unknown,
}

/// The cause of a run: the schedule or a person.
#[derive(
    JsonSchema, Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, Display, EnumString, IntoStaticStr,
)]
pub enum Trigger {
    /// The schedule started the run.
    Schedule,
    /// A person started the run, by the annotation `pgbackup.dev/requested-at` or by a Job that was made from
    /// the CronJob.
    Manual,
    /// A trigger that this version does not define.
    #[serde(other)]
    Unknown,
}

/// The state of a stored backup.
#[derive(
    JsonSchema, Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, Display, EnumString, IntoStaticStr,
)]
pub enum Verification {
    /// The runner read the backup back, and it has everything that the database had.
    Verified,
    /// The stored bytes equal the written ones. The policy requires no further check (`verification.level:
    /// Checksum`).
    Stored,
    /// The backup is intact, but differs too much from the backups before it.
    Suspicious,
    /// The backup is suspicious, and a person accepted it.
    Acknowledged,
    /// A scrub found that a file of the backup is missing or has changed.
    Corrupted,
    /// A state that this version does not define.
    #[serde(other)]
    Unknown,
}

impl RunResult {
    /// Returns the result's name as a status contains it, for example `Succeeded`.
    pub fn as_str(self) -> &'static str {
        self.into()
    }
}

impl Trigger {
    /// Returns the trigger's name as a status contains it, for example `Manual`.
    pub fn as_str(self) -> &'static str {
        self.into()
    }
}

impl Verification {
    /// Returns the state's name as a status contains it, for example `Verified`.
    pub fn as_str(self) -> &'static str {
        self.into()
    }

    /// Returns whether the runner or a person checked the backup's content: `Verified` or `Acknowledged`.
    pub const fn is_verified(self) -> bool {
        matches!(self, Self::Verified | Self::Acknowledged)
    }

    /// Returns the state of a backup whose run ended for `reason`, or `None` for the reasons of runs without
    /// a backup.
    pub const fn of_reason(reason: Reason) -> Option<Self> {
        match reason {
            Reason::Verified => Some(Self::Verified),
            Reason::Stored => Some(Self::Stored),
            Reason::Suspicious => Some(Self::Suspicious),
            _ => None,
        }
    }
}

impl From<report::Trigger> for Trigger {
    fn from(trigger: report::Trigger) -> Self {
        match trigger {
            report::Trigger::Schedule => Self::Schedule,
            report::Trigger::Manual => Self::Manual,
        }
    }
}

impl From<report::Verification> for Verification {
    fn from(verification: report::Verification) -> Self {
        match verification {
            report::Verification::Verified => Self::Verified,
            report::Verification::Stored => Self::Stored,
            report::Verification::Suspicious => Self::Suspicious,
        }
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn state_written_by_a_newer_operator_parses_as_unknown() {
        let newer = json!("OfTomorrow");
        assert_eq!(serde_json::from_value::<RunResult>(newer.clone()).unwrap(), RunResult::Unknown);
        assert_eq!(serde_json::from_value::<Trigger>(newer.clone()).unwrap(), Trigger::Unknown);
        assert_eq!(serde_json::from_value::<Verification>(newer).unwrap(), Verification::Unknown);
    }

    #[test]
    fn states_in_status_are_serialized_as_their_names() {
        assert_eq!(serde_json::to_value(Verification::Corrupted).unwrap(), Verification::Corrupted.as_str());
        assert_eq!(serde_json::to_value(RunResult::Failed).unwrap(), RunResult::Failed.as_str());
        assert_eq!(serde_json::to_value(Trigger::Manual).unwrap(), Trigger::Manual.as_str());
    }
}
