//! Retention: which backups are kept and which are deleted. The rules work like restic's `forget`, and a
//! minimum of verified backups is kept in any case.
//!
//! Rules are applied to the existing backups, newest first, and do not depend on the current time: a policy
//! that was suspended for a year deletes nothing when it resumes. Only a verified backup satisfies a rule.
//! The plan gives a reason for each backup, and nothing is deleted without a plan.

mod bucket;
mod plan;
mod reason;
mod rule_progress;
mod rules;
#[cfg(test)]
mod tests;

pub use self::{
    bucket::Bucket,
    plan::{Deleted, Kept, PrunePlan, plan},
    reason::{DeleteReason, KeepReason},
    rules::{Count, InvalidRule, MINIMUM_VERIFIED, Rules, Within},
};
