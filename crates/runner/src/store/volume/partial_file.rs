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

/// How much of a file may be in the page cache because of a backup, in bytes. More would evict the database's own files
/// where it runs on the same node.
pub const CACHED_MAX: u64 = 16 * 1024 * 1024;

/// It is called `<file>.part` until it is finished.
#[derive(Debug)]
pub struct PartialFile {
    path: PathBuf,
    part: PathBuf,
    handle: tokio::fs::File,
    written: u64,
    synced: Synced,
}

/// How much of a file is on the device: [`CACHED_MAX`] bytes at a time are synced while more are written, so that the
/// sync at the end has little to do.
#[derive(Debug, Default)]
struct Synced {
    /// Up to which byte, once `syncing` is done.
    bytes: u64,
    syncing: Option<JoinHandle<io::Result<()>>>,
}

impl PartialFile {
    /// Creates `<folder>/<file>.part`. `secret`: only the owner reads it.
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

    /// Syncs the content, then gives the file its name.
    pub async fn finish(mut self) -> Result<(), StoreError> {
        self.handle.flush().await.map_err(failed("write", &self.part))?;
        // The kernel reports a write error only once, perhaps to the sync that is running.
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

/// Drops clean pages of a file from the page cache, if the file system can.
pub fn drop_pages(file: &File, offset: u64, length: Option<NonZeroU64>) {
    if let Err(error) = fadvise(file, offset, length, Advice::DontNeed) {
        tracing::debug!("cannot drop cached pages: {error}");
    }
}
