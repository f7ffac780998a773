//! The error of a backup run.

use domain::{message::Message, reason::Reason, size, uri::UriError};

use crate::{
    pg::{
        compression::UnsupportedCompression, databases::SelectionError, hold::HoldError,
        inspect::InspectError, preflight_error::PreflightError,
    },
    read_back::ReadBackError,
    store::StoreError,
    transfer::TransferError,
};

/// The reason why a backup run failed or its backup is suspicious.
#[derive(Debug, thiserror::Error)]
pub enum BackupError {
    #[error(transparent)]
    Store(#[from] StoreError),
    #[error(
        "the store has too little free space for a new backup: {} free, the newest backups of the same databases take {}",
        size::human(*free),
        size::human(*needed)
    )]
    NoSpace {
        /// The free space of the store, in bytes.
        free: u64,
        /// The total size of the newest backup of each database, in bytes.
        needed: u64,
    },
    #[error("the connection URI is invalid: {0}")]
    Uri(#[from] UriError),
    #[error(transparent)]
    Preflight(#[from] PreflightError),
    #[error(transparent)]
    Selection(#[from] SelectionError),
    #[error(transparent)]
    Inspect(#[from] InspectError),
    #[error(transparent)]
    Compression(#[from] UnsupportedCompression),
    #[error(transparent)]
    Hold(#[from] HoldError),
    #[error(transparent)]
    Transfer(#[from] TransferError),
    #[error(transparent)]
    ReadBack(#[from] ReadBackError),
    #[error("archive {file:?} is incomplete: it lacks {missing}")]
    Incomplete {
        file: String,
        /// The first few objects that the database has and the archive lacks.
        missing: String,
    },
    #[error("backup {id} is stored and intact, but it differs from earlier backups: {}", what.join("; "))]
    Suspicious {
        namespace: String,
        policy: String,
        id: String,
        /// The differences from earlier backups, as sentences.
        what: Vec<String>,
        /// Whether one of the differences is a missing database.
        dropped: bool,
    },
    #[error("database {database:?}: {source}")]
    Database { database: String, source: Box<Self> },
}

impl BackupError {
    pub fn reason(&self) -> Reason {
        match self {
            Self::Store(error) => error.reason(),
            Self::NoSpace { .. } => Reason::NoSpace,
            Self::Uri(_) | Self::Compression(_) => Reason::InvalidConfiguration,
            Self::Preflight(error) => error.reason(),
            Self::Selection(error) => error.reason(),
            Self::Inspect(error) => error.reason(),
            Self::Hold(error) => error.reason(),
            Self::Transfer(error) => error.reason(),
            Self::ReadBack(error) => error.reason(),
            Self::Incomplete { .. } => Reason::ContentMismatch,
            Self::Suspicious { .. } => Reason::Suspicious,
            Self::Database { source, .. } => source.reason(),
        }
    }

    /// Returns a hint for this case; `None` if the reason's general advice is enough.
    fn hint(&self) -> Option<String> {
        match self {
            Self::Store(error) => error.hint(),
            Self::Uri(_) => {
                Some("Correct the URI in the Secret of postgres.connection.uriSecretRef.".to_owned())
            }
            Self::Preflight(error) => error.hint(),
            Self::Selection(error) => error.hint(),
            Self::Inspect(error) => error.hint(),
            Self::Compression(_) => Some(UnsupportedCompression::HINT.to_owned()),
            Self::Hold(error) => error.hint(),
            Self::Transfer(error) => error.hint(),
            Self::ReadBack(error) => error.hint(),
            Self::Suspicious { namespace, policy, id, dropped, .. } => Some(format!(
                "Find the cause before retention deletes older backups. {}To accept the backup: kubectl annotate --namespace {namespace} backuppolicy {policy} pgbackup.dev/acknowledged={id} --overwrite.",
                if *dropped {
                    "If a database was dropped on purpose, add it to databases.retired. "
                } else {
                    ""
                }
            )),
            Self::Database { source, .. } => source.hint(),
            _ => None,
        }
    }

    pub fn message(&self) -> Message {
        Message::new(self.to_string()).or_hint(self.hint().as_deref())
    }
}
