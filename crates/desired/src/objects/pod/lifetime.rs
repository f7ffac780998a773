//! How long a pod may live.

use crate::validate::ValidPolicy;

/// Between SIGTERM and SIGKILL: the time to abort what runs and to write the report.
pub const GRACE_SECONDS: i64 = 60;

/// The longest life of a Job's pod.
pub fn longest_seconds(policy: &ValidPolicy) -> i64 {
    policy.job.active_deadline_seconds + GRACE_SECONDS
}
