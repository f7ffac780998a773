//! Where a policy's copies are kept: a folder of a volume.
//!
//! Everything becomes visible by a rename after fsync, and the folder is synced after the rename. A set belongs to
//! the run that holds the lock on its `.lock` file; it exists when its manifest does.

mod files;
mod set;

use std::{
    fs::{self, File},
    io,
    path::{Path, PathBuf},
};

use domain::{
    catalog::CatalogSet,
    manifest::{self, Check, Manifest, PolicyIdentity},
    name,
};
use jiff::Timestamp;
use serde::{Deserialize, Serialize};

use self::files::{
    FILE_MODE, failed, make_folder, names, read_if_there, remove_file, remove_folder, sync_folder,
    write_atomic, write_synced,
};
pub use self::{
    files::StoreError,
    set::{OpenSet, PartialFile, ReadBack},
};

/// The folder's owner.
const OWNER: &str = "repository.json";

/// A policy's folder.
#[derive(Debug)]
pub struct Repository {
    root: PathBuf,
    folder: PathBuf,
    /// The UID of the policy that owns the folder.
    pub owner: String,
}

/// `repository.json`: whose folder it is.
#[derive(Debug, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
struct OwnerMarker {
    format: u32,
    policy_uid: String,
    created: Timestamp,
}

/// A set that has a manifest.
#[derive(Debug)]
pub struct StoredSet {
    /// Its manifest.
    pub manifest: Manifest,
    /// The checks that were made later.
    pub later_checks: Vec<Check>,
    /// The SHA-256 of its manifest.
    pub manifest_sha256: String,
}

impl StoredSet {
    /// What retention needs to know of it.
    pub fn entry(&self) -> CatalogSet {
        CatalogSet::new(&self.manifest, &self.later_checks)
    }
}

impl Repository {
    /// Opens the folder `<root>/<namespace>/<policy>`, makes it if it is not there, and proves that it can be
    /// written. The first policy to come owns it.
    pub fn open(root: &Path, policy: &PolicyIdentity, now: Timestamp) -> Result<Self, StoreError> {
        let folder = root.join(&policy.namespace).join(&policy.name);
        make_folder(&folder)?;
        make_folder(&folder.join("runs"))?;
        let mut repository = Self { root: root.to_owned(), folder, owner: String::new() };
        repository.owner = repository.claim(&policy.uid, now)?;
        Ok(repository)
    }

    /// The folder.
    pub fn folder(&self) -> &Path {
        &self.folder
    }

    /// A set's place, below the store's root.
    pub fn location(&self, id: &str) -> String {
        let path = self.folder.join(id);
        path.strip_prefix(&self.root).unwrap_or(&path).display().to_string()
    }

    /// The bytes that can still be written.
    pub fn free_bytes(&self) -> Result<u64, StoreError> {
        let stat = rustix::fs::statvfs(&self.folder)
            .map_err(|e| failed("ask for the free space of", &self.folder)(e.into()))?;
        Ok(stat.f_bavail * stat.f_frsize)
    }

    /// The owner's UID; ours if there was none. Two first runs at once: one link wins.
    fn claim(&self, uid: &str, now: Timestamp) -> Result<String, StoreError> {
        let path = self.folder.join(OWNER);
        if let Some(text) = read_if_there(&path)? {
            return Ok(owner_of(&text));
        }
        let marker = OwnerMarker { format: 1, policy_uid: uid.to_owned(), created: now };
        let text =
            serde_json::to_string_pretty(&marker).expect("an owner marker should always be JSON") + "\n";
        let part = self.folder.join(format!("{OWNER}.{}", domain::hash::short(uid, 8)));
        write_synced(&part, text.as_bytes(), FILE_MODE)?;
        let linked = fs::hard_link(&part, &path);
        remove_file(&part)?;
        match linked {
            Ok(()) => sync_folder(&self.folder)?,
            Err(error) if error.kind() == io::ErrorKind::AlreadyExists => {}
            // A file system without links: there the second of two first runs would win, which is no harm yet.
            Err(_) => write_atomic(&self.folder, OWNER, text.as_bytes(), FILE_MODE)?,
        }
        read_if_there(&path).map(|text| text.as_deref().map_or_else(String::new, owner_of))
    }

    /// The sets that have a manifest, newest last, and the names of folders that look like sets and have none.
    pub fn list(&self) -> Result<(Vec<StoredSet>, Vec<String>), StoreError> {
        let (mut sets, mut leftovers) = (Vec::new(), Vec::new());
        for id in names(&self.folder)?.into_iter().filter(|name| name::is_set_id(name)) {
            match self.read_set(&id)? {
                Some(set) => sets.push(set),
                None => leftovers.push(id),
            }
        }
        sets.sort_by(|a, b| {
            (a.manifest.snapshot_time, &a.manifest.id).cmp(&(b.manifest.snapshot_time, &b.manifest.id))
        });
        Ok((sets, leftovers))
    }

    /// A set that another run removes meanwhile is one that is not there.
    fn read_set(&self, id: &str) -> Result<Option<StoredSet>, StoreError> {
        let folder = self.folder.join(id);
        let Some(text) = read_if_there(&folder.join(manifest::FILE))? else {
            return Ok(None);
        };
        let Some(manifest) = Manifest::parse(&text).filter(|manifest| manifest.id == id) else {
            tracing::warn!("{id}: its manifest cannot be read; the set is left alone");
            return Ok(None);
        };
        let mut later_checks = Vec::new();
        for name in names(&folder)?.into_iter().filter(|name| is_check(name)) {
            let text = read_if_there(&folder.join(name))?;
            later_checks.extend(text.and_then(|text| serde_json::from_str::<Check>(&text).ok()));
        }
        Ok(Some(StoredSet { manifest, later_checks, manifest_sha256: domain::hash::sha256(&text) }))
    }

    /// Makes a set's folder and takes its lock.
    pub fn create_set(&self, id: &str) -> Result<OpenSet, StoreError> {
        OpenSet::make(&self.folder, id)
    }

    /// Removes a set: its manifest first, so that a half-removed set never looks complete.
    pub fn remove_set(&self, id: &str) -> Result<(), StoreError> {
        remove_folder(&self.folder, id)
    }

    /// Removes what a run left that died. `false`: another run is still at it, or it has a manifest after all.
    pub fn remove_leftover(&self, id: &str) -> Result<bool, StoreError> {
        let folder = self.folder.join(id);
        let path = folder.join(set::LOCK);
        let lock = match File::options().write(true).open(&path) {
            Ok(lock) => Some(lock),
            Err(error) if error.kind() == io::ErrorKind::NotFound => None,
            Err(error) => return Err(failed("open", &path)(error)),
        };
        if lock.as_ref().is_some_and(|lock| lock.try_lock().is_err()) || folder.join(manifest::FILE).exists()
        {
            return Ok(false);
        }
        remove_folder(&self.folder, id).map(|()| true)
    }

    /// Writes a run's record.
    pub fn write_record(&self, job: &str, json: &str) -> Result<(), StoreError> {
        write_atomic(
            &self.folder.join("runs"),
            &format!("{job}.json"),
            format!("{json}\n").as_bytes(),
            FILE_MODE,
        )
    }

    /// The records that were written last, newest first, at most `limit`.
    pub fn newest_records(&self, limit: usize) -> Result<Vec<String>, StoreError> {
        let folder = self.folder.join("runs");
        let mut records = Vec::new();
        for name in names(&folder)?
            .into_iter()
            .filter(|name| Path::new(name).extension().is_some_and(|e| e == "json"))
        {
            let path = folder.join(&name);
            let Ok(modified) = fs::metadata(&path).and_then(|meta| meta.modified()) else {
                continue;
            };
            records.push((modified, name));
        }
        records.sort_unstable_by(|a, b| b.cmp(a));
        records.truncate(limit);
        let texts = records.iter().filter_map(|(_, name)| read_if_there(&folder.join(name)).transpose());
        texts.collect()
    }
}

fn is_check(name: &str) -> bool {
    name.starts_with("check-") && Path::new(name).extension().is_some_and(|e| e == "json")
}

fn owner_of(text: &str) -> String {
    serde_json::from_str::<OwnerMarker>(text).map(|marker| marker.policy_uid).unwrap_or_default()
}
