//! A repository on a volume.
//!
//! A file is written under another name and synced, then renamed, and its folder is synced. An unfinished
//! backup belongs to the run that holds the lock on its `.lock` file. File operations run on separate
//! threads, because they may block for long on a slow disk, and signals must be handled meanwhile.

mod partial_file;
mod read_back;

use std::{
    fs::{self, File},
    io,
    os::unix::fs::OpenOptionsExt as _,
    path::{Path, PathBuf},
};

use domain::{manifest, name};

pub use self::partial_file::PartialFile;
use super::{
    entry::{Entry, Inventory},
    error::{StoreError, failed},
    files::{
        FILE_MODE, blocking, exists, make_folder, names, read_if_there, remove_backup_folder, remove_file,
        sync_folder, write_atomic, write_synced,
    },
    reader::Reader,
};

/// The name of the lock file of the repository, and of each unfinished backup.
const LOCK: &str = ".lock";

#[derive(Clone, Debug)]
pub struct Volume {
    root: PathBuf,
    folder: PathBuf,
}

impl Volume {
    /// Creates the repository in the folder `<root>/<below>`.
    pub fn new(root: &Path, below: &str) -> Self {
        Self { root: root.to_owned(), folder: root.join(below) }
    }

    /// Creates the repository's folder and `folders` in it.
    pub async fn make(&self, folders: &'static [&str]) -> Result<(), StoreError> {
        self.blocking(move |this| {
            make_folder(&this.folder)?;
            folders.iter().try_for_each(|folder| make_folder(&this.folder.join(folder)))
        })
        .await
    }

    async fn blocking<T: Send + 'static>(
        &self,
        work: impl FnOnce(&Self) -> Result<T, StoreError> + Send + 'static,
    ) -> Result<T, StoreError> {
        let this = self.clone();
        blocking(move || work(&this)).await
    }

    /// Returns a file's path relative to the volume's root.
    pub fn location(&self, file: &str) -> String {
        let path = self.folder.join(file);
        path.strip_prefix(&self.root).unwrap_or(&path).display().to_string()
    }

    /// Returns the free space in bytes.
    pub async fn free_bytes(&self) -> Result<u64, StoreError> {
        self.blocking(|this| {
            let stat = rustix::fs::statvfs(&this.folder)
                .map_err(|error| failed("read the free space of", &this.folder)(error.into()))?;
            Ok(stat.f_bavail * stat.f_frsize)
        })
        .await
    }

    /// Locks the repository until the returned file is dropped. The lock is held while the owner is claimed,
    /// and while the lock of a backup is created or tested. Only processes with write permission can take it.
    pub async fn lock(&self) -> Result<File, StoreError> {
        self.blocking(|this| lock(&this.folder)).await
    }

    /// Lists all backups and their files. A folder that cannot be read does not prevent listing the others.
    pub async fn inventory(&self) -> Result<Inventory, StoreError> {
        self.blocking(|this| {
            let ids = names(&this.folder)?.into_iter().filter(|name| name::is_backup_id(name));
            let backups = ids.map(|id| {
                let files = entries(&this.folder.join(&id));
                (id, files)
            });
            Ok(backups.collect())
        })
        .await
    }

    pub async fn entries(&self, folder: &str) -> Result<Vec<Entry>, StoreError> {
        let folder = folder.to_owned();
        self.blocking(move |this| entries(&this.folder.join(folder))).await
    }

    pub async fn read(&self, file: &str) -> Result<Option<String>, StoreError> {
        let file = file.to_owned();
        self.blocking(move |this| read_if_there(&this.folder.join(file))).await
    }

    pub async fn write(&self, file: &str, text: &str) -> Result<(), StoreError> {
        let (file, text) = (file.to_owned(), text.to_owned());
        self.blocking(move |this| {
            let (folder, name) = this.split(&file);
            write_atomic(&folder, name, text.as_bytes(), FILE_MODE)
        })
        .await
    }

    /// Creates a file atomically. Returns `false` if a file of this name exists.
    pub async fn create(&self, file: &str, text: &str) -> Result<bool, StoreError> {
        let (file, text) = (file.to_owned(), text.to_owned());
        self.blocking(move |this| {
            let (folder, name) = this.split(&file);
            let part = folder.join(format!("{name}.new"));
            write_synced(&part, text.as_bytes(), FILE_MODE)?;
            let linked = fs::hard_link(&part, folder.join(name));
            remove_file(&part)?;
            match linked {
                Ok(()) => sync_folder(&folder).map(|()| true),
                Err(error) if error.kind() == io::ErrorKind::AlreadyExists => Ok(false),
                // The file system does not support hard links. This is safe because every caller holds the
                // lock of the file's folder.
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

    pub async fn remove(&self, file: &str) -> Result<(), StoreError> {
        let file = file.to_owned();
        self.blocking(move |this| remove_file(&this.folder.join(file))).await
    }

    /// Removes a backup, its manifest first.
    pub async fn remove_backup(&self, id: &str) -> Result<(), StoreError> {
        let id = id.to_owned();
        self.blocking(move |this| remove_backup_folder(&this.folder, &id)).await
    }

    /// Removes a backup that has no manifest and whose lock is free. Returns `false` if its run is alive or
    /// it has a manifest.
    pub async fn remove_leftover(&self, id: &str) -> Result<bool, StoreError> {
        let id = id.to_owned();
        self.blocking(move |this| this.remove_if_dead(&id)).await
    }

    fn remove_if_dead(&self, id: &str) -> Result<bool, StoreError> {
        let _folder_lock = lock(&self.folder)?;
        let folder = self.folder.join(id);
        let path = folder.join(LOCK);
        let lock = match File::options().write(true).open(&path) {
            Ok(lock) => Some(lock),
            Err(error) if error.kind() == io::ErrorKind::NotFound => None,
            Err(error) => return Err(failed("lock", &path)(error)),
        };
        if lock.as_ref().is_some_and(|lock| lock.try_lock().is_err()) || exists(&folder.join(manifest::FILE))?
        {
            return Ok(false);
        }
        remove_backup_folder(&self.folder, id).map(|()| true)
    }

    /// Creates a backup's folder and returns its lock, which is held until the file is dropped.
    pub async fn begin_backup(&self, id: &str) -> Result<File, StoreError> {
        let id = id.to_owned();
        self.blocking(move |this| {
            // Without this lock, another run could find the folder before the folder's own lock is taken.
            let _folder_lock = lock(&this.folder)?;
            let folder = this.folder.join(id);
            if exists(&folder)? {
                return Err(failed("create", &folder)(io::ErrorKind::AlreadyExists.into()));
            }
            make_folder(&folder)?;
            lock(&folder)
        })
        .await
    }

    /// Removes the lock file of a backup that has its manifest. A failure is only logged, because the file
    /// does no harm.
    pub async fn end_backup(&self, id: &str) {
        if let Err(error) = self.remove(&format!("{id}/{LOCK}")).await {
            tracing::debug!("{error}");
        }
    }

    /// Starts a file of a backup. If `secret`, only the owner may read it.
    pub async fn upload(&self, file: &str, secret: bool) -> Result<PartialFile, StoreError> {
        PartialFile::create(&self.folder, file, secret).await
    }

    /// Opens a file for reading from the storage device, not from the cache.
    pub fn open_reader(&self, file: &str) -> Reader {
        read_back::reader(self.folder.join(file))
    }
}

/// Takes the lock of a folder. Creates the lock file if it does not exist.
fn lock(folder: &Path) -> Result<File, StoreError> {
    let path = folder.join(LOCK);
    let lock = File::options().write(true).create(true).truncate(false).mode(FILE_MODE).open(&path);
    let lock = lock.map_err(failed("create", &path))?;
    lock.lock().map_err(failed("lock", &path))?;
    Ok(lock)
}

/// Lists the files of a folder. Skips files that disappear meanwhile.
fn entries(folder: &Path) -> Result<Vec<Entry>, StoreError> {
    let mut entries = Vec::new();
    for name in names(folder)? {
        let path = folder.join(&name);
        match fs::symlink_metadata(&path).and_then(|meta| meta.modified()) {
            Ok(modified) => entries.push(Entry { name, modified }),
            Err(error) if error.kind() == io::ErrorKind::NotFound => {}
            Err(error) => return Err(failed("stat", &path)(error)),
        }
    }
    Ok(entries)
}
