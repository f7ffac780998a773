//! Why a plan keeps or deletes a backup.

use std::fmt;

use serde::{Serialize, Serializer};

use super::bucket::Bucket;

/// Why a backup is kept.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum KeepReason {
    /// It is the newest verified backup, which a restore uses by default.
    NewestVerified,
    /// It is among the newest verified backups of one of its databases.
    MinimumVerified,
    /// A rule keeps it as the newest backup of a bucket.
    Rule(Bucket),
    /// A rule of time keeps it as the newest backup of a bucket.
    Within(Bucket),
    /// It is the oldest verified backup, and the rule has buckets left that no backup fills yet.
    Oldest(Bucket),
    /// It is suspicious and not acknowledged.
    Suspicious,
    /// Its newest check failed, but there are too few newer verified backups.
    AwaitingVerified,
    /// Its newest check failed, but no verified backup has one of its databases: parts of it may still be restored.
    OnlyBackup,
    /// The run that prunes has just stored it, and nothing else keeps it: older backups look newer since the server's clock
    /// was once ahead.
    JustMade,
    /// The policy has no rules.
    NoRules,
    /// It belongs to another policy.
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
    /// It is verified, and neither a rule nor the minimum keeps it.
    Expired,
    /// Its newest check failed, and there are enough newer verified backups.
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
