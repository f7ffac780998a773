//! The upload of one object: in one request if it is small, otherwise in parts.

use std::{collections::BTreeMap, fmt, sync::Arc};

use bytes::Bytes;
use object_store::{ObjectStoreExt as _, PutMode, PutMultipartOptions, PutPayload, multipart::PartId};
use tokio::task::JoinSet;

use super::{
    super::{bucket_client::Cloud, client_error::is_missing_object, error::StoreError},
    folder::Folder,
    uploads::{self, Uploads},
};

/// The number of parts that are sent concurrently. An upload keeps these and the part that is being filled in
/// memory.
const IN_FLIGHT: usize = 4;

/// An object that is being written.
pub struct ObjectUpload {
    folder: Folder,
    /// A client whose timeouts suit the part size.
    store: Arc<dyn Cloud>,
    uploads: Uploads,
    file: String,
    part_size: usize,
    /// The content of the part that is being filled.
    pending: Vec<Bytes>,
    pending_size: usize,
    size: u64,
    /// The multipart upload; `None` while everything fits into one request.
    multipart: Option<Multipart>,
}

#[derive(Debug)]
struct Multipart {
    id: String,
    next: usize,
    sending: JoinSet<(usize, object_store::Result<PartId>)>,
    stored: BTreeMap<usize, PartId>,
}

/// Shows only the name and the size, because the client contains credentials.
impl fmt::Debug for ObjectUpload {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "ObjectUpload({}, {} bytes)", self.file, self.size)
    }
}

impl ObjectUpload {
    pub(super) fn new(
        folder: Folder,
        store: Arc<dyn Cloud>,
        uploads: Uploads,
        file: &str,
        part_size: usize,
    ) -> Self {
        let (file, pending) = (file.to_owned(), Vec::new());
        Self { folder, store, uploads, file, part_size, pending, pending_size: 0, size: 0, multipart: None }
    }

    /// Appends `bytes`. Waits while [`IN_FLIGHT`] parts are being sent.
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
        let failed = self.folder.failed("write", &self.file);
        if self.multipart.is_none() {
            self.multipart = Some(self.start().await?);
        }
        let multipart = self.multipart.as_mut().expect("the upload should have started");
        if multipart.sending.len() >= IN_FLIGHT {
            multipart.take_one().await.map_err(failed)?;
        }
        let store = Arc::clone(&self.store);
        let (path, id, index) = (self.folder.object(&self.file), multipart.id.clone(), multipart.next);
        multipart.next += 1;
        let permit = self.uploads.permit();
        multipart.sending.spawn(async move {
            let stored = store.put_part(&path, &id, index, payload).await;
            drop(permit);
            (index, stored)
        });
        Ok(())
    }

    /// Starts a multipart upload and stores its id before the first part is sent, so that a later run can
    /// abort it.
    async fn start(&self) -> Result<Multipart, StoreError> {
        let attributes = self.folder.bucket.attributes.clone();
        let options = PutMultipartOptions { attributes, ..PutMultipartOptions::default() };
        let path = self.folder.object(&self.file);
        let id = self.folder.bucket.store.create_multipart_opts(&path, options).await;
        let id = id.map_err(self.folder.failed("start the upload of", &self.file))?;
        self.uploads.change(|ids| ids.insert(self.file.clone(), id.clone()));
        self.folder
            .write(&format!("{}/{}", self.uploads.backup, uploads::FILE), &self.uploads.to_json())
            .await?;
        Ok(Multipart { id, next: 0, sending: JoinSet::new(), stored: BTreeMap::new() })
    }

    /// Sends the remaining bytes and completes the upload. From then on the object exists.
    pub async fn finish(mut self) -> Result<(), StoreError> {
        let path = self.folder.object(&self.file);
        if self.multipart.is_none() {
            let payload = self.take_pending();
            let options = self.folder.put_options(PutMode::Overwrite);
            let put = self.store.put_opts(&path, payload, options).await;
            return put.map(drop).map_err(self.folder.failed("write", &self.file));
        }
        if !self.pending.is_empty() {
            self.send_part().await?;
        }
        let mut multipart = self.multipart.take().expect("the upload should have started");
        while !multipart.sending.is_empty() {
            multipart.take_one().await.map_err(self.folder.failed("write", &self.file))?;
        }
        let parts = multipart.stored.into_values().collect();
        let store = &self.folder.bucket.store;
        match store.complete_multipart(&path, &multipart.id, parts).await {
            Ok(_) => {}
            // If a request is repeated, it may not find the upload that the first request completed.
            Err(error) if is_missing_object(&error) => match store.head(&path).await {
                Ok(object) if object.size == self.size => {}
                _ => return Err(self.folder.failed("complete the upload of", &self.file)(error)),
            },
            Err(error) => return Err(self.folder.failed("complete the upload of", &self.file)(error)),
        }
        self.uploads.change(|ids| ids.remove(&self.file));
        Ok(())
    }

    /// Waits until no part is being sent, then aborts the upload.
    pub async fn discard(mut self) -> Result<(), StoreError> {
        let Some(mut multipart) = self.multipart.take() else { return Ok(()) };
        while multipart.sending.join_next().await.is_some() {}
        let path = self.folder.object(&self.file);
        match self.folder.bucket.store.abort_multipart(&path, &multipart.id).await {
            Err(error) if !is_missing_object(&error) => {
                Err(self.folder.failed("abort the upload of", &self.file)(error))
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
        let Some(ended) = self.sending.join_next().await else { return Ok(()) };
        let (index, stored) = ended.map_err(|source| object_store::Error::JoinError { source })?;
        self.stored.insert(index, stored?);
        Ok(())
    }
}

/// Lets the parts that are being sent continue when a stopped run drops its upload.
/// [`Uploads::wait_for_parts`] waits for them before the abort.
impl Drop for ObjectUpload {
    fn drop(&mut self) {
        if let Some(multipart) = &mut self.multipart {
            multipart.sending.detach_all();
        }
    }
}
