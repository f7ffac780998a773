//! How backups are checked: when they are stored, and later.

use kube::KubeSchema;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use serde_with::skip_serializing_none;

use crate::messages;

/// How a backup is checked after it is stored.
#[skip_serializing_none]
#[derive(JsonSchema, Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Verification {
    /// How deep the check goes. Checksum: the stored bytes are read back and their size and SHA-256 compared; whether
    /// they are a readable archive is not known, so such a backup is called Stored and never Verified. Archive: that,
    /// and the archive is read to its end, the rows of each table counted and fingerprinted, and its table of contents
    /// compared with the database. Counts: that, and the rows of each table are counted at the server too, in the
    /// same snapshot, which reads every table a second time. Default: Archive.
    #[serde(default)]
    pub level: VerificationLevel,

    /// How much less than before a database may hold, in percent, of rows or of bytes of data, against the median of
    /// the last five verified backups. A backup that lost more is Suspicious: it is kept, and counts for nothing until the
    /// annotation pgbackup.dev/acknowledged names it, or until three more in a row say the same. So is a backup of another
    /// server, one without a database that the last one had, and one in which a table of more than 1000 rows became
    /// empty. 100: any loss of rows is all right. Default: 50.
    #[serde(default = "default_max_shrink")]
    #[schemars(range(min = 1, max = 100))]
    pub max_shrink: u8,

    /// Whether stored backups are read again later, on a schedule of its own: disks and buckets rot. Default: they are
    /// not, and only a restore would tell.
    pub scrub: Option<Scrub>,
}

/// Reads stored backups again, those that were not looked at for longest first, and as deep as when they were made. A backup
/// that is not as it was written is corrupted: it counts for no rule from then on.
#[derive(KubeSchema, Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Scrub {
    /// When: as spec.schedule, in the policy's time zone.
    #[schemars(length(max = 100))]
    #[x_kube(
        validation = Rule::new("!self.startsWith('@every')").message(messages::EVERY),
        validation = Rule::new("self.startsWith('@') || !self.contains('TZ')").message(messages::ZONE_IN_SCHEDULE),
        validation = Rule::new(messages::IS_NICKNAME).message(messages::NICKNAME),
        validation = Rule::new(messages::HAS_FIVE_FIELDS).message(messages::FIVE_FIELDS)
    )]
    pub schedule: String,

    /// How much of the stored bytes each run reads, in percent; one backup at least. With 10 and a weekly schedule every backup
    /// is read once in ten weeks. Default: 10.
    #[serde(default = "default_share")]
    #[schemars(range(min = 1, max = 100))]
    pub share: u8,
}

const fn default_share() -> u8 {
    10
}

impl Default for Verification {
    fn default() -> Self {
        Self { level: VerificationLevel::default(), max_shrink: default_max_shrink(), scrub: None }
    }
}

const fn default_max_shrink() -> u8 {
    50
}

/// How deep a check goes.
#[derive(JsonSchema, Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub enum VerificationLevel {
    /// The stored bytes.
    Checksum,
    /// That, the archive's readability, its rows and its table of contents.
    #[default]
    Archive,
    /// That, and the rows counted at the server.
    Counts,
}
