//! The reasons why a server cannot be backed up.

use domain::reason::Reason;

use super::{
    client::NoClientError, line_break::LineBreak, privilege, replica::StaleError, session::SessionError,
};

/// The reason why a server cannot be backed up.
#[derive(Debug, thiserror::Error)]
pub enum PreflightError {
    #[error(transparent)]
    Client(#[from] NoClientError),
    #[error("{0}")]
    Connect(#[from] SessionError),
    /// The server rejects a value of a Secret that ends with a line break.
    #[error("the {} ends with a line break: {message}", value.what)]
    LineBreak { value: LineBreak, message: String },
    /// The role has no permission for the queries about the whole server.
    #[error("{error}")]
    Facts {
        error: SessionError,
        /// The database in which the queries ran.
        database: String,
        /// The role's name, quoted.
        role: String,
    },
    /// A session's settings are rejected, or differ from those that were sent.
    #[error("a connection pooler answers at this address: {0}")]
    Pooler(String),
    #[error("the file {path:?} of postgres.connection.{field} does not exist")]
    Certificate {
        path: String,
        /// The field in `postgres.connection` that names the certificate's Secret.
        field: &'static str,
    },
    #[error(transparent)]
    Stale(#[from] StaleError),
    /// The client programs have another major version than the server.
    #[error("the client tools have major version {client}, but the server has major version {server}")]
    Version { client: u32, server: u32 },
}

impl PreflightError {
    /// Returns a hint for this case; `None` if the reason's general advice is enough.
    pub fn hint(&self) -> Option<String> {
        match self {
            Self::LineBreak { value, .. } => Some(value.hint()),
            Self::Facts { error, database, role } => match error {
                SessionError::Failed(failed) if failed.stderr.contains("pg_control_") => Some(format!(
                    "Run in database {database:?}: GRANT EXECUTE ON FUNCTION pg_control_system(), pg_control_checkpoint() TO {role}."
                )),
                error => error.hint(role),
            },
            Self::Certificate { field, .. } => Some(format!(
                "Create the Secret that postgres.connection.{field} selects, with all its keys."
            )),
            Self::Stale(error) => error.hint(),
            Self::Client(_) => {
                Some("Set postgres.image to an image with PostgreSQL's client tools.".to_owned())
            }
            Self::Connect(error) => error.hint(privilege::ANY_ROLE),
            Self::Pooler(_) | Self::Version { .. } => None,
        }
    }

    pub fn reason(&self) -> Reason {
        match self {
            Self::Client(_) => Reason::InvalidConfiguration,
            Self::LineBreak { .. } => Reason::AuthenticationFailed,
            Self::Connect(error) | Self::Facts { error, .. } => error.reason(Reason::ServerNotReady),
            Self::Certificate { .. } => Reason::TlsFailed,
            Self::Stale(_) => Reason::ReplicaStale,
            Self::Pooler(_) => Reason::PoolerNotSupported,
            Self::Version { client, server } if client < server => Reason::ClientTooOld,
            Self::Version { .. } => Reason::ClientTooNew,
        }
    }
}
