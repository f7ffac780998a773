//! Where a policy's copies are kept: a folder of a volume.
//!
//! Everything becomes visible by a rename after fsync, and the folder is synced after the rename. A set belongs to
//! the run that holds the lock on its `.lock` file; it exists when its manifest does. What cannot be read is left
//! alone, and is no reason to be without a new backup.

mod files;
mod owner;
mod set;

use std::{
    collections::BTreeMap,
    fs::{self, File},
    io,
    os::unix::fs::OpenOptionsExt as _,
    path::{Path, PathBuf},
};

use domain::{
    catalog::CatalogSet,
    manifest::{self, Check, Content, Manifest, PolicyIdentity},
    name,
};
use jiff::Timestamp;

use self::files::{
    FILE_MODE, exists, failed, make_folder, names, read_if_there, remove_file, remove_folder, write_atomic,
};
pub use self::{
    files::StoreError,
    owner::Owner,
    set::{OpenSet, PartialFile, ReadBack},
};

/// The folder of the runs' records.
const RUNS: &str = "runs";

/// A policy's folder. What may take long on a slow disk is done aside, so that a signal is heard meanwhile.
#[derive(Clone, Debug)]
pub struct Repository {
    root: PathBuf,
    folder: PathBuf,
    /// Who may remove sets from it.
    pub owner: Owner,
    /// The UIDs of the policies that it was taken over from: their sets are ours.
    pub adopted: Vec<String>,
}

/// What is in a policy's folder.
#[derive(Debug, Default)]
pub struct Listing {
    /// The sets, newest last.
    pub sets: Vec<StoredSet>,
    /// Folders that look like sets and have no manifest.
    pub leftovers: Vec<String>,
    /// Sets whose manifest or checks cannot be read, and why. They are left alone and count for nothing.
    pub unreadable: Vec<(String, String)>,
}

/// A set that has a manifest, as far as it is needed of every one. Manifests of many tables are large, so they are not
/// kept: [`Repository::manifest`] reads one again.
#[derive(Clone, Debug)]
pub struct StoredSet {
    /// What retention needs to know of it.
    pub entry: CatalogSet,
    /// The UID of the Job that made it.
    pub job_uid: String,
    /// The stored bytes of each database.
    pub sizes: BTreeMap<String, u64>,
}

impl StoredSet {
    fn new(manifest: &Manifest, later_checks: &[Check]) -> Self {
        let sizes = manifest.artifacts.iter().filter_map(|artifact| match &artifact.content {
            Content::Database(facts) => Some((facts.name.clone(), artifact.size_bytes)),
            Content::Globals { .. } => None,
        });
        Self {
            entry: CatalogSet::new(manifest, later_checks),
            job_uid: manifest.run.job_uid.clone(),
            sizes: sizes.collect(),
        }
    }
}

impl Repository {
    /// Opens the folder `<root>/<namespace>/<policy>`, makes it if it is not there, and proves that it can be
    /// written. The first policy to come owns it; one that names its owner in `adopt_from` takes it over.
    pub fn open(
        root: &Path,
        policy: &PolicyIdentity,
        adopt_from: Option<&str>,
        now: Timestamp,
    ) -> Result<Self, StoreError> {
        let folder = root.join(&policy.namespace).join(&policy.name);
        make_folder(&folder)?;
        make_folder(&folder.join(RUNS))?;
        let lock = lock(&folder)?;
        let (owner, adopted) = owner::claim(&folder, &policy.uid, adopt_from, now)?;
        drop(lock);
        Ok(Self { root: root.to_owned(), folder, owner, adopted })
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

    async fn aside<T: Send + 'static>(
        &self,
        work: impl FnOnce(&Self) -> Result<T, StoreError> + Send + 'static,
    ) -> Result<T, StoreError> {
        let this = self.clone();
        let task = tokio::task::spawn_blocking(move || work(&this));
        task.await.unwrap_or_else(|error| Err(failed("work in", &self.folder)(io::Error::other(error))))
    }

    /// What is there. One set that cannot be read is no reason to be without the others, nor without a new one.
    pub async fn list(&self) -> Result<Listing, StoreError> {
        self.aside(Self::read_all).await
    }

    fn read_all(&self) -> Result<Listing, StoreError> {
        let mut listing = Listing::default();
        for id in names(&self.folder)?.into_iter().filter(|name| name::is_set_id(name)) {
            match self.read_set(&id) {
                Ok(Some(set)) => listing.sets.push(set),
                Ok(None) => listing.leftovers.push(id),
                Err(why) => listing.unreadable.push((id, why)),
            }
        }
        listing
            .sets
            .sort_by(|a, b| (a.entry.snapshot_time, &a.entry.id).cmp(&(b.entry.snapshot_time, &b.entry.id)));
        Ok(listing)
    }

    /// A set that another run removes meanwhile is one that is not there.
    fn read_set(&self, id: &str) -> Result<Option<StoredSet>, String> {
        let Some((manifest, _)) = self.read_manifest(id)? else {
            return Ok(None);
        };
        let folder = self.folder.join(id);
        let mut later_checks = Vec::new();
        for name in names(&folder).map_err(|e| e.to_string())?.into_iter().filter(|name| is_check(name)) {
            let text = read_if_there(&folder.join(&name)).map_err(|e| e.to_string())?;
            let check = text.map(|text| serde_json::from_str::<Check>(&text)).transpose();
            later_checks.extend(check.map_err(|error| format!("{name} is no check: {error}"))?);
        }
        Ok(Some(StoredSet::new(&manifest, &later_checks)))
    }

    fn read_manifest(&self, id: &str) -> Result<Option<(Manifest, String)>, String> {
        let path = self.folder.join(id).join(manifest::FILE);
        let Some(text) = read_if_there(&path).map_err(|error| error.to_string())? else {
            return Ok(None);
        };
        let manifest = Manifest::parse(&text).filter(|manifest| manifest.id == id);
        let manifest =
            manifest.ok_or("its manifest.json is damaged, or of a later version of this program")?;
        Ok(Some((manifest, domain::hash::sha256(&text))))
    }

    /// A set's manifest and its SHA-256; `None` when it cannot be read any more.
    pub fn manifest(&self, id: &str) -> Option<(Manifest, String)> {
        self.read_manifest(id).ok().flatten()
    }

    /// Makes a set's folder and takes its lock.
    pub async fn create_set(&self, id: &str) -> Result<OpenSet, StoreError> {
        let id = id.to_owned();
        self.aside(move |this| {
            // Nobody looks at the folder between its making and its locking.
            let _folder_lock = lock(&this.folder)?;
            OpenSet::make(&this.folder, &id)
        })
        .await
    }

    /// Removes a set: its manifest first, so that a half-removed set never looks complete.
    pub async fn remove_set(&self, id: &str) -> Result<(), StoreError> {
        let id = id.to_owned();
        self.aside(move |this| remove_folder(&this.folder, &id)).await
    }

    /// Removes what a run left that died. `false`: another run is still at it, or it has a manifest after all.
    pub async fn remove_leftover(&self, id: &str) -> Result<bool, StoreError> {
        let id = id.to_owned();
        self.aside(move |this| this.remove_if_dead(&id)).await
    }

    fn remove_if_dead(&self, id: &str) -> Result<bool, StoreError> {
        let _folder_lock = lock(&self.folder)?;
        let folder = self.folder.join(id);
        let path = folder.join(set::LOCK);
        let lock = match File::options().write(true).open(&path) {
            Ok(lock) => Some(lock),
            Err(error) if error.kind() == io::ErrorKind::NotFound => None,
            Err(error) => return Err(failed("open", &path)(error)),
        };
        if lock.as_ref().is_some_and(|lock| lock.try_lock().is_err()) || exists(&folder.join(manifest::FILE))?
        {
            return Ok(false);
        }
        remove_folder(&self.folder, id).map(|()| true)
    }

    /// Writes a run's record.
    pub fn write_record(&self, job: &str, json: &str) -> Result<(), StoreError> {
        write_atomic(
            &self.folder.join(RUNS),
            &format!("{job}.json"),
            format!("{json}\n").as_bytes(),
            FILE_MODE,
        )
    }

    /// The records that were written last, newest first, at most `limit`. One that cannot be read is left out.
    pub fn newest_records(&self, limit: usize) -> Result<Vec<String>, StoreError> {
        let folder = self.folder.join(RUNS);
        let newest = self.records()?.into_iter().take(limit);
        Ok(newest.filter_map(|name| read_if_there(&folder.join(name)).ok().flatten()).collect())
    }

    /// Removes all records but the newest `keep`.
    pub async fn remove_old_records(&self, keep: usize) -> Result<(), StoreError> {
        self.aside(move |this| {
            let folder = this.folder.join(RUNS);
            this.records()?.iter().skip(keep).try_for_each(|name| remove_file(&folder.join(name)))
        })
        .await
    }

    /// The names of all records, the one written last first.
    fn records(&self) -> Result<Vec<String>, StoreError> {
        let folder = self.folder.join(RUNS);
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
        Ok(records.into_iter().map(|(_, name)| name).collect())
    }
}

/// The lock of the policy's folder, held while its owner or a set's own lock comes to be or is tried. Who cannot write
/// the folder cannot take it.
fn lock(folder: &Path) -> Result<File, StoreError> {
    let path = folder.join(set::LOCK);
    let lock = File::options().write(true).create(true).truncate(false).mode(FILE_MODE).open(&path);
    let lock = lock.map_err(failed("make", &path))?;
    lock.lock().map_err(failed("lock", &path))?;
    Ok(lock)
}

fn is_check(name: &str) -> bool {
    name.starts_with("check-") && Path::new(name).extension().is_some_and(|e| e == "json")
}

#[cfg(test)]
mod tests;
