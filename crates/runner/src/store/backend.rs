//! One interface to the two kinds of stores: volumes and object stores.

use std::fs::File;

use bytes::Bytes;

use super::{
    entry::{Entry, Inventory},
    error::StoreError,
    objects::{Objects, upload::ObjectUpload, uploads::Uploads},
    reader::Reader,
    volume::{PartialFile, Volume},
};

/// A policy's repository in a store of either kind.
#[derive(Clone, Debug)]
pub enum Backend {
    Volume(Volume),
    Objects(Objects),
}

/// The resources of a backup that is being written.
#[derive(Debug)]
pub enum Unfinished {
    /// For a volume: a file lock, which ends with the process.
    Volume { _lock: File },
    /// For an object store: the uploads to abort if the backup is abandoned.
    Objects(Uploads),
}

/// Calls the method of the same name on the store of either kind.
macro_rules! either {
    ($self:ident . $method:ident ( $($argument:expr),* )) => {
        match $self {
            Backend::Volume(volume) => volume.$method($($argument),*).await,
            Backend::Objects(objects) => objects.$method($($argument),*).await,
        }
    };
}

impl Backend {
    /// Creates the repository's folder and `folders` in it. Does nothing for an object store, which has no
    /// folders.
    pub async fn make(&self, folders: &'static [&str]) -> Result<(), StoreError> {
        match self {
            Self::Volume(volume) => volume.make(folders).await,
            Self::Objects(_) => Ok(()),
        }
    }

    /// Returns a file's path relative to the volume's root, or an object's URL.
    pub fn location(&self, file: &str) -> String {
        match self {
            Self::Volume(volume) => volume.location(file),
            Self::Objects(objects) => objects.location(file),
        }
    }

    /// Returns the free space in bytes; `None` for an object store.
    pub async fn free_bytes(&self) -> Result<Option<u64>, StoreError> {
        match self {
            Self::Volume(volume) => volume.free_bytes().await.map(Some),
            Self::Objects(_) => Ok(None),
        }
    }

    /// Locks the repository, so that no other run claims it at the same time. Returns `None` for an object
    /// store: there, conditional requests prevent that two runs create the same object.
    pub async fn lock(&self) -> Result<Option<File>, StoreError> {
        match self {
            Self::Volume(volume) => volume.lock().await.map(Some),
            Self::Objects(_) => Ok(None),
        }
    }

    pub async fn inventory(&self) -> Result<Inventory, StoreError> {
        either!(self.inventory())
    }

    /// Lists the files in a folder of the repository.
    pub async fn entries(&self, folder: &str) -> Result<Vec<Entry>, StoreError> {
        either!(self.entries(folder))
    }

    /// Returns the text of a small file; `None` if it does not exist.
    pub async fn read(&self, file: &str) -> Result<Option<String>, StoreError> {
        either!(self.read(file))
    }

    /// Writes a small file atomically. Replaces a file of the same name.
    pub async fn write(&self, file: &str, text: &str) -> Result<(), StoreError> {
        either!(self.write(file, text))
    }

    /// Creates a small file atomically. Returns `false` if a file of this name has other content. Equal
    /// content counts as created: a repeated request finds the file that it created before.
    pub async fn create(&self, file: &str, text: &str) -> Result<bool, StoreError> {
        let created = either!(self.create(file, text))?;
        Ok(created || self.read(file).await?.as_deref() == Some(text))
    }

    /// Removes a file. A missing file is not an error.
    pub async fn remove(&self, file: &str) -> Result<(), StoreError> {
        either!(self.remove(file))
    }

    /// Removes a backup. Its manifest is removed first, so that a partly removed backup never looks complete.
    pub async fn remove_backup(&self, id: &str) -> Result<(), StoreError> {
        either!(self.remove_backup(id))
    }

    /// Removes the unfinished backup of a dead run. Returns `false` if the run may be alive or the backup has
    /// a manifest.
    pub async fn remove_leftover(&self, id: &str) -> Result<bool, StoreError> {
        either!(self.remove_leftover(id))
    }

    pub async fn begin_backup(&self, id: &str) -> Result<Unfinished, StoreError> {
        match self {
            Self::Volume(volume) => {
                volume.begin_backup(id).await.map(|lock| Unfinished::Volume { _lock: lock })
            }
            Self::Objects(objects) => objects.begin_backup(id).await.map(Unfinished::Objects),
        }
    }

    /// Starts a file of an unfinished backup. The file exists only after [`Upload::finish`].
    ///
    /// - `secret`: on a volume, only the owner may read the file.
    /// - `database_bytes`: for an archive, the size of the database; otherwise 0.
    pub async fn upload(
        &self,
        unfinished: &Unfinished,
        file: &str,
        secret: bool,
        database_bytes: u64,
    ) -> Result<Upload, StoreError> {
        match (self, unfinished) {
            (Self::Objects(objects), Unfinished::Objects(uploads)) => {
                Ok(Upload::Object(Box::new(objects.upload(uploads, file, database_bytes)?)))
            }
            (Self::Volume(volume), _) => volume.upload(file, secret).await.map(Upload::File),
            (Self::Objects(_), Unfinished::Volume { .. }) => {
                unreachable!("a backup should be stored where it was begun")
            }
        }
    }

    /// Removes files and locks that only an unfinished backup needs.
    pub async fn end_backup(&self, id: &str) {
        either!(self.end_backup(id));
    }

    /// Aborts the uploads of an unfinished backup and removes it.
    pub async fn abandon_backup(&self, id: &str, unfinished: &Unfinished) -> Result<(), StoreError> {
        if let (Self::Objects(objects), Unfinished::Objects(uploads)) = (self, unfinished) {
            objects.abort(uploads).await?;
        }
        self.remove_backup(id).await
    }

    /// Opens a stored file for reading in chunks; on a volume from the storage device, not from the cache.
    pub async fn open_reader(&self, file: &str) -> Result<Reader, StoreError> {
        match self {
            Self::Volume(volume) => Ok(volume.open_reader(file)),
            Self::Objects(objects) => objects.open_reader(file).await,
        }
    }
}

/// A file that is being written.
#[derive(Debug)]
pub enum Upload {
    File(PartialFile),
    Object(Box<ObjectUpload>),
}

impl Upload {
    pub async fn write(&mut self, bytes: Bytes) -> Result<(), StoreError> {
        match self {
            Self::File(file) => file.write(&bytes).await,
            Self::Object(object) => object.write(bytes).await,
        }
    }

    /// Makes the file durable and gives it its name.
    pub async fn finish(self) -> Result<(), StoreError> {
        match self {
            Self::File(file) => file.finish().await,
            Self::Object(object) => object.finish().await,
        }
    }

    /// Removes the unfinished file.
    pub async fn discard(self) -> Result<(), StoreError> {
        match self {
            Self::File(file) => file.discard().await,
            Self::Object(object) => object.discard().await,
        }
    }
}
