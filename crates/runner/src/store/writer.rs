//! Writes a new backup and its files.

use std::sync::Arc;

use domain::{
    hash,
    manifest::{self, Manifest},
};
use tokio::sync::Mutex;

use super::{
    backend::{Backend, Unfinished, Upload},
    error::StoreError,
    reader::Reader,
};

/// A backup that is being written. Clones refer to the same backup. If it never gets a manifest, a later run
/// removes it.
#[derive(Clone, Debug)]
pub struct BackupWriter {
    id: String,
    backend: Backend,
    pub(super) unfinished: Arc<Unfinished>,
    manifest: Arc<Mutex<ManifestState>>,
}

/// The state of the backup's manifest. A separate task writes the manifest and locks this state until it has
/// finished.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum ManifestState {
    NotWritten,
    Written,
    /// The folder already had a manifest: it belongs to another run.
    OfAnotherRun,
}

/// A backup whose manifest is written.
#[derive(Debug)]
pub struct CommittedBackup {
    writer: BackupWriter,
    pub manifest_sha256: String,
}

impl BackupWriter {
    pub(super) async fn begin(backend: Backend, id: &str) -> Result<Self, StoreError> {
        let unfinished = Arc::new(backend.begin_backup(id).await?);
        let manifest = Arc::new(Mutex::new(ManifestState::NotWritten));
        Ok(Self { id: id.to_owned(), backend, unfinished, manifest })
    }

    pub fn id(&self) -> &str {
        &self.id
    }

    fn file(&self, name: &str) -> String {
        format!("{}/{name}", self.id)
    }

    /// Starts a file, which exists only after [`Upload::finish`]. On a volume, only the owner may read a
    /// `secret` file. `database_bytes` is the size of the database for an archive, otherwise 0.
    pub async fn upload(&self, file: &str, secret: bool, database_bytes: u64) -> Result<Upload, StoreError> {
        self.backend.upload(&self.unfinished, &self.file(file), secret, database_bytes).await
    }

    /// Writes a small file atomically.
    pub async fn write(&self, file: &str, text: &str) -> Result<(), StoreError> {
        self.backend.write(&self.file(file), text).await
    }

    /// Opens a file for reading in chunks.
    pub async fn read(&self, file: &str) -> Result<Reader, StoreError> {
        self.backend.open_reader(&self.file(file)).await
    }

    /// Writes the manifest, after which the backup exists. If the caller is cancelled meanwhile, the manifest
    /// is still written; [`Self::abandon`] waits for that before it removes the files.
    pub async fn commit(self, manifest: &Manifest) -> Result<CommittedBackup, StoreError> {
        let text = manifest.to_json();
        let manifest_sha256 = hash::sha256(&text);
        let (backend, file) = (self.backend.clone(), self.file(manifest::FILE));
        let location = backend.location(&file);
        let mut state = Arc::clone(&self.manifest).lock_owned().await;
        let writing = tokio::spawn(async move {
            let is_new = backend.create(&file, &text).await?;
            *state = if is_new { ManifestState::Written } else { ManifestState::OfAnotherRun };
            Ok::<_, StoreError>(is_new)
        });
        if writing.await?? {
            Ok(CommittedBackup { writer: self, manifest_sha256 })
        } else {
            Err(StoreError::AlreadyThere { location })
        }
    }

    /// Removes the backup, unless its folder belongs to another run.
    pub async fn abandon(self) -> Result<(), StoreError> {
        match *self.manifest.lock().await {
            ManifestState::OfAnotherRun => {
                self.backend.end_backup(&self.id).await;
                Ok(())
            }
            ManifestState::NotWritten | ManifestState::Written => {
                self.backend.abandon_backup(&self.id, &self.unfinished).await
            }
        }
    }
}

impl CommittedBackup {
    /// Removes files and locks that only an unfinished backup needs.
    pub async fn end(self) {
        self.writer.backend.end_backup(&self.writer.id).await;
    }
}
