//! The backups of a repository, as one listing shows them.

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
    /// The backups with a readable manifest, newest last.
    pub backups: Vec<StoredBackup>,
    /// Ids of backups without a manifest.
    pub leftovers: Vec<String>,
    /// Ids of backups whose manifest or checks cannot be read, and why. They are left alone, and retention ignores
    /// them.
    pub unreadable: Vec<(String, Unreadable)>,
}

/// Why a backup's manifest or checks cannot be read.
#[derive(Debug, thiserror::Error)]
pub enum Unreadable {
    #[error(transparent)]
    Store(#[from] StoreError),
    /// The file is not what was written.
    #[error("\"{file}\" is corrupted: {what}")]
    Corrupted { file: String, what: String },
    #[error("\"{file}\" was written by a later version of pgbackup")]
    Later { file: String },
}

impl Unreadable {
    pub fn corrupted(file: &str, what: &impl ToString) -> Self {
        Self::Corrupted { file: file.to_owned(), what: what.to_string() }
    }

    /// Whether the stored bytes are wrong.
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

    /// What to do, where it is more than the reason's advice.
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

/// A backup that has a manifest, as far as every run needs it. Manifests of many tables are large, so they are not kept: the
/// repository reads one again when it is needed.
#[derive(Clone, Debug)]
pub struct StoredBackup {
    /// What retention needs.
    pub entry: CatalogBackup,
    /// The UID of the Job that stored it.
    pub job_uid: String,
    /// The stored size of each database, in bytes.
    pub sizes: BTreeMap<String, u64>,
    /// The time of its newest check.
    pub checked: Timestamp,
    /// The level of its first check and of every later one.
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
