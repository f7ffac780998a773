//! A policy's folder on a volume.
//!
//! Everything becomes visible by a rename after fsync, and the folder is synced after the rename. A set in the making
//! belongs to the run that holds the lock on its `.lock` file. What may take long on a slow disk is done aside, so that
//! a signal is heard meanwhile.

use std::{
    fs::{self, File},
    io,
    num::NonZeroU64,
    os::unix::fs::OpenOptionsExt as _,
    path::{Path, PathBuf},
};

use bytes::{Bytes, BytesMut};
use domain::{manifest, name};
use rustix::fs::{Advice, fadvise};
use tokio::{io::AsyncWriteExt as _, sync::mpsc, task::JoinHandle};

use super::{
    backend::{Entry, Inventory},
    error::{StoreError, failed},
    files::{
        FILE_MODE, SECRET_MODE, exists, make_folder, names, read_if_there, remove_file, remove_folder,
        sync_folder, write_atomic, write_synced,
    },
    read::{FromDevice, Reader},
};

/// The lock of the folder, and of a backup in the making.
const LOCK: &str = ".lock";

/// What is read back at a time.
const READ_BUFFER: usize = 256 * 1024;

/// Pieces read and not yet taken.
const READ_AHEAD: usize = 4;

/// How much of a file may be in the page cache because of us. More would push out what others have there: the database's
/// own files, where it lives on the same node.
const CACHED: u64 = 16 * 1024 * 1024;

/// The folder of a policy.
#[derive(Clone, Debug)]
pub struct Volume {
    root: PathBuf,
    folder: PathBuf,
}

impl Volume {
    /// The folder `<root>/<below>`.
    pub fn new(root: &Path, below: &str) -> Self {
        Self { root: root.to_owned(), folder: root.join(below) }
    }

    /// Makes the folder and, in it, those that are given.
    pub async fn make(&self, folders: &'static [&str]) -> Result<(), StoreError> {
        self.aside(move |this| {
            make_folder(&this.folder)?;
            folders.iter().try_for_each(|folder| make_folder(&this.folder.join(folder)))
        })
        .await
    }

    async fn aside<T: Send + 'static>(
        &self,
        work: impl FnOnce(&Self) -> Result<T, StoreError> + Send + 'static,
    ) -> Result<T, StoreError> {
        let this = self.clone();
        tokio::task::spawn_blocking(move || work(&this)).await?
    }

    /// A file's place, below the volume's root.
    pub fn location(&self, file: &str) -> String {
        let path = self.folder.join(file);
        path.strip_prefix(&self.root).unwrap_or(&path).display().to_string()
    }

    /// The bytes that can still be written.
    pub fn free_bytes(&self) -> Result<u64, StoreError> {
        let stat = rustix::fs::statvfs(&self.folder)
            .map_err(|e| failed("ask for the free space of", &self.folder)(e.into()))?;
        Ok(stat.f_bavail * stat.f_frsize)
    }

    /// The lock of the policy's folder, held while its owner or a backup's own lock comes to be or is tried. Who cannot
    /// write the folder cannot take it.
    pub async fn lock(&self) -> Result<File, StoreError> {
        self.aside(|this| lock(&this.folder)).await
    }

    /// The folders of backups, and what is in each. One that cannot be read is no reason to be without the others.
    pub async fn inventory(&self) -> Result<Inventory, StoreError> {
        self.aside(|this| {
            let ids = names(&this.folder)?.into_iter().filter(|name| name::is_backup_id(name));
            let backups = ids.map(|id| {
                let files = entries(&this.folder.join(&id));
                (id, files)
            });
            Ok(backups.collect())
        })
        .await
    }

    /// What is in a folder.
    pub async fn entries(&self, folder: &str) -> Result<Vec<Entry>, StoreError> {
        let folder = folder.to_owned();
        self.aside(move |this| entries(&this.folder.join(folder))).await
    }

    /// A file that is not there is `None`.
    pub async fn read(&self, file: &str) -> Result<Option<String>, StoreError> {
        let file = file.to_owned();
        self.aside(move |this| read_if_there(&this.folder.join(file))).await
    }

    /// Writes a file whole, over one that is there.
    pub async fn write(&self, file: &str, text: &str) -> Result<(), StoreError> {
        let (file, text) = (file.to_owned(), text.to_owned());
        self.aside(move |this| {
            let (folder, name) = this.split(&file);
            write_atomic(&folder, name, text.as_bytes(), FILE_MODE)
        })
        .await
    }

    /// Writes a file if there is none. `false`: there is one.
    pub async fn create(&self, file: &str, text: &str) -> Result<bool, StoreError> {
        let (file, text) = (file.to_owned(), text.to_owned());
        self.aside(move |this| {
            let (folder, name) = this.split(&file);
            let part = folder.join(format!("{name}.new"));
            write_synced(&part, text.as_bytes(), FILE_MODE)?;
            let linked = fs::hard_link(&part, folder.join(name));
            remove_file(&part)?;
            match linked {
                Ok(()) => sync_folder(&folder).map(|()| true),
                Err(error) if error.kind() == io::ErrorKind::AlreadyExists => Ok(false),
                // A file system without links; the folder's lock is held by whoever gets here.
                Err(_) if exists(&folder.join(name))? => Ok(false),
                Err(_) => write_atomic(&folder, name, text.as_bytes(), FILE_MODE).map(|()| true),
            }
        })
        .await
    }

    fn split<'a>(&self, file: &'a str) -> (PathBuf, &'a str) {
        match file.rsplit_once('/') {
            Some((folder, name)) => (self.folder.join(folder), name),
            None => (self.folder.clone(), file),
        }
    }

    /// Removes a file.
    pub async fn remove(&self, file: &str) -> Result<(), StoreError> {
        let file = file.to_owned();
        self.aside(move |this| remove_file(&this.folder.join(file))).await
    }

    /// Removes a backup, its manifest first.
    pub async fn remove_backup(&self, id: &str) -> Result<(), StoreError> {
        let id = id.to_owned();
        self.aside(move |this| remove_folder(&this.folder, &id)).await
    }

    /// Removes a backup without a manifest whose run is dead: nobody holds its lock.
    pub async fn remove_leftover(&self, id: &str) -> Result<bool, StoreError> {
        let id = id.to_owned();
        self.aside(move |this| this.remove_if_dead(&id)).await
    }

    fn remove_if_dead(&self, id: &str) -> Result<bool, StoreError> {
        let _folder_lock = lock(&self.folder)?;
        let folder = self.folder.join(id);
        let path = folder.join(LOCK);
        let lock = match File::options().write(true).open(&path) {
            Ok(lock) => Some(lock),
            Err(error) if error.kind() == io::ErrorKind::NotFound => None,
            Err(error) => return Err(failed("open", &path)(error)),
        };
        if lock.as_ref().is_some_and(|lock| lock.try_lock().is_err()) || exists(&folder.join(manifest::FILE))?
        {
            return Ok(false);
        }
        remove_folder(&self.folder, id).map(|()| true)
    }

    /// Makes a backup's folder and takes its lock, which is the file that comes back.
    pub async fn begin_backup(&self, id: &str) -> Result<File, StoreError> {
        let id = id.to_owned();
        self.aside(move |this| {
            // Nobody looks at the folder between its making and its locking.
            let _folder_lock = lock(&this.folder)?;
            let folder = this.folder.join(id);
            if exists(&folder)? {
                return Err(failed("make", &folder)(io::ErrorKind::AlreadyExists.into()));
            }
            make_folder(&folder)?;
            lock(&folder)
        })
        .await
    }

    /// Takes away what was needed while a backup was made. It says nothing any more; if it stays, no harm is done.
    pub async fn end_backup(&self, id: &str) {
        if let Err(error) = self.remove(&format!("{id}/{LOCK}")).await {
            tracing::debug!("{error}");
        }
    }

    /// A new file of a backup. It has its name only after [`PartialFile::finish`]. `secret`: only the owner reads it.
    pub async fn upload(&self, file: &str, secret: bool) -> Result<PartialFile, StoreError> {
        let path = self.folder.join(file);
        let part = self.folder.join(format!("{file}.part"));
        let mode = if secret { SECRET_MODE } else { FILE_MODE };
        let options = File::options().write(true).create(true).truncate(true).mode(mode).clone();
        let handle =
            tokio::fs::OpenOptions::from(options).open(&part).await.map_err(failed("make", &part))?;
        Ok(PartialFile { path, part, handle, written: 0, synced: Synced::default() })
    }

    /// Reads a file back. The cached pages are dropped first, or the answer would come from memory and say nothing
    /// about the device.
    pub fn open_reader(&self, file: &str) -> Reader {
        let path = self.folder.join(file);
        let (sender, pieces) = mpsc::channel(READ_AHEAD);
        let from_device = FromDevice::default();
        let counter = from_device.clone();
        tokio::task::spawn_blocking(move || {
            if let Err(error) = read_pieces(&path, &counter, |piece| sender.blocking_send(Ok(piece)).is_ok())
            {
                // Nobody waits for it any more when the reader is gone.
                let _ = sender.blocking_send(Err(error));
            }
        });
        Reader::of_volume(pieces, from_device)
    }
}

fn lock(folder: &Path) -> Result<File, StoreError> {
    let path = folder.join(LOCK);
    let lock = File::options().write(true).create(true).truncate(false).mode(FILE_MODE).open(&path);
    let lock = lock.map_err(failed("make", &path))?;
    lock.lock().map_err(failed("lock", &path))?;
    Ok(lock)
}

/// What goes meanwhile is not there.
fn entries(folder: &Path) -> Result<Vec<Entry>, StoreError> {
    let mut entries = Vec::new();
    for name in names(folder)? {
        let path = folder.join(&name);
        match fs::symlink_metadata(&path).and_then(|meta| meta.modified()) {
            Ok(modified) => entries.push(Entry { name, modified }),
            Err(error) if error.kind() == io::ErrorKind::NotFound => {}
            Err(error) => return Err(failed("look at", &path)(error)),
        }
    }
    Ok(entries)
}

/// Gives a file's bytes piece by piece, for as long as they are wanted, and counts those that the device delivered.
fn read_pieces(
    path: &Path,
    from_device: &FromDevice,
    mut take: impl FnMut(Bytes) -> bool,
) -> Result<(), StoreError> {
    let mut file = File::open(path).map_err(failed("open", path))?;
    // It was synced, so its pages are clean and can go. A file system that cannot do it is told by the count below.
    if let Err(error) = fadvise(&file, 0, None, Advice::DontNeed) {
        tracing::debug!("{}: cached pages cannot be dropped: {error}", path.display());
    }
    let before = bytes_from_devices();
    let (mut position, mut dropped) = (0, 0);
    loop {
        let mut piece = BytesMut::zeroed(READ_BUFFER);
        let read = io::Read::read(&mut file, &mut piece).map_err(failed("read", path))?;
        from_device.set(bytes_from_devices().saturating_sub(before));
        position += read as u64;
        if position - dropped >= CACHED {
            let _ = fadvise(&file, dropped, NonZeroU64::new(position - dropped), Advice::DontNeed);
            dropped = position;
        }
        piece.truncate(read);
        if read == 0 || !take(piece.freeze()) {
            return Ok(());
        }
    }
}

/// `read_bytes` of /proc/thread-self/io: what this thread caused to be read from storage (proc(5)), whatever others read
/// meanwhile. 0 where the kernel does not say.
fn bytes_from_devices() -> u64 {
    let text = fs::read_to_string("/proc/thread-self/io").unwrap_or_default();
    let line = text.lines().find_map(|line| line.strip_prefix("read_bytes: "));
    line.and_then(|number| number.parse().ok()).unwrap_or_default()
}

/// A file being written.
#[derive(Debug)]
pub struct PartialFile {
    path: PathBuf,
    part: PathBuf,
    handle: tokio::fs::File,
    written: u64,
    synced: Synced,
}

/// What of a file is on the device already: [`CACHED`] bytes at a time, beside the writing, so that the sync at the end
/// finds little to do.
#[derive(Debug, Default)]
struct Synced {
    /// Up to where, once `under_way` is done.
    bytes: u64,
    under_way: Option<JoinHandle<io::Result<()>>>,
}

impl PartialFile {
    /// Appends.
    pub async fn write(&mut self, bytes: &[u8]) -> Result<(), StoreError> {
        self.handle.write_all(bytes).await.map_err(failed("write", &self.part))?;
        self.written += bytes.len() as u64;
        if self.written - self.synced.bytes >= CACHED
            && self.synced.under_way.as_ref().is_none_or(JoinHandle::is_finished)
        {
            self.synced.wait().await.map_err(failed("sync", &self.part))?;
            self.sync_beside().await.map_err(failed("sync", &self.part))?;
        }
        Ok(())
    }

    async fn sync_beside(&mut self) -> io::Result<()> {
        let file = self.handle.try_clone().await?.into_std().await;
        self.synced.bytes = self.written;
        self.synced.under_way = Some(tokio::task::spawn_blocking(move || {
            file.sync_data()?;
            // Pages that were written meanwhile are not clean, and stay.
            let _ = fadvise(&file, 0, None, Advice::DontNeed);
            Ok(())
        }));
        Ok(())
    }

    /// Makes what was written durable, then gives the file its name.
    pub async fn finish(mut self) -> Result<(), StoreError> {
        self.handle.flush().await.map_err(failed("write", &self.part))?;
        // The kernel tells an error once: the one who hears it has to say so.
        self.synced.wait().await.map_err(failed("sync", &self.part))?;
        self.handle.sync_all().await.map_err(failed("sync", &self.part))?;
        fs::rename(&self.part, &self.path).map_err(failed("rename", &self.part))?;
        sync_folder(self.path.parent().unwrap_or(&self.path))
    }

    /// Takes it away again.
    pub fn discard(self) -> Result<(), StoreError> {
        remove_file(&self.part)
    }
}

impl Synced {
    async fn wait(&mut self) -> io::Result<()> {
        match self.under_way.take() {
            Some(task) => task.await?,
            None => Ok(()),
        }
    }
}
