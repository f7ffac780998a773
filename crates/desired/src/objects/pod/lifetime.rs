//! How long a pod may live.

use std::time::Duration;

use crate::validate::ValidPolicy;

/// The seconds between SIGTERM and SIGKILL: the time to abort what runs and to write the report.
pub const GRACE_SECONDS: i64 = 60;

/// The longest life of a Job's pod.
pub fn longest(policy: &ValidPolicy) -> Duration {
    let seconds = policy.job.active_deadline_seconds + GRACE_SECONDS;
    Duration::from_secs(u64::try_from(seconds).unwrap_or_default())
}
