//! Where a policy's backups are kept: a folder on a volume or in an object store.
//!
//! A set exists when its manifest does. What cannot be read is left alone, and is no reason to be without a new backup.

mod backend;
mod error;
mod files;
mod location;
mod objects;
mod owner;
mod read;
mod volume;
mod writer;

use std::{collections::BTreeMap, path::Path};

use domain::{
    catalog::CatalogBackup,
    manifest::{self, Check, Content, Level, Manifest, PolicyIdentity},
    reason::Reason,
};
use futures::{StreamExt as _, stream};
use jiff::Timestamp;

pub use self::{
    backend::Upload,
    error::StoreError,
    location::{BucketOptions, Location, Variables},
    owner::{Owner, rewritten},
    read::Reader,
    writer::BackupWriter,
};
use self::{
    backend::{Backend, Entry},
    objects::Objects,
    volume::Volume,
};

/// The folder of the runs' records.
const RUNS: &str = "runs";

/// Manifests read at once.
const AT_ONCE: usize = 8;

/// Where backups go, and all that is needed to get there.
#[derive(Clone, Debug)]
pub struct Target {
    /// Where.
    pub location: Location,
    /// How, if that is a bucket.
    pub options: BucketOptions,
    /// The environment's variables: a bucket's credentials are there.
    pub variables: Variables,
}

impl Target {
    /// A folder, which needs nothing more.
    pub fn folder(folder: &Path) -> Self {
        let location = Location::Folder(folder.to_owned());
        Self { location, options: BucketOptions::default(), variables: Variables::default() }
    }
}

/// A policy's folder.
#[derive(Clone, Debug)]
pub struct Repository {
    place: Backend,
    /// Who may remove backups from it.
    pub owner: Owner,
    /// The UIDs of the policies that it was taken over from: their backups are ours.
    pub adopted: Vec<String>,
}

/// What is in a policy's folder.
#[derive(Debug, Default)]
pub struct Listing {
    /// The backups, newest last.
    pub backups: Vec<StoredBackup>,
    /// Folders that look like backups and have no manifest.
    pub leftovers: Vec<String>,
    /// Sets whose manifest or checks cannot be read, and why. They are left alone and count for nothing.
    pub unreadable: Vec<(String, Unreadable)>,
}

/// Why a backup's manifest or checks cannot be read.
#[derive(Debug, thiserror::Error)]
pub enum Unreadable {
    /// The store does not give them.
    #[error(transparent)]
    Store(#[from] StoreError),
    /// They are not what was written.
    #[error("{file} is corrupted: {what}")]
    Corrupted {
        /// Which file.
        file: String,
        /// What of it.
        what: String,
    },
    /// A later version of this program wrote them.
    #[error("{file} is of a later version of this program")]
    Later {
        /// Which file.
        file: String,
    },
}

impl Unreadable {
    /// A file that is not what was written, and how that shows.
    pub fn corrupted(file: &str, what: &impl ToString) -> Self {
        Self::Corrupted { file: file.to_owned(), what: what.to_string() }
    }

    /// Whether the stored bytes themselves are at fault.
    pub fn is_corruption(&self) -> bool {
        match self {
            Self::Store(error) => error.is_corruption(),
            Self::Corrupted { .. } => true,
            Self::Later { .. } => false,
        }
    }

    /// The reason word.
    pub fn reason(&self) -> Reason {
        match self {
            Self::Store(error) => error.reason(),
            Self::Corrupted { .. } => Reason::ChecksumMismatch,
            Self::Later { .. } => Reason::InvalidConfiguration,
        }
    }
}

/// A set that has a manifest, as far as it is needed of every one. Manifests of many tables are large, so they are not
/// kept: [`Repository::manifest`] reads one again.
#[derive(Clone, Debug)]
pub struct StoredBackup {
    /// What retention needs to know of it.
    pub entry: CatalogBackup,
    /// The UID of the Job that made it.
    pub job_uid: String,
    /// The stored bytes of each database.
    pub sizes: BTreeMap<String, u64>,
    /// When it was checked last.
    pub checked: Timestamp,
    /// How deep its first check went, and every later one goes.
    pub level: Level,
}

impl StoredBackup {
    fn new(manifest: &Manifest, later_checks: &[Check], acknowledged: bool) -> Self {
        let sizes = manifest.artifacts.iter().filter_map(|artifact| match &artifact.content {
            Content::Database(facts) => Some((facts.name.clone(), artifact.size_bytes)),
            _ => None,
        });
        Self {
            entry: CatalogBackup::new(manifest, later_checks, acknowledged),
            job_uid: manifest.run.job_uid.clone(),
            sizes: sizes.collect(),
            level: manifest.check.level,
            checked: later_checks.iter().map(|check| check.time).fold(manifest.check.time, Timestamp::max),
        }
    }
}

impl Repository {
    /// Opens the folder `<location>/<namespace>/<policy>` and makes it if it is not there. The first policy to come owns
    /// it; one that names its owner in `adopt_from` takes it over.
    pub async fn open(
        target: &Target,
        policy: &PolicyIdentity,
        adopt_from: Option<&str>,
        now: Timestamp,
    ) -> Result<Self, StoreError> {
        let below = format!("{}/{}", policy.namespace, policy.name);
        let place = place(target, &below)?;
        place.make(&[RUNS]).await?;
        let lock = place.lock().await?;
        let (owner, adopted) = owner::claim(&place, &policy.uid, adopt_from, now).await?;
        drop(lock);
        Ok(Self { place, owner, adopted })
    }

    /// Looks into the folder without claiming it: nothing is written, and nothing is ours to remove.
    pub fn open_read_only(target: &Target, namespace: &str, policy: &str) -> Result<Self, StoreError> {
        let place = place(target, &format!("{namespace}/{policy}"))?;
        let owner = Owner::Unknown("it was not asked for".to_owned());
        Ok(Self { place, owner, adopted: Vec::new() })
    }

    /// Reads a file of a backup.
    pub async fn read(&self, id: &str, file: &str) -> Result<Reader, StoreError> {
        self.place.open_reader(&format!("{id}/{file}")).await
    }

    /// Writes down how a later check of a backup went: the newest one decides.
    pub async fn write_check(&self, id: &str, check: &Check) -> Result<(), StoreError> {
        let text = serde_json::to_string_pretty(check).expect("a check should always be JSON") + "\n";
        let time = check.time.strftime("%Y%m%dT%H%M%SZ");
        self.place.write(&format!("{id}/check-{time}.json"), &text).await
    }

    /// Where a backup, or a file of the folder, is.
    pub fn location(&self, of: &str) -> String {
        self.place.location(of)
    }

    /// The bytes that can still be written; `None` where there is no end.
    pub fn free_bytes(&self) -> Result<Option<u64>, StoreError> {
        self.place.free_bytes()
    }

    /// What is there. One set that cannot be read is no reason to be without the others, nor without a new one.
    pub async fn list(&self) -> Result<Listing, StoreError> {
        let found = self.place.inventory().await?;
        let found = stream::iter(found).map(async |(id, files)| {
            let backup = match files {
                Ok(files) => self.read_backup(&id, &files).await,
                Err(why) => Err(why.into()),
            };
            (id, backup)
        });
        let mut listing = Listing::default();
        let mut found = found.buffered(AT_ONCE);
        while let Some((id, backup)) = found.next().await {
            match backup {
                Ok(Some(backup)) => listing.backups.push(backup),
                Ok(None) => listing.leftovers.push(id),
                Err(why) => listing.unreadable.push((id, why)),
            }
        }
        listing
            .backups
            .sort_by(|a, b| (a.entry.snapshot_time, &a.entry.id).cmp(&(b.entry.snapshot_time, &b.entry.id)));
        Ok(listing)
    }

    /// A set that another run removes meanwhile is one that is not there.
    async fn read_backup(&self, id: &str, files: &[Entry]) -> Result<Option<StoredBackup>, Unreadable> {
        if !files.iter().any(|file| file.name == manifest::FILE) {
            return Ok(None);
        }
        let Some((manifest, _)) = self.read_manifest(id).await? else {
            return Ok(None);
        };
        let mut later_checks = Vec::new();
        for Entry { name, .. } in files.iter().filter(|file| is_check(&file.name)) {
            let text = self.place.read(&format!("{id}/{name}")).await?;
            let check = text.map(|text| serde_json::from_str::<Check>(&text)).transpose();
            later_checks.extend(check.map_err(|error| Unreadable::corrupted(name, &error))?);
        }
        let acknowledged = files.iter().any(|file| file.name == manifest::ACKNOWLEDGED_FILE);
        Ok(Some(StoredBackup::new(&manifest, &later_checks, acknowledged)))
    }

    async fn read_manifest(&self, id: &str) -> Result<Option<(Manifest, String)>, Unreadable> {
        let Some(text) = self.place.read(&format!("{id}/{}", manifest::FILE)).await? else {
            return Ok(None);
        };
        match Manifest::parse(&text) {
            Some(manifest) if manifest.id == id && !manifest.is_plausible() => {
                Err(Unreadable::corrupted(manifest::FILE, &"it names files that no backup has"))
            }
            Some(manifest) if manifest.id == id => Ok(Some((manifest, domain::hash::sha256(&text)))),
            Some(other) => {
                Err(Unreadable::corrupted(manifest::FILE, &format_args!("it is that of {:?}", other.id)))
            }
            None if Manifest::is_later(&text) => Err(Unreadable::Later { file: manifest::FILE.to_owned() }),
            None => Err(Unreadable::corrupted(manifest::FILE, &"it is no manifest")),
        }
    }

    /// A set's manifest, with the tables of large databases, and its SHA-256; `None` when there is none, or it cannot be
    /// read.
    pub async fn manifest(&self, id: &str) -> Option<(Manifest, String)> {
        self.find_manifest(id).await.ok().flatten()
    }

    /// The same for those who must tell the two apart: `None` only where there is none any more. What of its tables is not
    /// as it was written is left out.
    pub async fn find_manifest(&self, id: &str) -> Result<Option<(Manifest, String)>, Unreadable> {
        let Some((mut manifest, sha256)) = self.read_manifest(id).await? else { return Ok(None) };
        let lists = manifest.artifacts.iter().filter(|list| matches!(list.content, Content::Tables { .. }));
        let files: Vec<String> = lists.map(|list| list.file.clone()).collect();
        for file in files {
            match self.place.read(&format!("{id}/{file}")).await {
                Ok(Some(text)) => manifest.put_tables_back(&file, &text),
                Ok(None) => {}
                // Found again, and said, where the file itself is compared.
                Err(error) if error.is_corruption() => {}
                Err(error) => return Err(error.into()),
            }
        }
        Ok(Some((manifest, sha256)))
    }

    /// A small file of a backup; `None` when it is not there.
    pub async fn read_text(&self, id: &str, file: &str) -> Result<Option<String>, StoreError> {
        self.place.read(&format!("{id}/{file}")).await
    }

    /// Begins a backup.
    pub async fn create_backup(&self, id: &str) -> Result<BackupWriter, StoreError> {
        BackupWriter::begin(self.place.clone(), id).await
    }

    /// Removes a backup: its manifest first, so that a half-removed set never looks complete.
    pub async fn remove_backup(&self, id: &str) -> Result<(), StoreError> {
        self.place.remove_backup(id).await
    }

    /// Removes what a run left that died. `false`: it may be alive, or there is a manifest after all.
    pub async fn remove_leftover(&self, id: &str) -> Result<bool, StoreError> {
        self.place.remove_leftover(id).await
    }

    /// Writes down that what is suspicious of a backup is settled, and by what.
    pub async fn acknowledge(&self, id: &str, by: &str, now: Timestamp) -> Result<(), StoreError> {
        let text = serde_json::json!({"time": now, "by": by}).to_string() + "\n";
        self.place.create(&format!("{id}/{}", manifest::ACKNOWLEDGED_FILE), &text).await.map(drop)
    }

    /// Writes a run's record.
    pub async fn write_record(&self, job: &str, json: &str) -> Result<(), StoreError> {
        self.place.write(&format!("{RUNS}/{job}.json"), &format!("{json}\n")).await
    }

    /// The records that were written last, newest first, at most `limit`. One that cannot be read is left out.
    pub async fn newest_records(&self, limit: usize) -> Result<Vec<String>, StoreError> {
        let newest = self.records().await?.into_iter().take(limit);
        let texts = stream::iter(newest).map(async |file| self.place.read(&file).await.ok().flatten());
        Ok(texts.buffered(AT_ONCE).filter_map(std::future::ready).collect().await)
    }

    /// Removes all records but the newest `keep`.
    pub async fn remove_old_records(&self, keep: usize) -> Result<(), StoreError> {
        for file in self.records().await?.iter().skip(keep) {
            self.place.remove(file).await?;
        }
        Ok(())
    }

    /// All records, the one written last first.
    async fn records(&self) -> Result<Vec<String>, StoreError> {
        let mut records = self.place.entries(RUNS).await?;
        records.retain(|entry| Path::new(&entry.name).extension().is_some_and(|e| e == "json"));
        records.sort_unstable_by(|a, b| (b.modified, &b.name).cmp(&(a.modified, &a.name)));
        Ok(records.into_iter().map(|entry| format!("{RUNS}/{}", entry.name)).collect())
    }
}

/// The folder `below` the target.
fn place(target: &Target, below: &str) -> Result<Backend, StoreError> {
    Ok(match &target.location {
        Location::Folder(root) => Backend::Volume(Volume::new(root, below)),
        Location::Bucket { kind, name, prefix } => {
            let bucket = location::bucket(*kind, name, prefix.clone(), &target.options, &target.variables)?;
            Backend::Objects(Objects::new(bucket, below))
        }
    })
}

fn is_check(name: &str) -> bool {
    name.starts_with("check-") && Path::new(name).extension().is_some_and(|e| e == "json")
}

#[cfg(test)]
mod tests;
