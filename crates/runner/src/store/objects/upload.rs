//! One object on its way into a store: in one request if it is small, else in parts.

use std::{collections::BTreeMap, fmt, sync::Arc};

use bytes::Bytes;
use object_store::{ObjectStoreExt as _, PutMode, PutMultipartOptions, PutPayload, multipart::PartId};
use tokio::task::JoinSet;

use super::{Cloud, Objects, UPLOADS, Uploads};
use crate::store::error::{StoreError, is_missing_object};

/// Parts under way at once. With one that fills it is what an upload costs of memory.
pub const IN_FLIGHT: usize = 4;

/// An object being written.
pub struct ObjectUpload {
    objects: Objects,
    /// It waits as long as a part may need.
    store: Arc<dyn Cloud>,
    uploads: Uploads,
    file: String,
    part_size: usize,
    /// The part that fills.
    pending: Vec<Bytes>,
    pending_size: usize,
    size: u64,
    /// None as long as all of it fits into one request.
    multipart: Option<Multipart>,
}

#[derive(Debug)]
struct Multipart {
    id: String,
    next: usize,
    under_way: JoinSet<(usize, object_store::Result<PartId>)>,
    stored: BTreeMap<usize, PartId>,
}

/// Clients hold credentials.
impl fmt::Debug for ObjectUpload {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "ObjectUpload({}, {} bytes)", self.file, self.size)
    }
}

impl ObjectUpload {
    pub(super) fn new(
        objects: Objects,
        store: Arc<dyn Cloud>,
        uploads: Uploads,
        file: &str,
        part_size: usize,
    ) -> Self {
        let (file, pending) = (file.to_owned(), Vec::new());
        Self { objects, store, uploads, file, part_size, pending, pending_size: 0, size: 0, multipart: None }
    }

    /// Appends. It waits while as many parts are under way as may be.
    pub async fn write(&mut self, mut bytes: Bytes) -> Result<(), StoreError> {
        self.size += bytes.len() as u64;
        while self.pending_size + bytes.len() >= self.part_size {
            let rest = bytes.split_off(self.part_size - self.pending_size);
            self.pending.push(bytes);
            self.send_part().await?;
            bytes = rest;
        }
        if !bytes.is_empty() {
            self.pending_size += bytes.len();
            self.pending.push(bytes);
        }
        Ok(())
    }

    fn take_pending(&mut self) -> PutPayload {
        self.pending_size = 0;
        std::mem::take(&mut self.pending).into_iter().collect()
    }

    async fn send_part(&mut self) -> Result<(), StoreError> {
        let payload = self.take_pending();
        let failed = self.objects.failed("write", &self.file);
        if self.multipart.is_none() {
            self.multipart = Some(self.begin().await?);
        }
        let multipart = self.multipart.as_mut().expect("the upload should have begun");
        if multipart.under_way.len() >= IN_FLIGHT {
            multipart.take_one().await.map_err(failed)?;
        }
        let store = Arc::clone(&self.store);
        let (path, id, index) = (self.objects.path(&self.file), multipart.id.clone(), multipart.next);
        multipart.next += 1;
        let permit = Arc::clone(&self.uploads.parts).try_acquire_owned().ok();
        multipart.under_way.spawn(async move {
            let stored = store.put_part(&path, &id, index, payload).await;
            drop(permit);
            (index, stored)
        });
        Ok(())
    }

    /// What the upload is called is stored before its first part: whoever finds it can abort it.
    async fn begin(&self) -> Result<Multipart, StoreError> {
        let attributes = self.objects.bucket.attributes.clone();
        let options = PutMultipartOptions { attributes, ..PutMultipartOptions::default() };
        let path = self.objects.path(&self.file);
        let id = self.objects.bucket.store.create_multipart_opts(&path, options).await;
        let id = id.map_err(self.objects.failed("begin the upload of", &self.file))?;
        self.uploads.change(|ids| ids.insert(self.file.clone(), id.clone()));
        self.objects.write(&format!("{}/{UPLOADS}", self.uploads.backup), &self.uploads.to_json()).await?;
        Ok(Multipart { id, next: 0, under_way: JoinSet::new(), stored: BTreeMap::new() })
    }

    /// Sends what is left and completes the upload: from here on the object is there.
    pub async fn finish(mut self) -> Result<(), StoreError> {
        let path = self.objects.path(&self.file);
        if self.multipart.is_none() {
            let payload = self.take_pending();
            let options = self.objects.put_options(PutMode::Overwrite);
            let put = self.store.put_opts(&path, payload, options).await;
            return put.map(drop).map_err(self.objects.failed("write", &self.file));
        }
        if !self.pending.is_empty() {
            self.send_part().await?;
        }
        let mut multipart = self.multipart.take().expect("the upload should have begun");
        while !multipart.under_way.is_empty() {
            multipart.take_one().await.map_err(self.objects.failed("write", &self.file))?;
        }
        let parts = multipart.stored.into_values().collect();
        let store = &self.objects.bucket.store;
        match store.complete_multipart(&path, &multipart.id, parts).await {
            Ok(_) => {}
            // A request that was repeated finds the upload completed, so gone.
            Err(error) if is_missing_object(&error) => match store.head(&path).await {
                Ok(object) if object.size == self.size => {}
                _ => return Err(self.objects.failed("complete the upload of", &self.file)(error)),
            },
            Err(error) => return Err(self.objects.failed("complete the upload of", &self.file)(error)),
        }
        self.uploads.change(|ids| ids.remove(&self.file));
        Ok(())
    }

    /// Aborts the upload, once no part of it is on its way any more.
    pub async fn discard(mut self) -> Result<(), StoreError> {
        let Some(mut multipart) = self.multipart.take() else { return Ok(()) };
        while multipart.under_way.join_next().await.is_some() {}
        let path = self.objects.path(&self.file);
        match self.objects.bucket.store.abort_multipart(&path, &multipart.id).await {
            Err(error) if !is_missing_object(&error) => {
                Err(self.objects.failed("abort the upload of", &self.file)(error))
            }
            _ => {
                self.uploads.change(|ids| ids.remove(&self.file));
                Ok(())
            }
        }
    }
}

impl Multipart {
    async fn take_one(&mut self) -> object_store::Result<()> {
        let Some(ended) = self.under_way.join_next().await else { return Ok(()) };
        let (index, stored) = ended.map_err(|source| object_store::Error::JoinError { source })?;
        self.stored.insert(index, stored?);
        Ok(())
    }
}

/// A run that is told to stop drops its upload in the middle: what is on its way arrives, and is then aborted.
impl Drop for ObjectUpload {
    fn drop(&mut self) {
        if let Some(multipart) = &mut self.multipart {
            multipart.under_way.detach_all();
        }
    }
}
