//! Which backups are kept and which are deleted: restic's `forget` over verified backups, with a minimum that no rule
//! can undercut.
//!
//! Rules are applied to the backups that exist, newest first, and never to the current time: a policy that was suspended
//! for a year deletes nothing when it resumes. Only backups whose newest check passed satisfy a rule. The plan has a reason
//! for each backup; nothing is deleted without a plan.

mod bucket;
mod plan;
mod reason;
mod rules;
#[cfg(test)]
mod tests;
mod window;

pub use self::{
    bucket::Bucket,
    plan::{Deleted, Kept, PrunePlan, plan},
    reason::{DeleteReason, KeepReason},
    rules::{Count, InvalidRule, MINIMUM_VERIFIED, Rules, Within},
};
