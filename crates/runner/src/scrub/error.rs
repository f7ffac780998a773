//! The errors of the subcommands `scrub` and `verify`.

use domain::{message::Message, reason::Reason};

use super::finding::{Finding, Severity};
use crate::store::StoreError;

/// The reason why a scrub or a verification failed.
#[derive(Debug, thiserror::Error)]
pub enum ScrubError {
    #[error(transparent)]
    Store(#[from] StoreError),
    #[error("no backup exists at \"{folder}\"")]
    NoBackup { folder: String },
    #[error("{corrupted} of {checked} backups failed the check; {backup}: {first}{}", unrecorded_text(unrecorded.as_deref()))]
    Corrupted {
        corrupted: usize,
        checked: usize,
        /// The name of the backup with the most severe finding.
        backup: String,
        /// The most severe finding.
        first: Box<Finding>,
        /// The error if a corruption could not be stored beside the backup. Retention then does not know
        /// about it.
        unrecorded: Option<Box<StoreError>>,
    },
    /// No backup is corrupted, but at least one could not be checked.
    #[error("{unchecked} of {checked} backups could not be checked; {backup}: {first}")]
    Unchecked {
        unchecked: usize,
        checked: usize,
        /// The name of the first backup that could not be checked.
        backup: String,
        /// Why that backup could not be checked.
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

    /// Returns a hint for this case; `None` if the reason's general advice is enough.
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
