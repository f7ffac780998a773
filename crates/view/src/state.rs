//! The states of a policy and of its conditions.

use api::{
    BackupPolicy, BackupPolicyStatus,
    status::{ConditionStatus, ConditionType},
};
use domain::{reason::Reason, time::minute};
use jiff::Timestamp;
use k8s_openapi::apimachinery::pkg::apis::meta::v1::Condition;
use schemars::JsonSchema;
use serde::Serialize;

/// The state of a policy. People read the states in this order: those that need attention come first.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, JsonSchema, Serialize)]
pub enum State {
    /// The newest run failed, a backup is overdue, the newest backup is suspicious or corrupted, or the policy is invalid or cannot start backups.
    Unhealthy,
    /// No backup run has ended yet and none is overdue, the newest run ended without a report, or the operator has not written a status.
    Unknown,
    /// The policy takes no backups: spec.suspend is true.
    Suspended,
    /// The newest backup that was due exists. It is verified, acknowledged, or stored where verification.level is Checksum.
    Healthy,
}

impl State {
    /// All states; those that need attention come first.
    pub const ALL: [Self; 4] = [Self::Unhealthy, Self::Unknown, Self::Suspended, Self::Healthy];

    /// Returns the name in the API, for example `Unhealthy`.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Unhealthy => "Unhealthy",
            Self::Unknown => "Unknown",
            Self::Suspended => "Suspended",
            Self::Healthy => "Healthy",
        }
    }
}

/// The state of one condition of a policy.
#[derive(Clone, Copy, Debug, PartialEq, Eq, JsonSchema, Serialize)]
pub enum ConditionState {
    /// The condition's status is True.
    Healthy,
    /// The condition's status is False.
    Unhealthy,
    /// The condition's status is Unknown.
    Unknown,
}

impl From<&Condition> for ConditionState {
    fn from(condition: &Condition) -> Self {
        match condition.status.parse() {
            Ok(ConditionStatus::True) => Self::Healthy,
            Ok(ConditionStatus::False) => Self::Unhealthy,
            _ => Self::Unknown,
        }
    }
}

/// The state of a policy, with its reason and message.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Standing {
    /// The policy's state.
    pub state: State,
    /// A reason from docs/reference/reasons.md.
    pub reason: String,
    /// The reason in a sentence.
    pub message: String,
}

/// Returns the state of a policy at the time `now`. It follows the conditions, with one exception: once
/// `status.overdueTime` has passed, the policy is overdue even if the operator could not write that into the
/// conditions.
pub fn standing(policy: &BackupPolicy, status: &BackupPolicyStatus, now: Timestamp) -> Standing {
    let (state, decisive) = from_conditions(status);
    let is_suspended = policy.spec.suspend || state == State::Suspended;
    let overdue_since = status.overdue_time.as_ref().map(|time| time.0).filter(|time| *time <= now);
    if let Some(since) = overdue_since.filter(|_| !is_suspended && state != State::Unhealthy) {
        let message = format!(
            "a backup has been overdue since {}, but the operator has not updated the status. Check the policy's Jobs \
             and events, then the operator's log.",
            minute(since)
        );
        return Standing { state: State::Unhealthy, reason: Reason::Overdue.as_str().to_owned(), message };
    }
    let (reason, message) = match decisive {
        Some(condition) => (condition.reason.as_str(), condition.message.as_str()),
        None => (Reason::Reconciling.as_str(), "the operator has not written a status yet"),
    };
    Standing { state, reason: reason.to_owned(), message: message.to_owned() }
}

/// Returns the state that the conditions determine, and the condition that decides it. Causes come before
/// consequences: a policy that is not ready takes no backups.
fn from_conditions(status: &BackupPolicyStatus) -> (State, Option<&Condition>) {
    let health = status.condition(ConditionType::BackupHealthy);
    let ready = status.condition(ConditionType::Ready);
    if let Some(not_ready) = ready.filter(|ready| ConditionStatus::False.is_of(ready)) {
        return (State::Unhealthy, Some(not_ready));
    }
    let stalled = status.condition(ConditionType::Stalled);
    if let Some(stalled) = stalled.filter(|stalled| ConditionStatus::True.is_of(stalled)) {
        return (State::Unhealthy, Some(stalled));
    }
    let state = match health {
        Some(health) if ConditionStatus::True.is_of(health) => State::Healthy,
        Some(health) if ConditionStatus::False.is_of(health) => State::Unhealthy,
        Some(health) if health.reason == Reason::Suspended.as_str() => State::Suspended,
        _ => State::Unknown,
    };
    (state, health)
}
