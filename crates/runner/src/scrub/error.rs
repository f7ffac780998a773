//! Why a scrub or a verification failed.

use domain::reason::Reason;

use super::finding::Finding;
use crate::store::StoreError;

/// Sets that could not be checked, or are not what they should be.
#[derive(Debug, thiserror::Error)]
pub enum ScrubError {
    /// The store failed.
    #[error(transparent)]
    Store(#[from] StoreError),
    /// There is nothing to check.
    #[error("there is no such backup in {place}")]
    NoBackup {
        /// Where was looked.
        place: String,
    },
    /// Some are not what they should be; the words are those of the first.
    #[error("corrupted: {corrupted} of {checked} that were read; {backup}: {first}{}", beside(unwritten.as_deref()))]
    Corrupted {
        /// How many.
        corrupted: usize,
        /// Of how many.
        checked: usize,
        /// The first one.
        backup: String,
        /// What is wrong with it.
        first: Box<Finding>,
        /// Why that could not be written down beside a backup, so that it counts as before.
        unwritten: Option<Box<StoreError>>,
    },
    /// Some could not be checked, and all others are what they should be.
    #[error("not checked: {unchecked} of {checked}; {backup}: {first}")]
    Unchecked {
        /// How many.
        unchecked: usize,
        /// Of how many.
        checked: usize,
        /// The first one.
        backup: String,
        /// Why it could not.
        first: Box<Finding>,
    },
}

fn beside(error: Option<&StoreError>) -> String {
    error.map(|error| format!("; not written down beside it: {error}")).unwrap_or_default()
}

impl ScrubError {
    /// The reason word.
    pub fn reason(&self) -> Reason {
        match self {
            Self::Store(error) => error.reason(),
            Self::NoBackup { .. } => Reason::InvalidConfiguration,
            Self::Corrupted { .. } => Reason::BackupCorrupted,
            Self::Unchecked { first, .. } => first.reason(),
        }
    }
}
