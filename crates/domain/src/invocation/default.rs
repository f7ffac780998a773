//! Defaults of the policy's fields and of the runner's options. Others are beside what they are about:
//! [`crate::comparison::MAX_SHRINK`], [`crate::retention::MINIMUM_VERIFIED`], [`crate::scrub::SHARE`],
//! [`crate::manifest::Level`] and [`super::Globals`].

use std::time::Duration;

/// The time zone of schedules and retention rules.
pub const TIME_ZONE: &str = "Etc/UTC";

/// The pattern of the databases to back up: all.
pub const INCLUDE: &str = "*";

/// How long a backup waits for the locks of tables: queries that queue behind the backup wait as long.
pub const LOCK_TIMEOUT: Duration = Duration::from_secs(5);

/// How far a standby can be behind its primary.
pub const MAX_REPLICA_LAG: Duration = Duration::from_mins(5);

/// The age from which on a backup without a manifest is a leftover in a bucket: longer than most runs take.
pub const LEFTOVER_AGE: Duration = Duration::from_hours(24);

/// The file of the report, from which the kubelet takes the termination message. Kubernetes has the same default.
pub const TERMINATION_LOG: &str = "/dev/termination-log";
