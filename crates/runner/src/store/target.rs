//! The target of backups: a location with the options and variables that are needed to use it.

use std::{ffi::OsString, fmt, path::Path};

use domain::invocation::BucketOptions;

use super::location::Location;

#[derive(Clone, Debug)]
pub struct Target {
    pub location: Location,
    /// The options of a bucket.
    pub options: BucketOptions,
    /// The environment variables, including a bucket's credentials.
    pub variables: Variables,
}

impl Target {
    /// Creates the target for a folder, which needs neither options nor variables.
    pub fn folder(folder: &Path) -> Self {
        let location = Location::Folder(folder.to_owned());
        Self { location, options: BucketOptions::default(), variables: Variables::default() }
    }
}

/// Environment variables. `Debug` shows only their number, because some are secret.
#[derive(Clone, Default)]
pub struct Variables(Vec<(String, String)>);

impl Variables {
    /// Returns the variables of this process whose names and values are UTF-8.
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
