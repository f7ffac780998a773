//! The location of a store, and the options for a bucket.

use std::{path::PathBuf, time::Duration};

use strum::{Display, EnumIter, EnumString, IntoEnumIterator as _, IntoStaticStr};

use super::{default, flag, line::Line};

/// The schemes of bucket URLs.
pub mod scheme {
    /// The scheme of Amazon S3, and of stores with the same API.
    pub const S3: &str = "s3://";
    /// The scheme of Google Cloud Storage.
    pub const GCS: &str = "gs://";
    /// The scheme of Azure Blob Storage.
    pub const AZURE: &str = "az://";
}

/// A store, without its credentials.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Store {
    /// The folder of a volume, or the URL of a bucket: a scheme from [`scheme`], the bucket's name, and a
    /// prefix.
    pub location: String,
    /// The options for a bucket; the defaults for a volume.
    pub bucket: BucketOptions,
}

/// The options for a bucket. A volume ignores them.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct BucketOptions {
    /// A PEM file with the only certificate authorities to trust. By default, Mozilla's authorities are
    /// trusted.
    pub ca: Option<PathBuf>,
    /// Whether requests have the bucket's name in the path instead of in the host name.
    pub path_style: bool,
    /// Server-side encryption by S3.
    pub encryption: Option<S3Encryption>,
    /// The id of the KMS key for [`S3Encryption::Kms`].
    pub kms_key: Option<String>,
    /// The checksum that S3 compares with the content of each request.
    pub checksum: Option<S3Checksum>,
    /// The storage class of new objects, as the store names it, for example `STANDARD_IA`, `NEARLINE` or
    /// `Cool`.
    pub storage_class: Option<String>,
    /// The age at which a backup without a manifest counts as left by a killed run.
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

/// The server-side encryption of S3.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Display, EnumIter, EnumString, IntoStaticStr)]
pub enum S3Encryption {
    /// S3 encrypts with a key of the store.
    #[strum(serialize = "AES256")]
    Aes256,
    /// S3 encrypts with a key of the key management service (KMS).
    #[strum(serialize = "aws:kms")]
    Kms,
}

impl S3Encryption {
    /// Returns both kinds of encryption.
    pub fn all() -> impl Iterator<Item = Self> {
        Self::iter()
    }

    /// Returns the spelling in arguments and in requests to S3, for example `aws:kms`.
    pub fn as_str(self) -> &'static str {
        self.into()
    }
}

/// The algorithm of the checksum that S3 verifies for each upload.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Display, EnumIter, EnumString, IntoStaticStr)]
#[strum(serialize_all = "lowercase")]
pub enum S3Checksum {
    /// The algorithm SHA-256.
    Sha256,
    /// The algorithm CRC-64/NVME.
    Crc64Nvme,
}

impl S3Checksum {
    /// Returns both algorithms.
    pub fn all() -> impl Iterator<Item = Self> {
        Self::iter()
    }

    /// Returns the spelling in arguments, for example `sha256`.
    pub fn as_str(self) -> &'static str {
        self.into()
    }
}
