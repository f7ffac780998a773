//! The objects that a policy needs, and whether those in the cluster match them.

mod cron_job;
mod drift;
mod images;
mod metadata;
mod pod;
mod requested_job;

use domain::operation::PerOperation;
use k8s_openapi::api::batch::v1::CronJob;

pub use self::{
    drift::{applied_generation, spec_is_as_applied, up_to_date},
    images::Images,
    requested_job::requested_job,
};
use crate::validate::ValidPolicy;

/// The objects that a policy needs in the cluster.
#[derive(Clone, Debug, PartialEq)]
pub struct Objects {
    /// The CronJob of each operation; `None` if the policy does not configure the operation.
    pub cron_jobs: PerOperation<Option<CronJob>>,
}

/// Returns the objects that `policy` needs.
pub fn objects(policy: &ValidPolicy, images: &Images) -> Objects {
    let cron_job = |operation| {
        let schedule = policy.schedule_of(operation)?;
        Some(drift::with_hash(cron_job::cron_job(policy, images, operation, schedule)))
    };
    Objects { cron_jobs: PerOperation::from_fn(cron_job) }
}

#[cfg(test)]
mod tests;
