//! Where files are: on a volume or in an object store. Both do the same few things; what a repository makes of them is
//! written once, above.

use std::{collections::BTreeMap, fs::File, time::SystemTime};

use bytes::Bytes;

use super::{
    error::StoreError,
    objects::{ObjectUpload, Objects, Uploads},
    read::Reader,
    volume::{PartialFile, Volume},
};

/// A file, and when it was written.
#[derive(Clone, Debug)]
pub struct Entry {
    /// Its name in its folder.
    pub name: String,
    /// When.
    pub modified: SystemTime,
}

/// The folders of backups and what is in each; or why that cannot be known.
pub type Inventory = BTreeMap<String, Result<Vec<Entry>, StoreError>>;

/// A policy's folder.
#[derive(Clone, Debug)]
pub enum Backend {
    /// On a volume.
    Volume(Volume),
    /// In an object store.
    Objects(Objects),
}

/// What is held while a backup is made: on a volume a lock that dies with the process, in an object store the uploads that
/// are under way, to be aborted.
#[derive(Debug)]
pub enum Making {
    /// The lock's file.
    Volume {
        /// Held until it is dropped.
        _lock: File,
    },
    /// The uploads.
    Objects(Uploads),
}

/// Calls the same method of both.
macro_rules! both {
    ($self:ident . $method:ident ( $($argument:expr),* )) => {
        match $self {
            Backend::Volume(volume) => volume.$method($($argument),*).await,
            Backend::Objects(objects) => objects.$method($($argument),*).await,
        }
    };
}

impl Backend {
    /// Makes the folder and those in it, where folders have to be made.
    pub async fn make(&self, folders: &'static [&str]) -> Result<(), StoreError> {
        match self {
            Self::Volume(volume) => volume.make(folders).await,
            Self::Objects(_) => Ok(()),
        }
    }

    /// How people find a file: below the volume's root, or by its URL.
    pub fn location(&self, file: &str) -> String {
        match self {
            Self::Volume(volume) => volume.location(file),
            Self::Objects(objects) => objects.location(file),
        }
    }

    /// The bytes that can still be written, where there is an end.
    pub fn free_bytes(&self) -> Result<Option<u64>, StoreError> {
        match self {
            Self::Volume(volume) => volume.free_bytes().map(Some),
            Self::Objects(_) => Ok(None),
        }
    }

    /// Keeps other runs of the same policy from claiming the folder at once. An object store needs none: there, what
    /// must be made once is made by a conditional request.
    pub async fn lock(&self) -> Result<Option<File>, StoreError> {
        match self {
            Self::Volume(volume) => volume.lock().await.map(Some),
            Self::Objects(_) => Ok(None),
        }
    }

    /// The folders of backups.
    pub async fn inventory(&self) -> Result<Inventory, StoreError> {
        both!(self.inventory())
    }

    /// The files of a folder.
    pub async fn entries(&self, folder: &str) -> Result<Vec<Entry>, StoreError> {
        both!(self.entries(folder))
    }

    /// A small file; `None` when it is not there.
    pub async fn read(&self, file: &str) -> Result<Option<String>, StoreError> {
        both!(self.read(file))
    }

    /// Writes a small file whole, over one that is there.
    pub async fn write(&self, file: &str, text: &str) -> Result<(), StoreError> {
        both!(self.write(file, text))
    }

    /// Writes a small file whole if there is none. `false`: there is another one. A request that was repeated meets
    /// what it has written itself, and that is no other one.
    pub async fn create(&self, file: &str, text: &str) -> Result<bool, StoreError> {
        let created = both!(self.create(file, text))?;
        Ok(created || self.read(file).await?.as_deref() == Some(text))
    }

    /// Removes a file; one that is gone already is no error.
    pub async fn remove(&self, file: &str) -> Result<(), StoreError> {
        both!(self.remove(file))
    }

    /// Removes a backup: its manifest first, so that a half-removed set never looks complete.
    pub async fn remove_backup(&self, id: &str) -> Result<(), StoreError> {
        both!(self.remove_backup(id))
    }

    /// Removes what a run left that died. `false`: it may be alive, or there is a manifest after all.
    pub async fn remove_leftover(&self, id: &str) -> Result<bool, StoreError> {
        both!(self.remove_leftover(id))
    }

    /// Begins a backup.
    pub async fn begin_backup(&self, id: &str) -> Result<Making, StoreError> {
        match self {
            Self::Volume(volume) => volume.begin_backup(id).await.map(|lock| Making::Volume { _lock: lock }),
            Self::Objects(objects) => Ok(Making::Objects(objects.begin_backup(id).await?)),
        }
    }

    /// A new file of a backup in the making, which will have about `expected` bytes. It appears whole, with
    /// [`Upload::finish`], or not at all. `secret`: on a volume only the owner reads it.
    pub async fn upload(
        &self,
        making: &Making,
        file: &str,
        secret: bool,
        expected: u64,
    ) -> Result<Upload, StoreError> {
        match (self, making) {
            (Self::Objects(objects), Making::Objects(uploads)) => {
                Ok(Upload::Object(Box::new(objects.upload(uploads, file, expected)?)))
            }
            (Self::Volume(volume), _) => volume.upload(file, secret).await.map(Upload::File),
            (Self::Objects(_), Making::Volume { .. }) => unreachable!("a backup is made where it was begun"),
        }
    }

    /// A set has its manifest: what was held for its making is given up.
    pub async fn end_backup(&self, id: &str) {
        both!(self.end_backup(id));
    }

    /// Removes a backup in the making.
    pub async fn abandon_backup(&self, id: &str, making: &Making) -> Result<(), StoreError> {
        if let (Self::Objects(objects), Making::Objects(uploads)) = (self, making) {
            objects.abort(uploads).await?;
        }
        self.remove_backup(id).await
    }

    /// Reads a stored file back.
    pub async fn open_reader(&self, file: &str) -> Result<Reader, StoreError> {
        match self {
            Self::Volume(volume) => Ok(volume.open_reader(file)),
            Self::Objects(objects) => objects.open_reader(file).await,
        }
    }
}

/// A file being written.
#[derive(Debug)]
pub enum Upload {
    /// On a volume.
    File(PartialFile),
    /// In an object store.
    Object(Box<ObjectUpload>),
}

impl Upload {
    /// Appends.
    pub async fn write(&mut self, bytes: Bytes) -> Result<(), StoreError> {
        match self {
            Self::File(file) => file.write(&bytes).await,
            Self::Object(object) => object.write(bytes).await,
        }
    }

    /// Makes it durable and lets it appear.
    pub async fn finish(self) -> Result<(), StoreError> {
        match self {
            Self::File(file) => file.finish().await,
            Self::Object(object) => object.finish().await,
        }
    }

    /// Takes it away again.
    pub async fn discard(self) -> Result<(), StoreError> {
        match self {
            Self::File(file) => file.discard(),
            Self::Object(object) => object.discard().await,
        }
    }
}
