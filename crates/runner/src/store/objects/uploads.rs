//! The multipart uploads of an unfinished backup. A store lists the parts of an upload nowhere until it is completed, but
//! charges for them; so `uploads.json` names the uploads, and the run that removes the leftovers of a dead one aborts
//! them.

use std::{
    collections::BTreeMap,
    sync::{Arc, Mutex, PoisonError},
    time::Duration,
};

use tokio::sync::{OwnedSemaphorePermit, Semaphore};

/// The file in a backup's folder.
pub const FILE: &str = "uploads.json";

/// More parts than are ever being sent.
const PERMITS: u32 = 1024;

/// How long an abort waits for parts that are being sent. A run that was told to stop has a minute in all.
const PARTS_TIMEOUT: Duration = Duration::from_secs(20);

#[derive(Clone, Debug)]
pub struct Uploads {
    /// The backup's id.
    pub backup: String,
    /// The id of each upload, by file.
    ids: Arc<Mutex<BTreeMap<String, String>>>,
    /// Each part that is being sent holds one of [`PERMITS`].
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

    /// Marks a part as being sent until the permit is dropped.
    pub fn permit(&self) -> Option<OwnedSemaphorePermit> {
        Arc::clone(&self.parts).try_acquire_owned().ok()
    }

    /// Waits until no part is being sent.
    pub async fn wait_for_parts(&self) {
        if tokio::time::timeout(PARTS_TIMEOUT, self.parts.acquire_many(PERMITS)).await.is_err() {
            tracing::warn!(
                "parts of an aborted upload are still being sent after {} s: the store may keep them",
                PARTS_TIMEOUT.as_secs()
            );
        }
    }

    pub fn to_json(&self) -> String {
        self.change(|ids| serde_json::to_string_pretty(ids).expect("names should always be JSON") + "\n")
    }
}
