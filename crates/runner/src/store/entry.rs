//! Files as a store lists them.

use std::{collections::BTreeMap, time::SystemTime};

use super::error::StoreError;

/// A file in a folder of a repository.
#[derive(Clone, Debug)]
pub struct Entry {
    pub name: String,
    /// The time at which the file was last written, by the store's clock.
    pub modified: SystemTime,
}

/// The files in each backup's folder by backup id, or the error if the folder cannot be listed.
pub type Inventory = BTreeMap<String, Result<Vec<Entry>, StoreError>>;
