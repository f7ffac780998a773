//! How backups are checked: when they are stored, and later.

use domain::{comparison, manifest::Level, scrub};
use kube::KubeSchema;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use serde_with::skip_serializing_none;

use crate::messages::schedule as check;

/// How backups are checked.
#[skip_serializing_none]
#[derive(JsonSchema, Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Verification {
    /// level defines how thoroughly a backup is checked after it is stored. Checksum reads the stored bytes back and
    /// compares their size and SHA-256; the backup is then Stored, not Verified, because its archives may be
    /// unreadable. Archive also reads each archive to its end, fingerprints the rows of each table, and compares the
    /// table of contents with the database. Counts also counts the rows of each table on the server, in the same
    /// snapshot, and so reads every table twice. Defaults to Archive.
    #[serde(default)]
    pub level: VerificationLevel,

    /// maxShrink is how much of its rows, or of its bytes, a database can lose, in percent. A new backup is compared
    /// with the median of the last five verified backups. A backup that lost more is Suspicious. So is a backup of
    /// another server, a backup that lacks a database of the previous backup, and a backup in which a table of more
    /// than 1000 rows became empty. A suspicious backup is kept, but is not successful until the annotation
    /// pgbackup.dev/acknowledged names it or until the next three backups are smaller in the same way. 100 allows any loss of rows.
    /// Defaults to 50. From 1 to 100.
    #[serde(default = "default_max_shrink")]
    #[schemars(range(min = 1, max = 100))]
    pub max_shrink: u8,

    /// scrub defines when stored backups are read back and checked again, to find backups that the disk or the bucket
    /// has corrupted. Without scrub, stored backups are not checked again.
    pub scrub: Option<Scrub>,
}

/// A schedule on which stored backups are read back and checked again.
#[derive(KubeSchema, Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Scrub {
    /// schedule defines when scrubs start, in the format of spec.schedule and in spec.timeZone. For example,
    /// "H 4 * * 0" is Sundays between 04:00 and 04:59.
    #[schemars(length(max = 100))]
    #[x_kube(
        validation = check::EVERY.rule(),
        validation = check::ZONE_IN_SCHEDULE.rule(),
        validation = check::SHORTHAND.rule(),
        validation = check::FIVE_FIELDS.rule()
    )]
    pub schedule: String,

    /// share is how much of the stored bytes one scrub reads, in percent. A scrub starts with the backups that were
    /// checked least recently, and reads at least one. With a share of 10 and a weekly schedule, each backup is read
    /// once in ten weeks. Defaults to 10. From 1 to 100.
    #[serde(default = "default_share")]
    #[schemars(range(min = 1, max = 100))]
    pub share: u8,
}

const fn default_share() -> u8 {
    scrub::SHARE
}

impl Default for Verification {
    fn default() -> Self {
        Self { level: VerificationLevel::default(), max_shrink: default_max_shrink(), scrub: None }
    }
}

const fn default_max_shrink() -> u8 {
    comparison::MAX_SHRINK
}

/// How thoroughly a backup is checked after it is stored.
#[derive(JsonSchema, Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum VerificationLevel {
    /// Size and SHA-256 of the stored bytes.
    Checksum,
    /// Like `Checksum`, and the archives are readable, with the rows and the table of contents of the database.
    Archive,
    /// Like `Archive`, and the server counts the same rows.
    Counts,
}

impl Default for VerificationLevel {
    fn default() -> Self {
        Level::default().into()
    }
}

impl From<Level> for VerificationLevel {
    fn from(level: Level) -> Self {
        match level {
            Level::Checksum => Self::Checksum,
            Level::Archive => Self::Archive,
            Level::Counts => Self::Counts,
        }
    }
}
