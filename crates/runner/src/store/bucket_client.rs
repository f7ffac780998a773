//! The clients of one bucket.

use std::{fmt, sync::Arc, time::Duration};

use object_store::{Attributes, ObjectStore, multipart::MultipartStore, path::Path, signer::Signer};

use super::{error::StoreError, timeouts::RequestTimeouts};

/// The traits that object_store's client of every cloud implements.
pub trait Cloud: ObjectStore + MultipartStore + Signer {}

impl<T: ObjectStore + MultipartStore + Signer> Cloud for T {}

/// A function that creates a client with the given timeouts.
pub type MakeClient = dyn Fn(RequestTimeouts) -> Result<Arc<dyn Cloud>, StoreError> + Send + Sync;

#[derive(Clone)]
pub struct BucketClient {
    /// The bucket's URL, for example `s3://bucket`.
    pub url: String,
    /// The path in the bucket below which the policies' folders are.
    pub prefix: Path,
    /// The client for all requests except removals.
    pub store: Arc<dyn Cloud>,
    /// Creates clients that differ from `store` only in their timeouts, for uploads whose parts exceed
    /// `part_size::MIN`.
    pub make_client: Arc<MakeClient>,
    /// The client for removals, which may have credentials of its own.
    pub pruner: Arc<dyn Cloud>,
    /// The attributes of every new object, for example its storage class.
    pub attributes: Attributes,
    /// A client for requests that object_store does not support. It trusts the same certificate authorities.
    pub http: reqwest::Client,
    /// The age of the newest object from which on a backup without a manifest counts as unfinished by a dead
    /// run.
    pub leftover_age: Duration,
}

/// Shows only the URL and the prefix, because the clients contain credentials.
impl fmt::Debug for BucketClient {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "BucketClient({}/{})", self.url, self.prefix)
    }
}
