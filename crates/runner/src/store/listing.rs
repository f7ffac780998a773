//! The list of all backups of a repository.

use std::collections::BTreeMap;

use domain::{
    catalog::CatalogBackup,
    manifest::{Check, Content, Level, Manifest},
    reason::Reason,
};
use jiff::Timestamp;

use super::error::StoreError;

#[derive(Debug, Default)]
pub struct Listing {
    /// The backups with a readable manifest, oldest first.
    pub backups: Vec<StoredBackup>,
    /// The ids of folders without a manifest, which are unfinished backups.
    pub leftovers: Vec<String>,
    /// The ids of backups whose manifest or checks cannot be read, each with the cause. These backups are
    /// kept, and retention does not count them.
    pub unreadable: Vec<(String, Unreadable)>,
}

/// The reason why a backup's manifest or checks cannot be read.
#[derive(Debug, thiserror::Error)]
pub enum Unreadable {
    #[error(transparent)]
    Store(#[from] StoreError),
    /// The file's content is not what was written.
    #[error("\"{file}\" is corrupted: {what}")]
    Corrupted { file: String, what: String },
    #[error("\"{file}\" was written by a later version of pgbackup")]
    Later { file: String },
}

impl Unreadable {
    pub fn corrupted(file: &str, what: &impl ToString) -> Self {
        Self::Corrupted { file: file.to_owned(), what: what.to_string() }
    }

    /// Returns whether the stored bytes are wrong.
    pub fn is_corruption(&self) -> bool {
        match self {
            Self::Store(error) => error.is_corruption(),
            Self::Corrupted { .. } => true,
            Self::Later { .. } => false,
        }
    }

    pub fn reason(&self) -> Reason {
        match self {
            Self::Store(error) => error.reason(),
            Self::Corrupted { .. } => Reason::ChecksumMismatch,
            Self::Later { .. } => Reason::InvalidConfiguration,
        }
    }

    /// Returns a hint for this case; `None` if the reason's general advice is enough.
    pub fn hint(&self) -> Option<String> {
        match self {
            Self::Store(error) => error.hint(),
            Self::Corrupted { .. } => None,
            Self::Later { .. } => {
                Some("Upgrade pgbackup to the version that wrote the backup, or a later one.".to_owned())
            }
        }
    }
}

/// A backup that has a manifest, with the facts that every run needs. The manifest itself can be large, so it
/// is not kept in memory; [`super::Repository::manifest`] reads it again.
#[derive(Clone, Debug)]
pub struct StoredBackup {
    /// The backup as retention sees it.
    pub entry: CatalogBackup,
    /// The UID of the Job that stored the backup.
    pub job_uid: String,
    /// The size of each database's archive in bytes, by database name.
    pub sizes: BTreeMap<String, u64>,
    /// The time of the newest check.
    pub checked: Timestamp,
    /// The level of the first check, which later checks use too.
    pub level: Level,
}

impl StoredBackup {
    pub fn new(manifest: &Manifest, later_checks: &[Check], acknowledged: bool) -> Self {
        let sizes = manifest.artifacts.iter().filter_map(|artifact| match &artifact.content {
            Content::Database(facts) => Some((facts.name.clone(), artifact.size_bytes)),
            _ => None,
        });
        Self {
            entry: CatalogBackup::new(manifest, later_checks, acknowledged),
            job_uid: manifest.run.job_uid.clone(),
            sizes: sizes.collect(),
            level: manifest.check.level,
            checked: later_checks.iter().map(|check| check.time).fold(manifest.check.time, Timestamp::max),
        }
    }
}
