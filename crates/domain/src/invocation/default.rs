//! Defaults that fields of the policy and options of the runner share. The other shared defaults are beside
//! their types: [`crate::suspicion_rules::MAX_SHRINK`], [`crate::retention::MINIMUM_VERIFIED`],
//! [`crate::scrub::SHARE`], [`crate::manifest::Level`] and [`super::Globals`].

use std::time::Duration;

/// The default time zone of schedules and retention rules.
pub const TIME_ZONE: &str = "Etc/UTC";

/// The default pattern of the databases to back up, which matches all databases.
pub const INCLUDE: &str = "*";

/// The default of the maximum time that a backup waits for the lock of a table. A query that waits behind the
/// backup's lock request waits for as long.
pub const LOCK_TIMEOUT: Duration = Duration::from_secs(5);

/// The default of the maximum lag of a standby behind its primary.
pub const MAX_REPLICA_LAG: Duration = Duration::from_mins(5);

/// The default age at which a backup without a manifest is removed from a bucket. It is longer than most
/// runs.
pub const LEFTOVER_AGE: Duration = Duration::from_hours(24);

/// The default path of the file with the report, which the kubelet reads as the termination message.
/// Kubernetes has the same default.
pub const TERMINATION_LOG: &str = "/dev/termination-log";
