//! Suspicions: differences that make an intact backup suspicious, because it differs too much from earlier
//! verified ones.
//!
//! A suspicious backup is stored with a manifest. Retention does not count it until a person acknowledges it,
//! or until several backups in a row have the same differences.
//! Some suspicions are accepted automatically if [`ALIKE`] consecutive backups have the same ones: the
//! database has then changed permanently.

use std::fmt;

use serde::{Deserialize, Serialize};

/// The number of consecutive backups with the same suspicions after which they are accepted automatically.
pub const ALIKE: usize = 4;

/// A difference between a new backup and earlier verified ones.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Suspicion {
    /// The kind of difference.
    pub kind: SuspicionKind,
    /// The database that differs; absent if the server differs.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub database: Option<String>,
    /// A text that describes the difference, with figures.
    pub message: String,
}

/// The kind of difference that makes a backup suspicious.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub enum SuspicionKind {
    /// The server has another system identifier or an earlier timeline.
    ServerChanged,
    /// A database of the last verified backup is missing, although the policy still selects it.
    DatabaseMissing,
    /// A database has far fewer rows or bytes than in earlier backups.
    Shrunk,
    /// A table that had many rows is empty.
    Emptied,
}

impl SuspicionKind {
    /// Returns whether [`ALIKE`] consecutive backups with this suspicion are accepted automatically. Only a
    /// person can accept another server or a missing database.
    pub const fn is_accepted_in_a_row(self) -> bool {
        matches!(self, Self::Shrunk | Self::Emptied)
    }
}

/// The part of a suspicion that is compared between backups: its kind and its database. Figures are ignored.
pub type Key = (SuspicionKind, Option<String>);

impl Suspicion {
    /// Returns the kind and the database, which together identify the suspicion in a backup.
    pub fn key(&self) -> Key {
        (self.kind, self.database.clone())
    }
}

impl fmt::Display for Suspicion {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.message)
    }
}
