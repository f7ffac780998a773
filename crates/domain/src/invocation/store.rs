//! The store, and how the runner uses a bucket.

use std::{path::PathBuf, time::Duration};

use strum::{Display, EnumIter, EnumString, IntoEnumIterator as _, IntoStaticStr};

use super::{default, flag, line::Line};

/// The beginnings of URLs of buckets.
pub mod scheme {
    /// Amazon S3, or a store with the same API.
    pub const S3: &str = "s3://";
    /// Google Cloud Storage.
    pub const GCS: &str = "gs://";
    /// Azure Blob Storage.
    pub const AZURE: &str = "az://";
}

/// A store, without its credentials.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Store {
    /// The folder of a volume, or the URL of a bucket: one of [`scheme`], the name, and a prefix.
    pub location: String,
    /// How the bucket is used.
    pub bucket: BucketOptions,
}

/// How a bucket is used. A volume ignores these options.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct BucketOptions {
    /// A PEM file with the only certificate authorities to trust. By default, Mozilla's authorities are
    /// trusted.
    pub ca: Option<PathBuf>,
    /// Whether requests have the bucket's name in the path instead of in the host name.
    pub path_style: bool,
    /// Server-side encryption by S3.
    pub encryption: Option<S3Encryption>,
    /// The ID of the key of [`S3Encryption::Kms`].
    pub kms_key: Option<String>,
    /// The checksum that S3 compares with the content of each request.
    pub checksum: Option<S3Checksum>,
    /// The storage class of new objects, as the store names it, for example `STANDARD_IA`, `NEARLINE` or
    /// `Cool`.
    pub storage_class: Option<String>,
    /// The age from which on a backup without a manifest counts as unfinished by a dead run.
    pub leftover_age: Duration,
}

impl Default for BucketOptions {
    fn default() -> Self {
        Self {
            ca: None,
            path_style: false,
            encryption: None,
            kms_key: None,
            checksum: None,
            storage_class: None,
            leftover_age: default::LEFTOVER_AGE,
        }
    }
}

impl Store {
    pub(super) fn write(&self, line: &mut Line) {
        let Self { location, bucket } = self;
        // `Invocation::arguments` writes options without a value at the end.
        let BucketOptions { ca, path_style: _, encryption, kms_key, checksum, storage_class, leftover_age } =
            bucket;
        line.option(flag::STORE, location);
        line.options(flag::STORE_CA, ca.as_ref().map(|file| file.display()));
        line.options(flag::STORAGE_CLASS, storage_class);
        line.options(flag::S3_CHECKSUM, checksum);
        line.options(flag::S3_ENCRYPTION, encryption);
        line.options(flag::S3_KMS_KEY_ID, kms_key);
        if *leftover_age != default::LEFTOVER_AGE {
            line.option(flag::LEFTOVER_AGE, leftover_age.as_secs());
        }
    }
}

/// Encryption by S3.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Display, EnumIter, EnumString, IntoStaticStr)]
pub enum S3Encryption {
    /// With a key of the store.
    #[strum(serialize = "AES256")]
    Aes256,
    /// With a key of the key management service.
    #[strum(serialize = "aws:kms")]
    Kms,
}

impl S3Encryption {
    /// Both ways.
    pub fn all() -> impl Iterator<Item = Self> {
        Self::iter()
    }

    /// The spelling in arguments and in requests to S3: `aws:kms`.
    pub fn as_str(self) -> &'static str {
        self.into()
    }
}

/// A checksum of S3.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Display, EnumIter, EnumString, IntoStaticStr)]
#[strum(serialize_all = "lowercase")]
pub enum S3Checksum {
    /// SHA-256.
    Sha256,
    /// CRC-64/NVME.
    Crc64Nvme,
}

impl S3Checksum {
    /// Both checksums.
    pub fn all() -> impl Iterator<Item = Self> {
        Self::iter()
    }

    /// The spelling in arguments: `sha256`.
    pub fn as_str(self) -> &'static str {
        self.into()
    }
}
