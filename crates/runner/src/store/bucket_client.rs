//! The clients of one bucket.

use std::{fmt, sync::Arc, time::Duration};

use object_store::{Attributes, ObjectStore, multipart::MultipartStore, path::Path, signer::Signer};

use super::{error::StoreError, timeouts::RequestTimeouts};

/// What object_store's client of every cloud can do.
pub trait Cloud: ObjectStore + MultipartStore + Signer {}

impl<T: ObjectStore + MultipartStore + Signer> Cloud for T {}

/// Makes a client with these timeouts.
pub type MakeClient = dyn Fn(RequestTimeouts) -> Result<Arc<dyn Cloud>, StoreError> + Send + Sync;

#[derive(Clone)]
pub struct BucketClient {
    /// `s3://bucket`.
    pub url: String,
    /// The path of the policies' folders.
    pub prefix: Path,
    /// For all requests but removals.
    pub store: Arc<dyn Cloud>,
    /// Makes clients like `store`, for larger parts.
    pub make_client: Arc<MakeClient>,
    /// For removals, perhaps with credentials of its own.
    pub pruner: Arc<dyn Cloud>,
    /// The attributes of every new object: its storage class.
    pub attributes: Attributes,
    /// For requests that object_store does not offer. It trusts the same authorities.
    pub http: reqwest::Client,
    /// A backup without a manifest whose newest object is older than this is a leftover of a dead run.
    pub leftover_age: Duration,
}

/// Clients hold credentials, so they are not shown.
impl fmt::Debug for BucketClient {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "BucketClient({}/{})", self.url, self.prefix)
    }
}
