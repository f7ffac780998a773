//! A policy's folder in an object store: S3 and its kin, Google Cloud Storage, Azure Blob Storage.
//!
//! An object appears whole or not at all. A file is uploaded in parts, and the upload is completed only when the
//! program that wrote it ended well. A set in the making holds `uploads.json`, which names the uploads under way: parts
//! of an upload that was never completed are listed nowhere and cost money, so the run that removes the leftovers of one
//! that was killed aborts them too.

mod upload;

use std::{
    collections::BTreeMap,
    fmt,
    sync::{Arc, Mutex, PoisonError},
    time::{Duration, SystemTime},
};

use domain::{manifest, name};
use futures::{StreamExt as _, TryStreamExt as _, stream};
use jiff::{Timestamp, fmt::rfc2822};
use object_store::{
    Attributes, GetOptions, ObjectMeta, ObjectStore, PutMode, PutOptions, multipart::MultipartStore,
    path::Path, signer::Signer,
};
use reqwest::Method;
use tokio::sync::Semaphore;

pub use self::upload::ObjectUpload;
use super::{
    backend::{Entry, Inventory},
    error::{StoreError, is_locked, is_missing_object},
    location::Patience,
    read::Reader,
};

/// Names the uploads of a backup in the making.
const UPLOADS: &str = "uploads.json";

/// Small requests under way at once.
const AT_ONCE: usize = 8;

/// The smallest part, of which [`upload::IN_FLIGHT`] and one that fills are in memory. S3 takes none below 5 MiB.
pub(super) const LEAST_PART: u64 = 8 * 1024 * 1024;

/// The most parts that S3 and GCS take for one object.
const MOST_PARTS: u64 = 10_000;

/// An archive can be larger than its database: bytea is dumped as hexadecimal digits, and TOAST is expanded.
const ARCHIVE_TO_DATABASE: u64 = 3;

/// More than are ever on their way.
const PARTS: u32 = 1024;

/// How long they are waited for: a run that was told to stop has a minute in all.
const PATIENCE: Duration = Duration::from_secs(20);

/// Where a lock's end stands in the answer to HEAD: S3, Azure.
const LOCKED_UNTIL: [&str; 2] =
    ["x-amz-object-lock-retain-until-date", "x-ms-immutability-policy-until-date"];

/// The other lock of S3, which has no end.
const LEGAL_HOLD: &str = "x-amz-object-lock-legal-hold";

/// What a cloud's client can do.
pub trait Cloud: ObjectStore + MultipartStore + Signer {}

impl<T: ObjectStore + MultipartStore + Signer> Cloud for T {}

/// Makes a client that waits so long.
pub type Patient = dyn Fn(Patience) -> Result<Arc<dyn Cloud>, StoreError> + Send + Sync;

/// A bucket, as it is used.
#[derive(Clone)]
pub struct Bucket {
    /// `s3://bucket`.
    pub url: String,
    /// The policy's folders are below this path.
    pub prefix: Path,
    /// For all but removals.
    pub store: Arc<dyn Cloud>,
    /// Makes clients like `store` for larger parts.
    pub patient: Arc<Patient>,
    /// For removals: it may have credentials of its own.
    pub pruner: Arc<dyn Cloud>,
    /// Those of all objects: the storage class.
    pub attributes: Attributes,
    /// A plain client with the same idea of whom to trust.
    pub http: reqwest::Client,
    /// A set without a manifest whose newest object is older than this was left by a run that died.
    pub leftover_age: Duration,
}

/// Clients hold credentials.
impl fmt::Debug for Bucket {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Bucket({}/{})", self.url, self.prefix)
    }
}

/// The folder of a policy.
#[derive(Clone, Debug)]
pub struct Objects {
    bucket: Bucket,
    folder: Path,
}

/// The uploads of a backup that are under way: their ids by file.
#[derive(Clone, Debug)]
pub struct Uploads {
    backup: String,
    ids: Arc<Mutex<BTreeMap<String, String>>>,
    /// Each part on its way has one of [`PARTS`] permits.
    parts: Arc<Semaphore>,
}

impl Uploads {
    pub(super) fn new(backup: &str, ids: BTreeMap<String, String>) -> Self {
        Self {
            backup: backup.to_owned(),
            ids: Arc::new(Mutex::new(ids)),
            parts: Arc::new(Semaphore::new(PARTS as usize)),
        }
    }

    fn change<T>(&self, change: impl FnOnce(&mut BTreeMap<String, String>) -> T) -> T {
        change(&mut self.ids.lock().unwrap_or_else(PoisonError::into_inner))
    }

    /// Waits until no part is on its way.
    pub async fn settle(&self) {
        if tokio::time::timeout(PATIENCE, self.parts.acquire_many(PARTS)).await.is_err() {
            tracing::warn!("parts of an upload are still on their way; the store may keep them");
        }
    }

    fn to_json(&self) -> String {
        self.change(|ids| serde_json::to_string_pretty(ids).expect("names should always be JSON") + "\n")
    }
}

impl Objects {
    /// The folder `<prefix>/<below>`.
    pub fn new(bucket: Bucket, below: &str) -> Self {
        let folder = below.split('/').fold(bucket.prefix.clone(), Path::join);
        Self { bucket, folder }
    }

    /// File names have no characters that need encoding, so they are kept as they are.
    fn path(&self, file: &str) -> Path {
        let text = format!("{}/{file}", self.folder);
        Path::parse(&text).unwrap_or_else(|_| Path::from(text))
    }

    fn failed(&self, action: &'static str, file: &str) -> impl FnOnce(object_store::Error) -> StoreError {
        let url = self.location(file);
        move |source| StoreError::Object { action, url, source: Box::new(source) }
    }

    /// An object's URL.
    pub fn location(&self, file: &str) -> String {
        format!("{}/{}", self.bucket.url, self.path(file))
    }

    async fn list(&self, below: &Path) -> Result<Vec<ObjectMeta>, StoreError> {
        let listed = self.bucket.store.list(Some(below)).try_collect().await;
        listed.map_err(|source| StoreError::Object {
            action: "list",
            url: format!("{}/{below}", self.bucket.url),
            source: Box::new(source),
        })
    }

    /// The backups and what is in each, by one listing.
    pub async fn inventory(&self) -> Result<Inventory, StoreError> {
        let mut backups = Inventory::new();
        for object in self.list(&self.folder).await? {
            let Some(mut parts) = object.location.prefix_match(&self.folder) else { continue };
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

    /// The objects of a folder.
    pub async fn entries(&self, folder: &str) -> Result<Vec<Entry>, StoreError> {
        let objects = self.list(&self.path(folder)).await?;
        let named = objects.iter().filter_map(|object| Some(entry(object.location.filename()?, object)));
        Ok(named.collect())
    }

    /// A small object; `None` when it is not there.
    pub async fn read(&self, file: &str) -> Result<Option<String>, StoreError> {
        let failed = self.failed("read", file);
        let path = self.path(file);
        let got =
            async { self.bucket.store.get_opts(&path, GetOptions::default()).await?.bytes().await }.await;
        match got {
            Ok(bytes) => match String::from_utf8(bytes.into()) {
                Ok(text) => Ok(Some(text)),
                Err(_) => Err(StoreError::NotText { location: self.location(file) }),
            },
            Err(error) if is_missing_object(&error) => Ok(None),
            Err(error) => Err(failed(error)),
        }
    }

    fn put_options(&self, mode: PutMode) -> PutOptions {
        PutOptions { mode, attributes: self.bucket.attributes.clone(), ..PutOptions::default() }
    }

    /// Writes a small object, over one that is there.
    pub async fn write(&self, file: &str, text: &str) -> Result<(), StoreError> {
        let options = self.put_options(PutMode::Overwrite);
        let put = self.bucket.store.put_opts(&self.path(file), text.to_owned().into(), options).await;
        put.map(drop).map_err(self.failed("write", file))
    }

    /// Writes a small object if there is none. `false`: there is one.
    pub async fn create(&self, file: &str, text: &str) -> Result<bool, StoreError> {
        use object_store::Error as Kind;
        let options = self.put_options(PutMode::Create);
        match self.bucket.store.put_opts(&self.path(file), text.to_owned().into(), options).await {
            Ok(_) => Ok(true),
            // A request whose answer was lost is sent again, and finds what it wrote itself.
            Err(Kind::AlreadyExists { .. } | Kind::Precondition { .. }) => {
                Ok(self.read(file).await?.as_deref() == Some(text))
            }
            // A store of the S3 kind without conditional requests: look, then write.
            Err(error) if lacks_conditions(&error) => {
                if self.read(file).await?.is_some() {
                    return Ok(false);
                }
                self.write(file, text).await.map(|()| true)
            }
            Err(error) => Err(self.failed("create", file)(error)),
        }
    }

    /// Removes an object; one that is gone already is no error. One that is locked is an error of its own.
    pub async fn remove(&self, file: &str) -> Result<(), StoreError> {
        let path = self.path(file);
        let mut removals = self.bucket.pruner.delete_stream(stream::iter([Ok(path)]).boxed());
        match removals.try_next().await {
            Err(error) if is_locked(&error) => {
                let until = self.locked_until(file).await;
                let until = until.unwrap_or_else(|| "a time that the store does not tell".to_owned());
                Err(StoreError::Locked { url: self.location(file), until })
            }
            Err(error) if !is_missing_object(&error) => Err(self.failed("remove", file)(error)),
            _ => Ok(()),
        }
    }

    /// Until when an object is locked, as the store says it. `None`: it is not, or the store does not tell.
    async fn locked_until(&self, file: &str) -> Option<String> {
        let path = self.path(file);
        let signed = self.bucket.pruner.signed_url(Method::HEAD, &path, Duration::from_mins(1));
        let url = signed.await.ok()?;
        // An error would print the URL, which is signed.
        let answer = self.bucket.http.head(url).send().await.ok()?;
        let header = |name: &str| answer.headers().get(name).and_then(|value| value.to_str().ok());
        if header(LEGAL_HOLD) == Some("ON") {
            return Some("its legal hold is lifted".to_owned());
        }
        let until = LOCKED_UNTIL.iter().find_map(|name| header(name))?;
        let is_past = |end: Timestamp| end <= Timestamp::now();
        let end = until.parse().ok().or_else(|| rfc2822::parse(until).ok().map(|end| end.timestamp()));
        (!end.is_some_and(is_past)).then(|| until.to_owned())
    }

    /// Removes a backup, its manifest first. In a versioned bucket a removal only hides an object, also one that is locked:
    /// such a backup is asked for its lock before, and stays to be seen. The manifest was written last, so its lock ends last.
    pub async fn remove_backup(&self, id: &str) -> Result<(), StoreError> {
        let manifest = format!("{id}/{}", manifest::FILE);
        if let Some(until) = self.locked_until(&manifest).await {
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

    /// Removes a backup without a manifest that is older than any run gets.
    pub async fn remove_leftover(&self, id: &str) -> Result<bool, StoreError> {
        let files = self.entries(id).await?;
        let newest = files.iter().map(|file| file.modified).max();
        let age = newest.and_then(|newest| SystemTime::now().duration_since(newest).ok());
        if files.iter().any(|file| file.name == manifest::FILE)
            || age.is_none_or(|age| age < self.bucket.leftover_age)
        {
            return Ok(false);
        }
        if let Some(ids) = self.read(&format!("{id}/{UPLOADS}")).await?
            && let Ok(ids) = serde_json::from_str(&ids)
        {
            self.abort(&Uploads::new(id, ids)).await?;
        }
        self.remove_backup(id).await.map(|()| true)
    }

    /// Begins a backup: nothing is written yet, and nothing may be there.
    pub async fn begin_backup(&self, id: &str) -> Result<Uploads, StoreError> {
        if self.entries(id).await?.is_empty() {
            Ok(Uploads::new(id, BTreeMap::new()))
        } else {
            Err(StoreError::AlreadyThere { location: self.location(id) })
        }
    }

    /// Takes away what was needed while a backup was made. If it stays, no harm is done.
    pub async fn end_backup(&self, id: &str) {
        if let Err(error) = self.remove(&format!("{id}/{UPLOADS}")).await {
            tracing::debug!("{error}");
        }
    }

    /// A new object of a backup. One of many parts has all of one size but for the last, as some stores demand.
    pub fn upload(&self, uploads: &Uploads, file: &str, expected: u64) -> Result<ObjectUpload, StoreError> {
        let part = LEAST_PART.max(ARCHIVE_TO_DATABASE.saturating_mul(expected).div_ceil(MOST_PARTS));
        let store = if part > LEAST_PART {
            (self.bucket.patient)(Patience::with(part))?
        } else {
            Arc::clone(&self.bucket.store)
        };
        let part = usize::try_from(part).unwrap_or(usize::MAX);
        Ok(ObjectUpload::new(self.clone(), store, uploads.clone(), file, part))
    }

    /// Aborts the uploads that are under way: the store forgets their parts. A part that arrives after that would stay
    /// for ever (S3, "AbortMultipartUpload"), so those on their way are waited for.
    pub async fn abort(&self, uploads: &Uploads) -> Result<(), StoreError> {
        uploads.settle().await;
        for (file, id) in uploads.change(std::mem::take) {
            match self.bucket.store.abort_multipart(&self.path(&file), &id).await {
                Err(error) if !is_missing_object(&error) => {
                    let failed = self.failed("abort the upload of", &file)(error);
                    uploads.change(|ids| ids.insert(file, id));
                    return Err(failed);
                }
                _ => {}
            }
        }
        Ok(())
    }

    /// Reads an object back.
    pub async fn open_reader(&self, file: &str) -> Result<Reader, StoreError> {
        let got = self.bucket.store.get_opts(&self.path(file), GetOptions::default()).await;
        let stream = got.map_err(self.failed("read", file))?.into_stream();
        let this = self.clone();
        let file = file.to_owned();
        Ok(Reader::of_object(stream.map(move |piece| piece.map_err(this.failed("read", &file))).boxed()))
    }
}

fn entry(name: &str, object: &ObjectMeta) -> Entry {
    Entry { name: name.to_owned(), modified: object.last_modified.into() }
}

/// `501 Not Implemented`, or a header that the store does not know.
fn lacks_conditions(error: &object_store::Error) -> bool {
    matches!(error, object_store::Error::NotImplemented { .. })
        || error.to_string().contains("<Code>NotImplemented<")
}
