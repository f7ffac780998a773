//! Where backups go, and what is needed to get there.

use std::{
    ffi::OsString,
    fmt,
    path::{Path, PathBuf},
    time::Duration,
};

use super::location::Location;

#[derive(Clone, Debug)]
pub struct Target {
    pub location: Location,
    /// How a bucket is used.
    pub options: BucketOptions,
    /// The environment's variables, a bucket's credentials among them.
    pub variables: Variables,
}

impl Target {
    /// A folder, which needs neither options nor variables.
    pub fn folder(folder: &Path) -> Self {
        let location = Location::Folder(folder.to_owned());
        Self { location, options: BucketOptions::default(), variables: Variables::default() }
    }
}

/// How a bucket is used, where the environment has no variable for it.
#[derive(Clone, Debug, Default)]
pub struct BucketOptions {
    /// A PEM file of the only certificate authorities to trust. Default: the public ones.
    pub ca: Option<PathBuf>,
    /// Whether the bucket's name is in the path of a URL instead of in its host.
    pub path_style: bool,
    /// `AES256` or `aws:kms`.
    pub encryption: Option<String>,
    /// The id of the key of `aws:kms`.
    pub kms_key: Option<String>,
    /// The checksum that S3 compares with each request's content: `sha256` or `crc64nvme`.
    pub checksum: Option<String>,
    /// The store's name of a storage class: `STANDARD_IA`, `NEARLINE`, `Cool`.
    pub storage_class: Option<String>,
    /// From this age on, a backup without a manifest is a leftover of a dead run.
    pub leftover_age: Duration,
}

/// Environment variables. Some are secret, so `Debug` shows only how many there are.
#[derive(Clone, Default)]
pub struct Variables(Vec<(String, String)>);

impl Variables {
    /// Those of this process whose values are UTF-8.
    pub fn of_process() -> Self {
        let text =
            |(name, value): (OsString, OsString)| Some((name.into_string().ok()?, value.into_string().ok()?));
        Self(std::env::vars_os().filter_map(text).collect())
    }

    pub(super) fn iter(&self) -> impl Iterator<Item = (&str, &str)> {
        self.0.iter().map(|(name, value)| (name.as_str(), value.as_str()))
    }
}

impl fmt::Debug for Variables {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Variables({})", self.0.len())
    }
}

impl<const N: usize> From<[(&str, &str); N]> for Variables {
    fn from(variables: [(&str, &str); N]) -> Self {
        Self(variables.map(|(name, value)| (name.to_owned(), value.to_owned())).to_vec())
    }
}
