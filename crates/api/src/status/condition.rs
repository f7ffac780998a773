//! The types and the states of the conditions in a policy's status.

use domain::operation::Operation;
use k8s_openapi::apimachinery::pkg::apis::meta::v1::Condition;
use strum::{Display, EnumIter, EnumString, IntoEnumIterator as _, IntoStaticStr};

/// The types of conditions that the operator writes.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Display, EnumIter, EnumString, IntoStaticStr)]
pub enum ConditionType {
    /// The policy is accepted and its CronJobs exist.
    Ready,
    /// The operator is creating the policy's CronJobs. The condition exists only while it is true, as kstatus
    /// requires.
    Reconciling,
    /// The policy cannot work until a person changes something. The condition exists only while it is true.
    Stalled,
    /// The newest backup that was due is stored and successful: verified, or stored if the policy requires no
    /// more.
    BackupHealthy,
    /// Retention removes old backups as the policy's rules define it.
    RetentionHealthy,
    /// Scrubs run on time and find no corrupted backup. The condition exists only with `verification.scrub`.
    ScrubHealthy,
}

impl ConditionType {
    /// Returns the type's name as a status contains it, for example `Ready`.
    pub fn as_str(self) -> &'static str {
        self.into()
    }

    /// Returns all types.
    pub fn all() -> impl Iterator<Item = Self> {
        Self::iter()
    }

    /// Returns the condition that reports the health of an operation's runs.
    pub const fn health_of(operation: Operation) -> Self {
        match operation {
            Operation::Backup => Self::BackupHealthy,
            Operation::Scrub => Self::ScrubHealthy,
        }
    }

    /// Returns the subject of the condition for people, for example `Retention`.
    pub fn subject(self) -> &'static str {
        self.as_str().trim_end_matches("Healthy")
    }
}

/// The status of a condition.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Display, EnumString, IntoStaticStr)]
pub enum ConditionStatus {
    /// The statement of the condition's type applies.
    True,
    /// The statement of the condition's type does not apply.
    False,
    /// The operator cannot determine yet whether the statement applies.
    Unknown,
}

impl ConditionStatus {
    /// Returns the name as a status contains it: `True`, `False` or `Unknown`.
    pub fn as_str(self) -> &'static str {
        self.into()
    }

    /// Returns whether `condition` has this status.
    pub fn is_of(self, condition: &Condition) -> bool {
        condition.status == self.as_str()
    }
}
