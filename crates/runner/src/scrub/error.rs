//! Why a scrub or a verification failed.

use domain::{message::Message, reason::Reason};

use super::finding::{Finding, Severity};
use crate::store::StoreError;

/// The reason why a scrub or a verification failed.
#[derive(Debug, thiserror::Error)]
pub enum ScrubError {
    #[error(transparent)]
    Store(#[from] StoreError),
    #[error("there is no backup in {folder}")]
    NoBackup { folder: String },
    #[error("{corrupted} of {checked} backups failed the check; {backup}: {first}{}", unrecorded_text(unrecorded.as_deref()))]
    Corrupted {
        corrupted: usize,
        checked: usize,
        /// The first of those with the worst finding.
        backup: String,
        /// What is wrong with it.
        first: Box<Finding>,
        /// Why the outcome could not be recorded: retention does not know of the corruption.
        unrecorded: Option<Box<StoreError>>,
    },
    /// Others may be intact, but none is corrupted.
    #[error("{unchecked} of {checked} backups could not be checked; {backup}: {first}")]
    Unchecked {
        unchecked: usize,
        checked: usize,
        /// The first one.
        backup: String,
        /// Why the first one could not be checked.
        first: Box<Finding>,
    },
}

fn unrecorded_text(error: Option<&StoreError>) -> String {
    error.map(|error| format!("; the outcome could not be recorded: {error}")).unwrap_or_default()
}

impl ScrubError {
    pub fn reason(&self) -> Reason {
        match self {
            Self::Store(error) => error.reason(),
            Self::NoBackup { .. } => Reason::InvalidConfiguration,
            Self::Corrupted { first, .. } if first.severity() == Severity::Archive => Reason::BackupCorrupted,
            Self::Corrupted { first, .. } | Self::Unchecked { first, .. } => first.reason(),
        }
    }

    /// What to do in this case; `None` where the advice of the reason is enough.
    fn hint(&self) -> Option<String> {
        match self {
            Self::Store(error) => error.hint(),
            Self::NoBackup { .. } => Some("Run `pgbackup-runner list` to see the stored backups.".to_owned()),
            Self::Corrupted { first, .. } | Self::Unchecked { first, .. } => first.hint(),
        }
    }

    pub fn message(&self) -> Message {
        Message::new(self.to_string()).or_hint(self.hint().as_deref())
    }
}
