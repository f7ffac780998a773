//! How backups are checked: when they are stored, and later.

use domain::{manifest::Level, scrub, suspicion_rules};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use serde_with::skip_serializing_none;

use crate::checks::schedule as check;

/// How backups are checked.
#[skip_serializing_none]
#[derive(JsonSchema, Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Verification {
    /// level defines how thoroughly a new backup is checked after it is stored. Checksum: the runner reads the stored
    /// bytes back and compares their size and SHA-256; the state of the backup is then Stored and not Verified,
    /// because its archives could be unreadable. Archive: the runner also reads each archive to its end with
    /// pg_restore, counts and fingerprints the rows of each table in it, and compares its table of contents with the
    /// database. Counts: the runner also counts the rows of each table on the server, in the snapshot of the backup,
    /// which makes the server read each table twice. Defaults to Archive.
    #[serde(default)]
    pub level: VerificationLevel,

    /// maxShrink is the maximum loss of rows, or of bytes of data, of a database, in percent. The runner compares
    /// each new backup with the median of the newest five verified backups. A backup with a greater loss is
    /// Suspicious: it is kept, but it is successful only after a person acknowledges it with the annotation
    /// pgbackup.dev/acknowledged, or after three more backups in a row have lost rows or emptied tables in the same databases. 100 disables this check.
    /// Other checks also make a backup Suspicious: it comes from another server, a database of the previous backup is
    /// missing, or a table of more than 1000 rows is now empty. Defaults to 50. From 1 to 100.
    #[serde(default = "default_max_shrink")]
    #[schemars(range(min = 1, max = 100))]
    pub max_shrink: u8,

    /// scrub defines when stored backups are read back and checked again, to find backups that the disk or the bucket
    /// has corrupted. Defaults to no scrubs: a backup is checked only when it is stored.
    pub scrub: Option<Scrub>,
}

/// A schedule on which stored backups are read back and checked again.
#[derive(JsonSchema, Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Scrub {
    /// schedule defines when scrubs start, in the syntax of spec.schedule and in spec.timeZone. For example, "H 4 * *
    /// 0" starts a scrub every Sunday at the same minute between 04:00 and 04:59.
    #[schemars(length(max = 100), transform = check::schedule)]
    pub schedule: String,

    /// share is the percentage of all stored bytes that one scrub reads. A scrub begins with the backups whose last
    /// check was longest ago, and reads at least one backup. Defaults to 10. From 1 to 100. For example, with a share
    /// of 10 and a weekly schedule, each backup is read about once in ten weeks.
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
    suspicion_rules::MAX_SHRINK
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

impl From<VerificationLevel> for Level {
    fn from(level: VerificationLevel) -> Self {
        match level {
            VerificationLevel::Checksum => Self::Checksum,
            VerificationLevel::Archive => Self::Archive,
            VerificationLevel::Counts => Self::Counts,
        }
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
