//! Why a plan keeps or deletes a backup.

use std::fmt;

use serde::{Serialize, Serializer};

use super::bucket::Bucket;

/// Why a backup is kept.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum KeepReason {
    /// The backup is the newest verified one. A restore uses it by default.
    NewestVerified,
    /// The backup is among the newest `minimumVerified` verified backups of one of its databases.
    MinimumVerified,
    /// A count rule (`keepDaily: 7`) keeps the backup as the newest one of a bucket.
    Rule(Bucket),
    /// A duration rule (`keepWithinDaily: 7d`) keeps the backup as the newest one of a bucket.
    Within(Bucket),
    /// The backup is the oldest verified one, and a count rule still has unfilled buckets.
    Oldest(Bucket),
    /// The backup is suspicious and not acknowledged.
    Suspicious,
    /// The backup failed its newest check, but there are fewer newer verified backups than `minimumVerified`.
    AwaitingVerified,
    /// The backup failed its newest check, but one of its databases has no verified backup. Parts of the
    /// backup may still be restorable.
    OnlyBackup,
    /// The current run has just stored the backup, and nothing else keeps it. This happens if older backups
    /// look newer because the server's clock was once ahead.
    JustMade,
    /// The policy has no retention rules.
    NoRules,
    /// The backup belongs to another policy.
    Foreign,
}

impl fmt::Display for KeepReason {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::NewestVerified => f.write_str("newest verified"),
            Self::MinimumVerified => f.write_str("minimum verified"),
            Self::Rule(bucket) => write!(f, "{bucket}"),
            Self::Within(Bucket::Last) => f.write_str("within"),
            Self::Within(bucket) => write!(f, "{bucket} within"),
            Self::Oldest(bucket) => write!(f, "oldest {bucket}"),
            Self::Suspicious => f.write_str("suspicious"),
            Self::AwaitingVerified => f.write_str("awaiting verified"),
            Self::OnlyBackup => f.write_str("only backup"),
            Self::JustMade => f.write_str("just made"),
            Self::NoRules => f.write_str("no rules"),
            Self::Foreign => f.write_str("foreign"),
        }
    }
}

impl Serialize for KeepReason {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_str(self)
    }
}

/// Why a backup is deleted.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum DeleteReason {
    /// The backup is verified, and neither a rule nor the minimum keeps it.
    Expired,
    /// The backup failed its newest check, and there are enough newer verified backups.
    CheckFailed,
}

impl fmt::Display for DeleteReason {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Expired => "expired",
            Self::CheckFailed => "check failed",
        })
    }
}

impl Serialize for DeleteReason {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_str(self)
    }
}
