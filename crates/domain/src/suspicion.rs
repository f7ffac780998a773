//! What makes a backup suspicious: it is intact, but differs too much from earlier verified ones.
//!
//! A suspicious backup is kept with its manifest. Retention ignores it until a person acknowledges it. Some suspicions are
//! also accepted without a person, when [`ALIKE`] backups in a row have the same ones: the database has changed for good.

use std::fmt;

use serde::{Deserialize, Serialize};

/// How many suspicious backups in a row with the same suspicions are accepted: the first and three more.
pub const ALIKE: usize = 4;

/// A difference between a new backup and earlier verified ones.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Suspicion {
    /// The kind of the difference.
    pub kind: SuspicionKind,
    /// The database; absent if the difference is the server's.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub database: Option<String>,
    /// The fact, for a person.
    pub message: String,
}

/// A kind of difference.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub enum SuspicionKind {
    /// The server has another system identifier, or an earlier timeline.
    ServerChanged,
    /// A database of the last verified backup is missing and not retired.
    DatabaseMissing,
    /// A database has far fewer rows or bytes.
    Shrunk,
    /// A table that had many rows has none.
    Emptied,
}

impl SuspicionKind {
    /// Whether [`ALIKE`] backups in a row accept it. Only a person accepts another server or a missing database.
    pub const fn is_accepted_in_a_row(self) -> bool {
        matches!(self, Self::Shrunk | Self::Emptied)
    }
}

/// Two suspicions are alike if their kinds and databases are equal; figures do not matter.
pub type Key = (SuspicionKind, Option<String>);

impl Suspicion {
    /// The key that alike suspicions share.
    pub fn key(&self) -> Key {
        (self.kind, self.database.clone())
    }
}

impl fmt::Display for Suspicion {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.message)
    }
}
