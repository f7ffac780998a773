//! The multipart uploads of an unfinished backup. A store charges for the parts of an upload that is never
//! completed, but does not list them as objects. Therefore the ids of the uploads are stored in
//! `uploads.json`, and a later run that removes the unfinished backup of a dead run aborts them.

use std::{
    collections::BTreeMap,
    sync::{Arc, Mutex, PoisonError},
    time::Duration,
};

use tokio::sync::{OwnedSemaphorePermit, Semaphore};

/// The name of the file in a backup's folder.
pub const FILE: &str = "uploads.json";

/// The number of permits: more than the parts that can be sent concurrently.
const PERMITS: u32 = 1024;

/// The maximum time that an abort waits for parts that are being sent. After SIGTERM, a run has a minute in
/// total.
const PARTS_TIMEOUT: Duration = Duration::from_secs(20);

#[derive(Clone, Debug)]
pub struct Uploads {
    /// The backup's id.
    pub backup: String,
    /// The id of each upload, by file name.
    ids: Arc<Mutex<BTreeMap<String, String>>>,
    /// A semaphore with [`PERMITS`] permits, of which each part that is being sent holds one.
    parts: Arc<Semaphore>,
}

impl Uploads {
    pub fn new(backup: &str, ids: BTreeMap<String, String>) -> Self {
        Self {
            backup: backup.to_owned(),
            ids: Arc::new(Mutex::new(ids)),
            parts: Arc::new(Semaphore::new(PERMITS as usize)),
        }
    }

    pub fn change<T>(&self, change: impl FnOnce(&mut BTreeMap<String, String>) -> T) -> T {
        change(&mut self.ids.lock().unwrap_or_else(PoisonError::into_inner))
    }

    /// Returns a permit that marks a part as being sent until it is dropped.
    pub fn permit(&self) -> Option<OwnedSemaphorePermit> {
        Arc::clone(&self.parts).try_acquire_owned().ok()
    }

    /// Waits until no part is being sent, at most [`PARTS_TIMEOUT`].
    pub async fn wait_for_parts(&self) {
        if tokio::time::timeout(PARTS_TIMEOUT, self.parts.acquire_many(PERMITS)).await.is_err() {
            tracing::warn!(
                "parts of an aborted upload are still being sent after {} s, so the store possibly keeps them",
                PARTS_TIMEOUT.as_secs()
            );
        }
    }

    pub fn to_json(&self) -> String {
        self.change(|ids| serde_json::to_string_pretty(ids).expect("names should always be JSON") + "\n")
    }
}
