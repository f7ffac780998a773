//! The maximum lifetime of a pod.

use std::time::Duration;

use crate::validate::ValidPolicy;

/// The seconds between SIGTERM and SIGKILL, in which the runner aborts its work and writes the report.
pub const GRACE_SECONDS: i64 = 60;

/// Returns the maximum lifetime of a Job's pod: the Job's deadline and the grace period.
pub fn longest(policy: &ValidPolicy) -> Duration {
    let seconds = policy.job.active_deadline_seconds + GRACE_SECONDS;
    Duration::from_secs(u64::try_from(seconds).unwrap_or_default())
}
