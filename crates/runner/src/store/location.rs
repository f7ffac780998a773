//! The location of a store on the command line: a folder, or a bucket of one of three kinds.

use std::{path::PathBuf, str::FromStr};

use domain::invocation::scheme;
use object_store::path::Path;

#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Location {
    /// A folder, which is the root of a volume.
    Folder(PathBuf),
    Bucket {
        kind: Kind,
        /// The name of the bucket, or of the container on Azure.
        name: String,
        /// The path in the bucket below which the policies' folders are.
        prefix: Path,
    },
}

/// The kind of an object store.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Kind {
    /// Amazon S3, or a store with the same API.
    S3,
    /// Google Cloud Storage.
    Gcs,
    /// Azure Blob Storage.
    Azure,
}

impl Kind {
    const ALL: [Self; 3] = [Self::S3, Self::Gcs, Self::Azure];

    pub const fn scheme(self) -> &'static str {
        match self {
            Self::S3 => scheme::S3,
            Self::Gcs => scheme::GCS,
            Self::Azure => scheme::AZURE,
        }
    }

    /// Returns the field of the policy that configures this kind of store.
    pub const fn field(self) -> &'static str {
        match self {
            Self::S3 => "storage.s3",
            Self::Gcs => "storage.gcs",
            Self::Azure => "storage.azure",
        }
    }

    /// Returns the kind of a bucket by its URL, for example `s3://bucket/key`.
    pub fn of_url(url: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|kind| url.starts_with(kind.scheme()))
    }
}

/// The reason why a text is not a valid location.
#[derive(Debug, thiserror::Error)]
pub enum LocationError {
    #[error(
        "the scheme is not supported: write a folder, s3://bucket/prefix, gs://bucket/prefix or az://container/prefix"
    )]
    Scheme,
    #[error("the name of the bucket is missing")]
    NoBucket,
    #[error("the prefix is invalid: {0}")]
    Prefix(#[from] object_store::path::Error),
}

impl FromStr for Location {
    type Err = LocationError;

    fn from_str(text: &str) -> Result<Self, LocationError> {
        if let Some(kind) = Kind::of_url(text) {
            let rest = &text[kind.scheme().len()..];
            let (name, prefix) = rest.split_once('/').unwrap_or((rest, ""));
            if name.is_empty() {
                return Err(LocationError::NoBucket);
            }
            let prefix = Path::parse(prefix.trim_matches('/'))?;
            return Ok(Self::Bucket { kind, name: name.to_owned(), prefix });
        }
        if text.contains("://") { Err(LocationError::Scheme) } else { Ok(Self::Folder(text.into())) }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn store_location_is_parsed_as_folder_or_bucket() {
        let bucket = |kind, name: &str, prefix: &str| Location::Bucket {
            kind,
            name: name.to_owned(),
            prefix: Path::from(prefix),
        };
        for (text, wanted) in [
            ("/backup", Location::Folder("/backup".into())),
            ("backups/of s3", Location::Folder("backups/of s3".into())),
            ("s3://shop", bucket(Kind::S3, "shop", "")),
            ("s3://shop/", bucket(Kind::S3, "shop", "")),
            ("s3://shop/a/b/", bucket(Kind::S3, "shop", "a/b")),
            ("gs://shop/a", bucket(Kind::Gcs, "shop", "a")),
            ("az://shop/a", bucket(Kind::Azure, "shop", "a")),
        ] {
            assert_eq!(text.parse::<Location>().unwrap(), wanted, "{text}");
        }
        for text in ["s3://", "s3:///a", "ftp://shop", "https://shop/a", "s3://shop/a//b", "s3://shop/../b"] {
            assert!(text.parse::<Location>().is_err(), "{text}");
        }
        let error = "ftp://shop".parse::<Location>().unwrap_err();
        assert!(error.to_string().starts_with("the scheme is not supported: write a folder"), "{error}");
    }
}
