//! A folder in a bucket, and the small objects in it.

use std::time::Duration;

use futures::{StreamExt as _, TryStreamExt as _, stream};
use jiff::{Timestamp, fmt::rfc2822};
use object_store::{GetOptions, ObjectMeta, PutMode, PutOptions, path::Path};
use reqwest::Method;

use super::super::{
    bucket_client::BucketClient,
    client_error::{is_locked, is_missing_object},
    entry::Entry,
    error::StoreError,
    reader::Reader,
};

/// The headers with the end of an object's lock, in responses to HEAD: S3, Azure.
const LOCKED_UNTIL: [&str; 2] =
    ["x-amz-object-lock-retain-until-date", "x-ms-immutability-policy-until-date"];

/// The header of S3's legal hold, a lock without an end.
const LEGAL_HOLD: &str = "x-amz-object-lock-legal-hold";

#[derive(Clone, Debug)]
pub struct Folder {
    pub bucket: BucketClient,
    pub path: Path,
}

impl Folder {
    /// Creates the folder `<prefix>/<below>`.
    pub fn new(bucket: BucketClient, below: &str) -> Self {
        let path = below.split('/').fold(bucket.prefix.clone(), Path::join);
        Self { bucket, path }
    }

    /// Returns the path of an object. The name is not encoded again, because file names of backups are
    /// already encoded.
    pub fn object(&self, file: &str) -> Path {
        let text = format!("{}/{file}", self.path);
        Path::parse(&text).unwrap_or_else(|_| Path::from(text))
    }

    /// Returns the URL of an object.
    pub fn location(&self, file: &str) -> String {
        format!("{}/{}", self.bucket.url, self.object(file))
    }

    pub fn failed(&self, action: &'static str, file: &str) -> impl FnOnce(object_store::Error) -> StoreError {
        let url = self.location(file);
        move |source| StoreError::Object { action, url, source: Box::new(source) }
    }

    /// Lists all objects whose path begins with `below`.
    pub async fn list(&self, below: &Path) -> Result<Vec<ObjectMeta>, StoreError> {
        let listed = self.bucket.store.list(Some(below)).try_collect().await;
        listed.map_err(|source| StoreError::Object {
            action: "list",
            url: format!("{}/{below}", self.bucket.url),
            source: Box::new(source),
        })
    }

    /// Lists the objects in a subfolder.
    pub async fn entries(&self, folder: &str) -> Result<Vec<Entry>, StoreError> {
        let objects = self.list(&self.object(folder)).await?;
        let named = objects.iter().filter_map(|object| Some(entry(object.location.filename()?, object)));
        Ok(named.collect())
    }

    /// Returns the text of an object; `None` if it does not exist.
    pub async fn read(&self, file: &str) -> Result<Option<String>, StoreError> {
        let failed = self.failed("read", file);
        let path = self.object(file);
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

    pub fn put_options(&self, mode: PutMode) -> PutOptions {
        PutOptions { mode, attributes: self.bucket.attributes.clone(), ..PutOptions::default() }
    }

    /// Writes an object. Replaces an object of the same name.
    pub async fn write(&self, file: &str, text: &str) -> Result<(), StoreError> {
        let options = self.put_options(PutMode::Overwrite);
        let put = self.bucket.store.put_opts(&self.object(file), text.to_owned().into(), options).await;
        put.map(drop).map_err(self.failed("write", file))
    }

    /// Creates an object. Returns `false` if an object of this name with other content exists.
    pub async fn create(&self, file: &str, text: &str) -> Result<bool, StoreError> {
        use object_store::Error as Kind;
        let options = self.put_options(PutMode::Create);
        match self.bucket.store.put_opts(&self.object(file), text.to_owned().into(), options).await {
            Ok(_) => Ok(true),
            // A request whose response was lost is repeated, and finds the object that it created itself.
            Err(Kind::AlreadyExists { .. } | Kind::Precondition { .. }) => {
                Ok(self.read(file).await?.as_deref() == Some(text))
            }
            // The store does not support conditional requests: check first, then write.
            Err(error) if lacks_conditions(&error) => {
                if self.read(file).await?.is_some() {
                    return Ok(false);
                }
                self.write(file, text).await.map(|()| true)
            }
            Err(error) => Err(self.failed("create", file)(error)),
        }
    }

    /// Removes an object. A missing object is not an error. Returns [`StoreError::Locked`] for a locked
    /// object.
    pub async fn remove(&self, file: &str) -> Result<(), StoreError> {
        let path = self.object(file);
        let mut removals = self.bucket.pruner.delete_stream(stream::iter([Ok(path)]).boxed());
        match removals.try_next().await {
            Err(error) if is_locked(&error) => {
                let until = self.locked_until(file).await;
                let until = until.unwrap_or_else(|| "a time that the store does not report".to_owned());
                Err(StoreError::Locked { url: self.location(file), until })
            }
            Err(error) if !is_missing_object(&error) => Err(self.failed("remove", file)(error)),
            _ => Ok(()),
        }
    }

    /// Returns the end of an object's lock in the store's format; `None` if the object is not locked or the
    /// store does not report a lock.
    pub async fn locked_until(&self, file: &str) -> Option<String> {
        let path = self.object(file);
        let signed = self.bucket.pruner.signed_url(Method::HEAD, &path, Duration::from_mins(1));
        let url = signed.await.ok()?;
        // The error is dropped, because it would contain the signed URL.
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

    /// Opens an object for reading in chunks.
    pub async fn open_reader(&self, file: &str) -> Result<Reader, StoreError> {
        let got = self.bucket.store.get_opts(&self.object(file), GetOptions::default()).await;
        let stream = got.map_err(self.failed("read", file))?.into_stream();
        let this = self.clone();
        let file = file.to_owned();
        Ok(Reader::of_object(stream.map(move |piece| piece.map_err(this.failed("read", &file))).boxed()))
    }
}

pub fn entry(name: &str, object: &ObjectMeta) -> Entry {
    Entry { name: name.to_owned(), modified: object.last_modified.into() }
}

/// Returns whether the store rejects conditional requests: with `501 Not Implemented`, or because it does not
/// support the header.
fn lacks_conditions(error: &object_store::Error) -> bool {
    matches!(error, object_store::Error::NotImplemented { .. })
        || error.to_string().contains("<Code>NotImplemented<")
}
