//! A set in the making, and its files.

use std::{
    fs::{self, File},
    io,
    os::unix::fs::{DirBuilderExt, OpenOptionsExt},
    path::{Path, PathBuf},
};

use domain::manifest::{self, Manifest};
use rustix::fs::{Advice, fadvise};
use sha2::{Digest, Sha256};
use tokio::io::AsyncWriteExt;

use super::files::{
    DIRECTORY_MODE, FILE_MODE, SECRET_MODE, StoreError, failed, remove_file, remove_folder, sync_folder,
    write_atomic,
};

/// The lock of a set in the making.
pub(super) const LOCK: &str = ".lock";

/// What is read back at a time.
const READ_BUFFER: usize = 1024 * 1024;

/// A set in the making. Whoever drops it without a manifest leaves a leftover, which the next run removes.
#[derive(Debug)]
pub struct OpenSet {
    id: String,
    folder: PathBuf,
    parent: PathBuf,
    _lock: File,
}

impl OpenSet {
    /// Makes the folder and takes the lock.
    pub(super) fn make(parent: &Path, id: &str) -> Result<Self, StoreError> {
        let folder = parent.join(id);
        fs::DirBuilder::new().mode(DIRECTORY_MODE).create(&folder).map_err(failed("make", &folder))?;
        sync_folder(parent)?;
        let path = folder.join(LOCK);
        let lock = File::options().write(true).create(true).truncate(false).mode(FILE_MODE).open(&path);
        let lock = lock.map_err(failed("make", &path))?;
        lock.lock().map_err(failed("lock", &path))?;
        Ok(Self { id: id.to_owned(), folder, parent: parent.to_owned(), _lock: lock })
    }

    /// The set's name.
    pub fn id(&self) -> &str {
        &self.id
    }

    /// A file's path, for programs that read it.
    pub fn path(&self, file: &str) -> PathBuf {
        self.folder.join(file)
    }

    /// A new file. It has its name only after [`PartialFile::finish`]. `secret`: only the owner reads it.
    pub async fn create(&self, file: &str, secret: bool) -> Result<PartialFile, StoreError> {
        let part = self.folder.join(format!("{file}.part"));
        let mode = if secret { SECRET_MODE } else { FILE_MODE };
        let options = File::options().write(true).create(true).truncate(true).mode(mode).clone();
        let handle =
            tokio::fs::OpenOptions::from(options).open(&part).await.map_err(failed("make", &part))?;
        Ok(PartialFile { path: self.folder.join(file), part, folder: self.folder.clone(), handle })
    }

    /// Writes a small file whole.
    pub fn write(&self, file: &str, text: &str) -> Result<(), StoreError> {
        write_atomic(&self.folder, file, text.as_bytes(), FILE_MODE)
    }

    /// Writes the manifest and gives up the lock: from here on the set exists.
    /// If it cannot be written, the set comes back with the error.
    pub fn commit(self, manifest: &Manifest) -> Result<String, Box<(Self, StoreError)>> {
        let text = manifest.to_json();
        if let Err(error) = write_atomic(&self.folder, manifest::FILE, text.as_bytes(), FILE_MODE) {
            return Err(Box::new((self, error)));
        }
        // The lock's file says nothing any more; if it stays, no harm is done.
        if let Err(error) = remove_file(&self.folder.join(LOCK)) {
            tracing::debug!("{error}");
        }
        Ok(domain::hash::sha256(&text))
    }

    /// Removes all of it.
    pub fn abandon(self) -> Result<(), StoreError> {
        remove_folder(&self.parent, &self.id)
    }

    /// Reads a file back: size, SHA-256, and where the bytes came from. The cached pages are dropped first, or
    /// the answer would come from memory and say nothing about the device.
    pub async fn read_back(&self, file: &str) -> Result<ReadBack, StoreError> {
        let path = self.folder.join(file);
        let task = tokio::task::spawn_blocking(move || read_back(&path));
        task.await.unwrap_or_else(|error| {
            Err(failed("read back", &self.folder.join(file))(io::Error::other(error)))
        })
    }
}

/// A file being written.
#[derive(Debug)]
pub struct PartialFile {
    path: PathBuf,
    part: PathBuf,
    folder: PathBuf,
    handle: tokio::fs::File,
}

impl PartialFile {
    /// Appends.
    pub async fn write(&mut self, bytes: &[u8]) -> Result<(), StoreError> {
        self.handle.write_all(bytes).await.map_err(failed("write", &self.part))
    }

    /// Makes what was written durable, then gives the file its name.
    pub async fn finish(mut self) -> Result<(), StoreError> {
        self.handle.flush().await.map_err(failed("write", &self.part))?;
        self.handle.sync_all().await.map_err(failed("sync", &self.part))?;
        fs::rename(&self.part, &self.path).map_err(failed("rename", &self.part))?;
        sync_folder(&self.folder)
    }

    /// Takes it away again.
    pub fn discard(self) -> Result<(), StoreError> {
        remove_file(&self.part)
    }
}

/// What was read back.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ReadBack {
    /// How many bytes.
    pub size: u64,
    /// Their SHA-256.
    pub sha256: String,
    /// How many of them the device delivered, by the kernel's count for this process.
    pub from_device: u64,
}

fn read_back(path: &Path) -> Result<ReadBack, StoreError> {
    let mut file = File::open(path).map_err(failed("open", path))?;
    // It was synced, so its pages are clean and can go. A file system that cannot do it is told by the count below.
    if let Err(error) = fadvise(&file, 0, None, Advice::DontNeed) {
        tracing::debug!("{}: cached pages cannot be dropped: {error}", path.display());
    }
    let before = bytes_from_devices();
    let mut hasher = Sha256::new();
    let mut buffer = vec![0; READ_BUFFER];
    let mut size = 0;
    loop {
        let read = io::Read::read(&mut file, &mut buffer).map_err(failed("read", path))?;
        if read == 0 {
            break;
        }
        hasher.update(&buffer[..read]);
        size += read as u64;
    }
    let from_device = bytes_from_devices().saturating_sub(before).min(size);
    Ok(ReadBack { size, sha256: domain::hash::hex(&hasher.finalize()), from_device })
}

/// `read_bytes` of /proc/self/io: what this process caused to be read from storage (proc(5)). 0 where the kernel
/// does not say.
fn bytes_from_devices() -> u64 {
    let text = fs::read_to_string("/proc/self/io").unwrap_or_default();
    let line = text.lines().find_map(|line| line.strip_prefix("read_bytes: "));
    line.and_then(|number| number.parse().ok()).unwrap_or_default()
}
