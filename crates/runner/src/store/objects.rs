//! A repository in an object store: S3 and compatible stores, Google Cloud Storage, Azure Blob Storage.
//!
//! An object appears completely or not at all. An upload is completed only after the program that wrote it
//! has exited with status 0.

mod folder;
pub mod upload;
pub mod uploads;

use std::{collections::BTreeMap, sync::Arc, time::SystemTime};

use domain::{manifest, name};
use futures::{StreamExt as _, TryStreamExt as _, stream};

use self::{
    folder::{Folder, entry},
    upload::ObjectUpload,
    uploads::Uploads,
};
use super::{
    bucket_client::BucketClient,
    client_error::is_missing_object,
    entry::{Entry, Inventory},
    error::StoreError,
    part_size,
    reader::Reader,
    timeouts::RequestTimeouts,
};

/// The number of objects that are removed concurrently.
const AT_ONCE: usize = 8;

#[derive(Clone, Debug)]
pub struct Objects {
    folder: Folder,
}

impl Objects {
    /// Creates the repository in the folder `<prefix>/<below>` of the bucket.
    pub fn new(bucket: BucketClient, below: &str) -> Self {
        Self { folder: Folder::new(bucket, below) }
    }

    pub fn location(&self, file: &str) -> String {
        self.folder.location(file)
    }

    pub async fn entries(&self, folder: &str) -> Result<Vec<Entry>, StoreError> {
        self.folder.entries(folder).await
    }

    pub async fn read(&self, file: &str) -> Result<Option<String>, StoreError> {
        self.folder.read(file).await
    }

    pub async fn write(&self, file: &str, text: &str) -> Result<(), StoreError> {
        self.folder.write(file, text).await
    }

    pub async fn create(&self, file: &str, text: &str) -> Result<bool, StoreError> {
        self.folder.create(file, text).await
    }

    pub async fn remove(&self, file: &str) -> Result<(), StoreError> {
        self.folder.remove(file).await
    }

    pub async fn open_reader(&self, file: &str) -> Result<Reader, StoreError> {
        self.folder.open_reader(file).await
    }

    /// Lists all backups and their files with a single listing of the bucket.
    pub async fn inventory(&self) -> Result<Inventory, StoreError> {
        let mut backups = Inventory::new();
        for object in self.folder.list(&self.folder.path).await? {
            let Some(mut parts) = object.location.prefix_match(&self.folder.path) else { continue };
            let (Some(id), Some(file), None) = (parts.next(), parts.next(), parts.next()) else { continue };
            if name::is_backup_id(id.as_ref()) {
                let files = backups.entry(id.as_ref().to_owned()).or_insert_with(|| Ok(Vec::new()));
                if let Ok(files) = files {
                    files.push(entry(file.as_ref(), &object));
                }
            }
        }
        Ok(backups)
    }

    /// Removes a backup, its manifest first. Returns [`StoreError::Locked`] if the manifest is locked. This
    /// is checked before the removal, because a versioned bucket would only hide a locked object. The
    /// manifest is the last file written, so its lock is the last to end.
    pub async fn remove_backup(&self, id: &str) -> Result<(), StoreError> {
        let manifest = format!("{id}/{}", manifest::FILE);
        if let Some(until) = self.folder.locked_until(&manifest).await {
            return Err(StoreError::Locked { url: self.location(&manifest), until });
        }
        self.remove(&manifest).await?;
        let files = self.entries(id).await?;
        let removals = files.into_iter().map(|file| {
            let file = format!("{id}/{}", file.name);
            async move { self.remove(&file).await }
        });
        stream::iter(removals).buffer_unordered(AT_ONCE).try_collect().await
    }

    /// Removes a backup without a manifest if its newest object is older than any run lasts. Returns `false`
    /// if it is younger or has a manifest.
    pub async fn remove_leftover(&self, id: &str) -> Result<bool, StoreError> {
        let files = self.entries(id).await?;
        let newest = files.iter().map(|file| file.modified).max();
        let age = newest.and_then(|newest| SystemTime::now().duration_since(newest).ok());
        if files.iter().any(|file| file.name == manifest::FILE)
            || age.is_none_or(|age| age < self.folder.bucket.leftover_age)
        {
            return Ok(false);
        }
        if let Some(ids) = self.read(&format!("{id}/{}", uploads::FILE)).await?
            && let Ok(ids) = serde_json::from_str(&ids)
        {
            self.abort(&Uploads::new(id, ids)).await?;
        }
        self.remove_backup(id).await.map(|()| true)
    }

    /// Starts a backup. Writes nothing yet. Returns an error if objects with this backup's name exist.
    pub async fn begin_backup(&self, id: &str) -> Result<Uploads, StoreError> {
        if self.entries(id).await?.is_empty() {
            Ok(Uploads::new(id, BTreeMap::new()))
        } else {
            Err(StoreError::AlreadyThere { location: self.location(id) })
        }
    }

    /// Removes `uploads.json` from a backup that has its manifest. A failure is only logged, because the file
    /// does no harm.
    pub async fn end_backup(&self, id: &str) {
        if let Err(error) = self.remove(&format!("{id}/{}", uploads::FILE)).await {
            tracing::debug!("{error}");
        }
    }

    /// Starts a new object of a backup. `database_bytes` is the size of the archive's database, which
    /// determines the part size.
    pub fn upload(
        &self,
        uploads: &Uploads,
        file: &str,
        database_bytes: u64,
    ) -> Result<ObjectUpload, StoreError> {
        let part = part_size::for_database(database_bytes);
        let bucket = &self.folder.bucket;
        let store = if part > part_size::MIN {
            (bucket.make_client)(RequestTimeouts::for_part(part))?
        } else {
            Arc::clone(&bucket.store)
        };
        let part = usize::try_from(part).unwrap_or(usize::MAX);
        Ok(ObjectUpload::new(self.folder.clone(), store, uploads.clone(), file, part))
    }

    /// Aborts all uploads, so that the store deletes their parts. First waits for the parts that are being
    /// sent: S3 would keep a part that arrives after the abort forever ("AbortMultipartUpload" in its
    /// documentation).
    pub async fn abort(&self, uploads: &Uploads) -> Result<(), StoreError> {
        uploads.wait_for_parts().await;
        for (file, id) in uploads.change(std::mem::take) {
            match self.folder.bucket.store.abort_multipart(&self.folder.object(&file), &id).await {
                Err(error) if !is_missing_object(&error) => {
                    let failed = self.folder.failed("abort the upload of", &file)(error);
                    uploads.change(|ids| ids.insert(file, id));
                    return Err(failed);
                }
                _ => {}
            }
        }
        Ok(())
    }
}
