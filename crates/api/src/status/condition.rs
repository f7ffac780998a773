//! The types and the states of the conditions in a policy's status.

use k8s_openapi::apimachinery::pkg::apis::meta::v1::Condition;
use strum::{Display, EnumIter, EnumString, IntoStaticStr};

/// The types of conditions that the operator writes.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Display, EnumIter, EnumString, IntoStaticStr)]
pub enum ConditionType {
    /// The policy is accepted and its CronJobs exist.
    Ready,
    /// The operator is making the policy's CronJobs. The condition exists only while it is true, as kstatus reads it.
    Reconciling,
    /// The policy cannot work until a person changes something. The condition exists only while it is true.
    Stalled,
    /// The newest backup that is due exists, and is verified, or stored where the policy asks for no more.
    BackupHealthy,
    /// Retention removes old backups as the rules say.
    RetentionHealthy,
    /// Scrubs run on time and find no corrupted backup. The condition exists only with `verification.scrub`.
    ScrubHealthy,
}

impl ConditionType {
    /// Returns the type's name as a status contains it, for example `Ready`.
    pub fn as_str(self) -> &'static str {
        self.into()
    }
}

/// The status of a condition.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Display, EnumString, IntoStaticStr)]
pub enum ConditionStatus {
    /// The condition holds.
    True,
    /// The condition does not hold.
    False,
    /// The operator cannot know yet.
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
