//! What is wrong with a backup.

use domain::reason::Reason;

use crate::{
    pg::archive::ArchiveError,
    read_back::VerifyError,
    store::{StoreError, Unreadable},
};

/// What is wrong with a backup, or why that could not be found out.
#[derive(Debug, thiserror::Error)]
pub enum Finding {
    /// With one of the files that its manifest names.
    #[error(transparent)]
    File(#[from] VerifyError),
    /// With the manifest itself, or with what was written beside it.
    #[error(transparent)]
    Unreadable(#[from] Unreadable),
}

impl Finding {
    /// The reason word.
    pub fn reason(&self) -> Reason {
        match self {
            Self::File(error) => error.reason(),
            Self::Unreadable(error) => error.reason(),
        }
    }

    /// Whether the stored bytes themselves are at fault. Where they are those that were written, whatever pg_restore has
    /// against them is its own (an old version, no memory): nobody may lose a backup for that. Nor for a store that does not
    /// answer.
    pub fn is_corruption(&self) -> bool {
        match self {
            Self::File(VerifyError::Differs { .. } | VerifyError::Gone { .. }) => true,
            Self::File(VerifyError::Store(error)) => error.is_corruption(),
            Self::File(_) => false,
            Self::Unreadable(error) => error.is_corruption(),
        }
    }

    /// Whether it is so for good. A device that gives an error may be a share on the network that was away: that is said,
    /// and the backup goes on to count for those who remove others.
    pub fn is_certain(&self) -> bool {
        !matches!(self, Self::File(VerifyError::Store(_)))
    }

    /// Whether it would come of any other set alike.
    pub fn is_of_all(&self) -> bool {
        match self {
            Self::File(VerifyError::Archive { source: ArchiveError::Start(_), .. }) => true,
            Self::File(VerifyError::Store(error)) | Self::Unreadable(Unreadable::Store(error)) => {
                error.is_of_the_whole_store()
            }
            _ => false,
        }
    }
}

impl From<StoreError> for Finding {
    fn from(error: StoreError) -> Self {
        VerifyError::from(error).into()
    }
}
