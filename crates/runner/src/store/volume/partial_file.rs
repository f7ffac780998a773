//! A file of a backup that is being written.

use std::{
    fs::File,
    io,
    num::NonZeroU64,
    path::{Path, PathBuf},
};

use rustix::fs::{Advice, fadvise};
use tokio::{fs::OpenOptions, io::AsyncWriteExt as _, task::JoinHandle};

use super::super::{
    error::{StoreError, failed},
    files::{FILE_MODE, SECRET_MODE, blocking, remove_file, rename_synced},
};

/// The maximum size of a file's content in the page cache, in bytes. More would evict the database's own
/// files if it runs on the same node.
pub const CACHED_MAX: u64 = 16 * 1024 * 1024;

/// A file that is being written. It is named `<file>.part` until it is finished.
#[derive(Debug)]
pub struct PartialFile {
    path: PathBuf,
    part: PathBuf,
    handle: tokio::fs::File,
    written: u64,
    synced: Synced,
}

/// The progress of syncing a file to the device. While the file is written, [`CACHED_MAX`] bytes at a time
/// are synced in the background, so that the final sync has little to do.
#[derive(Debug, Default)]
struct Synced {
    /// The number of bytes that are synced once `syncing` has ended.
    bytes: u64,
    syncing: Option<JoinHandle<io::Result<()>>>,
}

impl PartialFile {
    /// Creates `<folder>/<file>.part`. If `secret`, only the owner may read it.
    pub async fn create(folder: &Path, file: &str, secret: bool) -> Result<Self, StoreError> {
        let path = folder.join(file);
        let part = folder.join(format!("{file}.part"));
        let mode = if secret { SECRET_MODE } else { FILE_MODE };
        let mut options = OpenOptions::new();
        options.write(true).create(true).truncate(true).mode(mode);
        let handle = options.open(&part).await.map_err(failed("create", &part))?;
        Ok(Self { path, part, handle, written: 0, synced: Synced::default() })
    }

    pub async fn write(&mut self, bytes: &[u8]) -> Result<(), StoreError> {
        self.handle.write_all(bytes).await.map_err(failed("write", &self.part))?;
        self.written += bytes.len() as u64;
        if self.written - self.synced.bytes >= CACHED_MAX
            && self.synced.syncing.as_ref().is_none_or(JoinHandle::is_finished)
        {
            self.synced.wait().await.map_err(failed("sync", &self.part))?;
            self.start_sync().await.map_err(failed("sync", &self.part))?;
        }
        Ok(())
    }

    async fn start_sync(&mut self) -> io::Result<()> {
        let file = self.handle.try_clone().await?.into_std().await;
        self.synced.bytes = self.written;
        self.synced.syncing = Some(tokio::task::spawn_blocking(move || {
            file.sync_data()?;
            // Pages that were written meanwhile are dirty and stay cached.
            drop_pages(&file, 0, None);
            Ok(())
        }));
        Ok(())
    }

    /// Syncs the content, then renames the file to its final name.
    pub async fn finish(mut self) -> Result<(), StoreError> {
        self.handle.flush().await.map_err(failed("write", &self.part))?;
        // The kernel reports a write error only once, and the running sync may receive it.
        self.synced.wait().await.map_err(failed("sync", &self.part))?;
        self.handle.sync_all().await.map_err(failed("sync", &self.part))?;
        let Self { part, path, .. } = self;
        blocking(move || rename_synced(&part, &path)).await
    }

    /// Removes the unfinished file.
    pub async fn discard(self) -> Result<(), StoreError> {
        blocking(move || remove_file(&self.part)).await
    }
}

impl Synced {
    async fn wait(&mut self) -> io::Result<()> {
        match self.syncing.take() {
            Some(task) => task.await?,
            None => Ok(()),
        }
    }
}

/// Drops the clean pages of a file from the page cache, if the file system supports that.
pub fn drop_pages(file: &File, offset: u64, length: Option<NonZeroU64>) {
    if let Err(error) = fadvise(file, offset, length, Advice::DontNeed) {
        tracing::debug!("cannot drop cached pages: {error}");
    }
}
