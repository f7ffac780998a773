//! A backup that is being written, and its files.

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

/// A backup that is being written. Clones are handles of the same backup. A backup that never gets a manifest is a leftover,
/// which a later run removes.
#[derive(Clone, Debug)]
pub struct BackupWriter {
    id: String,
    backend: Backend,
    pub(super) unfinished: Arc<Unfinished>,
    manifest: Arc<Mutex<ManifestState>>,
}

/// The manifest is written by a task of its own, which holds the lock of this state until it is done.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum ManifestState {
    NotWritten,
    Written,
    /// There was a manifest already: the folder belongs to another run.
    OfAnotherRun,
}

/// A backup that has its manifest.
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

    /// Starts a file. The file has its name only after [`Upload::finish`]. On a volume only the owner can read a `secret`
    /// file. `database_bytes` is the size of the database whose archive it is, 0 for any other file.
    pub async fn upload(&self, file: &str, secret: bool, database_bytes: u64) -> Result<Upload, StoreError> {
        self.backend.upload(&self.unfinished, &self.file(file), secret, database_bytes).await
    }

    /// Writes a small file, completely or not at all.
    pub async fn write(&self, file: &str, text: &str) -> Result<(), StoreError> {
        self.backend.write(&self.file(file), text).await
    }

    /// Reads a file back.
    pub async fn read(&self, file: &str) -> Result<Reader, StoreError> {
        self.backend.open_reader(&self.file(file)).await
    }

    /// Writes the manifest: from here on the backup exists. If the caller is cancelled meanwhile, the manifest is still
    /// written, and [`Self::abandon`] waits for it before it removes the files.
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
    /// Removes what only the writing needed.
    pub async fn end(self) {
        self.writer.backend.end_backup(&self.writer.id).await;
    }
}
