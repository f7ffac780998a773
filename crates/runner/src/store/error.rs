//! The errors of a store.

use std::{
    error::Error,
    io,
    path::{Path, PathBuf},
};

use domain::reason::Reason;

use super::client_error::{explain, is_missing_object, without_error_number};

#[derive(Debug, thiserror::Error)]
pub enum StoreError {
    /// An operation on a file of a volume failed.
    #[error("cannot {action} \"{}\": {}", path.display(), without_error_number(&source.to_string()))]
    File {
        /// The action that failed, as a verb: `read`, `write`, `sync`.
        action: &'static str,
        path: PathBuf,
        source: io::Error,
    },
    /// A request to an object store failed.
    #[error("cannot {action} {url}: {}", explain(source, url).text)]
    Object { action: &'static str, url: String, source: Box<object_store::Error> },
    /// The object cannot be removed because the store keeps it locked.
    #[error("{url} is locked until {until}")]
    Locked {
        url: String,
        /// The end of the lock, in the store's format.
        until: String,
    },
    /// A file already exists that only one run may create.
    #[error("{location} exists already: another run wrote it")]
    AlreadyThere { location: String },
    /// The stored bytes are not UTF-8 text.
    #[error("{location} is corrupted: it is not UTF-8 text")]
    NotText { location: String },
    #[error("a background task of the runner failed: {0}")]
    Task(#[from] tokio::task::JoinError),
    #[error("invalid configuration of the object store: {0}")]
    Configuration(#[source] Box<dyn Error + Send + Sync>),
    #[error("cannot read the CA bundle \"{}\": {}", path.display(), without_error_number(&source.to_string()))]
    CaBundle { path: PathBuf, source: io::Error },
}

impl StoreError {
    pub fn reason(&self) -> Reason {
        match self {
            Self::File { source, .. } => reason_of_file(source),
            Self::Object { source, url, .. } => explain(source, url).reason,
            Self::Locked { .. } | Self::AlreadyThere { .. } | Self::NotText { .. } => Reason::StoreFailed,
            Self::Task(_) => Reason::InternalError,
            Self::Configuration(_) | Self::CaBundle { .. } => Reason::InvalidConfiguration,
        }
    }

    /// Returns a hint for this case; `None` if the reason's general advice is enough.
    pub fn hint(&self) -> Option<String> {
        match self {
            Self::File { action, path, source } => hint_of_file(action, path, source),
            Self::Object { source, url, .. } => explain(source, url).hint,
            Self::AlreadyThere { .. } => {
                Some("No action is needed: the next run stores a new backup.".to_owned())
            }
            Self::NotText { .. } => {
                Some("Check the storage: something changed the file after it was written.".to_owned())
            }
            Self::Locked { .. } | Self::Task(_) => None,
            Self::Configuration(_) => {
                Some("Correct the policy's storage, or the value in the Secret.".to_owned())
            }
            Self::CaBundle { .. } => {
                Some("Create the Secret that storage.s3.caSecretRef selects, with its key.".to_owned())
            }
        }
    }

    /// Returns whether stored bytes are lost: the device reports an I/O error, or the bytes are not the text
    /// that was written.
    pub fn is_corruption(&self) -> bool {
        match self {
            Self::File { source, .. } => source.raw_os_error() == Some(rustix::io::Errno::IO.raw_os_error()),
            Self::NotText { .. } => true,
            _ => false,
        }
    }

    /// Returns whether an operation on any other file would fail in the same way.
    pub fn is_of_the_whole_store(&self) -> bool {
        use Reason::{
            BucketNotFound, ClockSkew, CredentialsMissing, InternalError, InvalidConfiguration, NoSpace,
            ProxyFailed, RegionMismatch, StoreAccessDenied, StoreNotWritable, StoreUnreachable, TlsFailed,
        };
        matches!(
            self.reason(),
            BucketNotFound
                | ClockSkew
                | CredentialsMissing
                | InternalError
                | InvalidConfiguration
                | NoSpace
                | ProxyFailed
                | RegionMismatch
                | StoreAccessDenied
                | StoreNotWritable
                | StoreUnreachable
                | TlsFailed
        )
    }

    /// Returns whether the file does not exist.
    pub fn is_not_found(&self) -> bool {
        match self {
            Self::File { source, .. } => source.kind() == io::ErrorKind::NotFound,
            Self::Object { source, .. } => is_missing_object(source),
            _ => false,
        }
    }
}

/// Returns a function that adds the action and the path to an I/O error.
pub fn failed<'a>(action: &'static str, path: &'a Path) -> impl FnOnce(io::Error) -> StoreError + 'a {
    move |source| StoreError::File { action, path: path.to_owned(), source }
}

fn reason_of_file(error: &io::Error) -> Reason {
    use io::ErrorKind as Kind;
    match error.kind() {
        Kind::StorageFull | Kind::QuotaExceeded => Reason::NoSpace,
        Kind::PermissionDenied | Kind::ReadOnlyFilesystem => Reason::StoreNotWritable,
        _ => Reason::StoreFailed,
    }
}

/// The actions that only read.
const READING: [&str; 5] = ["list", "open", "read", "read the free space of", "stat"];

fn hint_of_file(action: &str, path: &Path, error: &io::Error) -> Option<String> {
    let (user, group) = (rustix::process::geteuid().as_raw(), rustix::process::getegid().as_raw());
    let path = path.display();
    match error.kind() {
        io::ErrorKind::PermissionDenied if READING.contains(&action) => {
            Some(format!("Make \"{path}\" readable for the pod's user {user} and group {group}."))
        }
        io::ErrorKind::PermissionDenied => Some(format!(
            "Make the folder of \"{path}\" writable for the pod's user {user} and group {group}. Kubernetes does not change the owner of a hostPath directory."
        )),
        io::ErrorKind::ReadOnlyFilesystem => {
            Some("Mount the volume read-write, and check the node's kernel log for disk errors.".to_owned())
        }
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn denied(action: &'static str) -> StoreError {
        failed(action, Path::new("/backup/shop"))(io::Error::from_raw_os_error(13))
    }

    #[test]
    fn error_about_unreadable_volume_shows_path_and_user() {
        let user = rustix::process::geteuid().as_raw();
        let error = denied("read");
        assert_eq!(error.to_string(), "cannot read \"/backup/shop\": Permission denied");
        let hint = error.hint().unwrap();
        assert!(
            hint.starts_with(&format!("Make \"/backup/shop\" readable for the pod's user {user} ")),
            "{hint}"
        );
        let hint = denied("create").hint().unwrap();
        assert!(hint.contains("writable for the pod's user") && hint.contains("hostPath"), "{hint}");
    }
}
