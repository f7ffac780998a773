//! A set in the making, and its files.

use domain::manifest::{self, Manifest};
use tokio::task::JoinHandle;

use super::{
    backend::{Backend, Making, Upload},
    error::StoreError,
    read::Reader,
};

/// A set in the making. Whoever drops it without a manifest leaves a leftover, which a later run removes.
#[derive(Debug)]
pub struct BackupWriter {
    id: String,
    place: Backend,
    pub(super) making: Making,
    /// There was a manifest already: the folder is another run's.
    taken: bool,
    /// The manifest on its way.
    committing: Option<JoinHandle<Result<bool, StoreError>>>,
}

impl BackupWriter {
    pub(super) async fn begin(place: Backend, id: &str) -> Result<Self, StoreError> {
        let making = place.begin_backup(id).await?;
        Ok(Self { id: id.to_owned(), place, making, taken: false, committing: None })
    }

    /// The set's name.
    pub fn id(&self) -> &str {
        &self.id
    }

    fn file(&self, name: &str) -> String {
        format!("{}/{name}", self.id)
    }

    /// A new file, which will have about `expected` bytes. It has its name only after [`Upload::finish`]. `secret`: on a
    /// volume only the owner reads it.
    pub async fn upload(&self, file: &str, secret: bool, expected: u64) -> Result<Upload, StoreError> {
        self.place.upload(&self.making, &self.file(file), secret, expected).await
    }

    /// Writes a small file whole.
    pub async fn write(&self, file: &str, text: &str) -> Result<(), StoreError> {
        self.place.write(&self.file(file), text).await
    }

    /// Reads a file back.
    pub async fn read(&self, file: &str) -> Result<Reader, StoreError> {
        self.place.open_reader(&self.file(file)).await
    }

    /// Writes the manifest: from here on the backup exists. A run that is told to stop meanwhile must not remove the files
    /// from under a manifest that is still on its way, so the backup keeps hold of it.
    pub async fn commit(&mut self, manifest: &Manifest) -> Result<String, StoreError> {
        let text = manifest.to_json();
        let sha256 = domain::hash::sha256(&text);
        let (place, file) = (self.place.clone(), self.file(manifest::FILE));
        let location = place.location(&file);
        let writing = self.committing.insert(tokio::spawn(async move { place.create(&file, &text).await }));
        let written = writing.await;
        self.committing = None;
        self.taken = !written??;
        if self.taken { Err(StoreError::AlreadyThere { location }) } else { Ok(sha256) }
    }

    /// Gives up what was held while the backup was made.
    pub async fn end(self) {
        self.place.end_backup(&self.id, self.making).await;
    }

    /// Removes all of it, unless it is not ours.
    pub async fn abandon(self) -> Result<(), StoreError> {
        if self.taken {
            self.end().await;
            return Ok(());
        }
        if let Some(writing) = self.committing {
            // Whatever comes of it goes.
            let _ = writing.await;
        }
        self.place.abandon_backup(&self.id, self.making).await
    }
}
