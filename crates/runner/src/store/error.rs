//! What a store did not do, and why.

use std::{
    error::Error,
    io,
    path::{Path, PathBuf},
};

use domain::reason::Reason;
use object_store::client::{HttpError, HttpErrorKind};

/// Something that the store did not do.
#[derive(Debug, thiserror::Error)]
pub enum StoreError {
    /// Of a volume.
    #[error("{action} {}: {source}", path.display())]
    File {
        /// What was done.
        action: &'static str,
        /// To what.
        path: PathBuf,
        /// What came of it.
        source: io::Error,
    },
    /// Of an object store.
    #[error("{action} {url}: {}", words(source))]
    Object {
        /// What was done.
        action: &'static str,
        /// To what.
        url: String,
        /// What came of it.
        source: Box<object_store::Error>,
    },
    /// An object that the store keeps for now, whatever anybody asks for.
    #[error("{url} is locked until {until}")]
    Locked {
        /// Which.
        url: String,
        /// As the store says it.
        until: String,
    },
    /// Something that is written once was there already.
    #[error("{location} is there already: another run wrote it")]
    AlreadyThere {
        /// What.
        location: String,
    },
    /// Bytes where a text was written: something has changed them.
    #[error("{location} is no text any more")]
    NotText {
        /// What.
        location: String,
    },
    /// Work that was done aside ended without a result.
    #[error("the work was not done to its end: {0}")]
    Ended(#[from] tokio::task::JoinError),
    /// The store cannot be reached as it is configured.
    #[error("the store's configuration cannot work: {0}")]
    Configuration(#[source] Box<dyn Error + Send + Sync>),
    /// A file that stands for a Secret or a bundle of certificates is not there.
    #[error("{}: {source}", path.display())]
    Given {
        /// The file.
        path: PathBuf,
        /// Why not.
        source: io::Error,
    },
}

impl StoreError {
    /// The reason word.
    pub fn reason(&self) -> Reason {
        match self {
            Self::File { source, .. } => reason_of_file(source),
            Self::Object { source, .. } => reason_of_object(source),
            Self::Locked { .. } | Self::AlreadyThere { .. } | Self::NotText { .. } => Reason::StoreFailed,
            Self::Ended(_) => Reason::InternalError,
            Self::Configuration(_) | Self::Given { .. } => Reason::InvalidConfiguration,
        }
    }

    /// Whether the medium itself gave an error, or bytes that nobody wrote: what was there is lost.
    pub fn is_corruption(&self) -> bool {
        match self {
            Self::File { source, .. } => source.raw_os_error() == Some(rustix::io::Errno::IO.raw_os_error()),
            Self::NotText { .. } => true,
            _ => false,
        }
    }

    /// Whether it would come of any file alike, so that to go on with the next one is of no use.
    pub fn is_of_the_whole_store(&self) -> bool {
        use Reason::{
            BucketNotFound, ClockSkew, InternalError, InvalidConfiguration, NoSpace, StoreAccessDenied,
            StoreNotWritable, StoreUnreachable,
        };
        matches!(
            self.reason(),
            BucketNotFound
                | ClockSkew
                | InternalError
                | InvalidConfiguration
                | NoSpace
                | StoreAccessDenied
                | StoreNotWritable
                | StoreUnreachable
        )
    }

    /// Whether what it was about is not there.
    pub fn is_not_found(&self) -> bool {
        match self {
            Self::File { source, .. } => source.kind() == io::ErrorKind::NotFound,
            Self::Object { source, .. } => is_missing_object(source),
            _ => false,
        }
    }
}

/// Turns an I/O error into one that says what was done, and to what.
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

/// What the stores call a bucket or container that is not there: S3 and GCS, GCS's JSON, Azure.
const NO_BUCKET: [&str; 3] =
    ["<Code>NoSuchBucket<", "specified bucket does not exist", "<Code>ContainerNotFound<"];

/// What they call a clock that differs from theirs: S3; Azure, whose code is that of a wrong key; Google, where tokens
/// come from.
const SKEW: [&str; 3] =
    ["<Code>RequestTimeTooSkewed<", "Request date header too old", "Token must be a short-lived token"];

/// What they call a store that is full, `507 Insufficient Storage` apart: Ceph, Wasabi and versitygw; MinIO's quota; what
/// stores on a file system let through. `EntityTooLarge` is of one object that is too large, however empty the store.
const FULL: [&str; 4] = [
    "status code: 507",
    "<Code>QuotaExceeded<",
    "<Code>XMinioAdminBucketQuotaExceeded<",
    "no space left on device",
];

/// What they call an object that a lock or a retention policy protects: S3 and its kin, GCS, Azure (whose answer to many
/// removals at once has words in the place of a code).
const LOCKED: [&str; 7] = [
    "WORM protected",
    "<Code>ObjectLocked<",
    "object protected by object lock",
    "retentionPolicyNotMet",
    "retention policy",
    "BlobImmutableDueToPolicy",
    "blob is immutable due to",
];

/// How an answer is told whose kind object_store does not know: that to a listing.
const DENIED: [&str; 2] = ["status code: 403", "status code: 401"];

fn says(error: &object_store::Error, words: &[&str]) -> bool {
    let text = error.to_string();
    words.iter().any(|words| text.contains(words))
}

fn reason_of_object(error: &object_store::Error) -> Reason {
    use object_store::Error as Kind;
    if says(error, &NO_BUCKET) {
        return Reason::BucketNotFound;
    }
    if says(error, &SKEW) {
        return Reason::ClockSkew;
    }
    if says(error, &FULL) {
        return Reason::NoSpace;
    }
    match error {
        Kind::PermissionDenied { .. } | Kind::Unauthenticated { .. } => Reason::StoreAccessDenied,
        _ if says(error, &DENIED) => Reason::StoreAccessDenied,
        _ if is_connection(error) => Reason::StoreUnreachable,
        _ => Reason::StoreFailed,
    }
}

/// A bucket that is not there is no missing object.
pub fn is_missing_object(error: &object_store::Error) -> bool {
    matches!(error, object_store::Error::NotFound { .. }) && !says(error, &NO_BUCKET)
}

/// Whether the store keeps the object for now.
pub fn is_locked(error: &object_store::Error) -> bool {
    says(error, &LOCKED)
}

fn causes<'a>(error: &'a (dyn Error + 'static)) -> impl Iterator<Item = &'a (dyn Error + 'static)> {
    std::iter::successors(Some(error), |error: &&'a (dyn Error + 'static)| (*error).source())
}

fn is_connection(error: &object_store::Error) -> bool {
    causes(error).filter_map(|cause| cause.downcast_ref::<HttpError>()).any(|error| {
        use HttpErrorKind as Kind;
        matches!(error.kind(), Kind::Connect | Kind::Request | Kind::Timeout | Kind::Interrupted)
    })
}

/// The store's own words, short: its answers are XML or JSON with the request's whole story, and of a refused signature
/// with more of it than belongs into a log.
fn words(error: &object_store::Error) -> String {
    let text = error.to_string();
    let tag = |name: &str| {
        let (_, rest) = text.split_once(&format!("<{name}>"))?;
        rest.split_once(&format!("</{name}>")).map(|(inner, _)| inner.trim())
    };
    if let Some(code) = tag("Code") {
        // Azure puts the request's id and time on lines of their own.
        let message = tag("Message").and_then(|message| message.lines().next()).unwrap_or_default();
        // Of a wrong clock it tells here only. Of a wrong key this has what was signed.
        let message = tag("AuthenticationErrorDetail").filter(|_| says(error, &SKEW)).unwrap_or(message);
        return if message.is_empty() { code.to_owned() } else { format!("{message} ({code})") };
    }
    if let Some(message) = json_message(&text) {
        return message;
    }
    // The first of them tells of retries and durations, the last one what happened.
    let words = causes(error).last().map_or(text.clone(), ToString::to_string);
    match server(&text).filter(|_| is_connection(error)) {
        Some(server) => format!("{server}: {words}"),
        None => words,
    }
}

/// `http://host:port` of the first URL in a text.
fn server(text: &str) -> Option<&str> {
    let url = &text[text.find("http")?..];
    let host = url.find("://")? + "://".len();
    let end = url[host..].find(['/', '?', ' ']).map_or(url.len(), |end| host + end);
    Some(&url[..end])
}

/// GCS: `{"error": {"code": 403, "message": "..."}}`. Where its tokens come from: `{"error_description": "..."}`.
fn json_message(text: &str) -> Option<String> {
    let json = text.get(text.find('{')?..=text.rfind('}')?)?;
    let value: serde_json::Value = serde_json::from_str(json).ok()?;
    let message = value.pointer("/error/message").or_else(|| value.get("error_description"));
    message?.as_str().map(str::to_owned)
}
