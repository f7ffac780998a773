//! What a check finds wrong with a stored backup.

use domain::reason::Reason;

use crate::{
    read_back::ReadBackError,
    store::{StoreError, Unreadable},
};

/// What is wrong with a backup, or why that is not known.
#[derive(Debug, thiserror::Error)]
pub enum Finding {
    #[error(transparent)]
    ReadBack(#[from] ReadBackError),
    #[error("file {file:?} is missing")]
    Missing { file: String },
    #[error("archive {file:?} has the right checksum, but pg_restore reads other contents: {}", differences.join(", "))]
    ContentDiffers {
        file: String,
        /// The first few.
        differences: Vec<String>,
    },
    /// The manifest, or a file beside it.
    #[error(transparent)]
    Unreadable(#[from] Unreadable),
    #[error("check file \"{location}\" is corrupted, the archives are intact")]
    CheckFile { location: String },
}

/// What is affected, the worst first. It decides the reason of a run with several findings.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Severity {
    Archive,
    MissingFile,
    Manifest,
    CheckFile,
}

impl Finding {
    pub fn reason(&self) -> Reason {
        match self {
            Self::ReadBack(error) => error.reason(),
            Self::Missing { .. } => Reason::FileMissing,
            Self::ContentDiffers { .. } => Reason::ContentMismatch,
            Self::Unreadable(Unreadable::Corrupted { .. }) => Reason::ManifestCorrupted,
            Self::Unreadable(error) => error.reason(),
            Self::CheckFile { .. } => Reason::CheckFileCorrupted,
        }
    }

    pub const fn severity(&self) -> Severity {
        match self {
            Self::ReadBack(_) | Self::ContentDiffers { .. } => Severity::Archive,
            Self::Missing { .. } => Severity::MissingFile,
            Self::Unreadable(_) => Severity::Manifest,
            Self::CheckFile { .. } => Severity::CheckFile,
        }
    }

    /// What to do in this case; `None` where the advice of the reason is enough.
    pub fn hint(&self) -> Option<String> {
        match self {
            Self::ReadBack(error) => error.hint(),
            Self::Missing { .. } => None,
            Self::ContentDiffers { .. } => Some(
                "Compare the version of pg_restore with the client version in the backup's manifest."
                    .to_owned(),
            ),
            Self::Unreadable(error) => error.hint(),
            Self::CheckFile { location } => Some(format!(
                "Delete {location}. Retention ignores the backup until then, and the next scrub checks it again."
            )),
        }
    }

    /// Whether the stored bytes are not those that were written. An error of pg_restore or of an unreachable store says
    /// nothing about them, and must not condemn a backup.
    pub fn is_corruption(&self) -> bool {
        match self {
            Self::ReadBack(ReadBackError::ChecksumMismatch { .. })
            | Self::Missing { .. }
            | Self::CheckFile { .. } => true,
            Self::ReadBack(ReadBackError::Store(error)) => error.is_corruption(),
            Self::ReadBack(ReadBackError::Archive { .. }) | Self::ContentDiffers { .. } => false,
            Self::Unreadable(error) => error.is_corruption(),
        }
    }

    /// Whether the corruption is permanent. An I/O error of the device may come from a network share that was away: it is
    /// reported, but retention does not ignore the backup.
    pub const fn is_permanent(&self) -> bool {
        !matches!(self, Self::ReadBack(ReadBackError::Store(_)))
    }

    /// Whether every other backup would give the same.
    pub fn concerns_all(&self) -> bool {
        match self {
            Self::ReadBack(ReadBackError::Store(error)) | Self::Unreadable(Unreadable::Store(error)) => {
                error.is_of_the_whole_store()
            }
            Self::ReadBack(error) => error.is_missing_program(),
            _ => false,
        }
    }
}

impl From<StoreError> for Finding {
    fn from(error: StoreError) -> Self {
        ReadBackError::from(error).into()
    }
}
