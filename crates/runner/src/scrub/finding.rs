//! The problems that a check finds in a stored backup.

use domain::reason::Reason;

use crate::{
    read_back::ReadBackError,
    store::{StoreError, Unreadable},
};

/// A problem of a stored backup, or the reason why the backup could not be checked.
#[derive(Debug, thiserror::Error)]
pub enum Finding {
    #[error(transparent)]
    ReadBack(#[from] ReadBackError),
    #[error("file {file:?} is missing")]
    Missing { file: String },
    #[error(
        "archive {file:?} has the expected checksum, but what pg_restore reads from it differs from the manifest: {differences}"
    )]
    ContentDiffers {
        file: String,
        /// The first few differences.
        differences: String,
    },
    /// The manifest or a check file cannot be read.
    #[error(transparent)]
    Unreadable(#[from] Unreadable),
    #[error("check file \"{location}\" is corrupted, the archives are intact")]
    CheckFile { location: String },
}

/// The kind of the affected file, from the most to the least severe. The most severe finding determines the
/// reason of a run.
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

    /// Returns a hint for this case; `None` if the reason's general advice is enough.
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

    /// Returns whether the stored bytes differ from those that were written. An error of pg_restore or of a
    /// store that does not answer is no evidence of that, so it must not mark a backup as corrupted.
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

    /// Returns whether the corruption is permanent. An I/O error may come from a network share that was
    /// temporarily unavailable: it is reported, but not stored beside the backup.
    pub const fn is_permanent(&self) -> bool {
        !matches!(self, Self::ReadBack(ReadBackError::Store(_)))
    }

    /// Returns whether the check of every other backup would fail in the same way.
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
