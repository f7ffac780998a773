//! A policy's repository: its backups, the records of its runs, and its owner.

use std::path::Path;

use domain::manifest::{self, Check, Content, Manifest, PolicyIdentity};
use futures::{StreamExt as _, stream};
use jiff::Timestamp;

use super::{
    backend::Backend,
    connect,
    entry::Entry,
    error::StoreError,
    listing::{Listing, StoredBackup, Unreadable},
    location::Location,
    objects::Objects,
    owner::{self, Owner},
    reader::Reader,
    target::Target,
    volume::Volume,
    writer::BackupWriter,
};

/// The folder with the records of the runs.
pub(super) const RUNS: &str = "runs";

/// The number of small files that are read concurrently.
const AT_ONCE: usize = 8;

#[derive(Clone, Debug)]
pub struct Repository {
    pub(super) backend: Backend,
    /// The owner of the repository. Only the owner's runs remove backups.
    pub owner: Owner,
    /// The UIDs of earlier owners, whose backups now belong to this policy.
    pub adopted: Vec<String>,
}

impl Repository {
    /// Opens the folder `<location>/<namespace>/<policy>`, and creates it if it does not exist. A repository
    /// without an owner, or whose owner has the UID `adopt_from`, becomes this policy's.
    pub async fn open(
        target: &Target,
        policy: &PolicyIdentity,
        adopt_from: Option<&str>,
        now: Timestamp,
    ) -> Result<Self, StoreError> {
        let backend = backend(target, &policy.namespace, &policy.name)?;
        backend.make(&[RUNS]).await?;
        let lock = backend.lock().await?;
        let (owner, adopted) = owner::claim(&backend, &policy.uid, adopt_from, now).await?;
        drop(lock);
        Ok(Self { backend, owner, adopted })
    }

    /// Opens the folder read-only: does not create or claim it, so nothing is removed.
    pub fn open_read_only(target: &Target, namespace: &str, policy: &str) -> Result<Self, StoreError> {
        let backend = backend(target, namespace, policy)?;
        let owner = Owner::Unknown("the repository was opened read-only".to_owned());
        Ok(Self { backend, owner, adopted: Vec::new() })
    }

    /// Opens a file of a backup for reading in chunks.
    pub async fn read(&self, id: &str, file: &str) -> Result<Reader, StoreError> {
        self.backend.open_reader(&format!("{id}/{file}")).await
    }

    /// Stores the result of a later check beside the backup. The newest check decides.
    pub async fn write_check(&self, id: &str, check: &Check) -> Result<(), StoreError> {
        let text = serde_json::to_string_pretty(check).expect("a check should always be JSON") + "\n";
        let time = check.time.strftime("%Y%m%dT%H%M%SZ");
        self.backend.write(&format!("{id}/check-{time}.json"), &text).await
    }

    /// Returns the path or URL of a backup or of another file of the repository.
    pub fn location(&self, of: &str) -> String {
        self.backend.location(of)
    }

    /// Returns the free space in bytes; `None` for an object store.
    pub async fn free_bytes(&self) -> Result<Option<u64>, StoreError> {
        self.backend.free_bytes().await
    }

    /// Lists all backups. An unreadable backup does not prevent listing the others.
    pub async fn list(&self) -> Result<Listing, StoreError> {
        let found = self.backend.inventory().await?;
        let found = stream::iter(found).map(async |(id, files)| {
            let backup = match files {
                Ok(files) => self.read_backup(&id, &files).await,
                Err(error) => Err(error.into()),
            };
            (id, backup)
        });
        let mut listing = Listing::default();
        let mut found = found.buffered(AT_ONCE);
        while let Some((id, backup)) = found.next().await {
            match backup {
                Ok(Some(backup)) => listing.backups.push(backup),
                Ok(None) => listing.leftovers.push(id),
                Err(error) => listing.unreadable.push((id, error)),
            }
        }
        listing
            .backups
            .sort_by(|a, b| (a.entry.snapshot_time, &a.entry.id).cmp(&(b.entry.snapshot_time, &b.entry.id)));
        Ok(listing)
    }

    /// Reads the facts of a backup; `None` if it has no manifest, or if another run removes it meanwhile.
    async fn read_backup(&self, id: &str, files: &[Entry]) -> Result<Option<StoredBackup>, Unreadable> {
        if !files.iter().any(|file| file.name == manifest::FILE) {
            return Ok(None);
        }
        let Some((manifest, _)) = self.read_manifest(id).await? else {
            return Ok(None);
        };
        let mut later_checks = Vec::new();
        for Entry { name, .. } in files.iter().filter(|file| is_check(&file.name)) {
            let text = self.backend.read(&format!("{id}/{name}")).await?;
            let check = text.map(|text| serde_json::from_str::<Check>(&text)).transpose();
            later_checks.extend(check.map_err(|error| Unreadable::corrupted(name, &error))?);
        }
        let acknowledged = files.iter().any(|file| file.name == manifest::ACKNOWLEDGED_FILE);
        Ok(Some(StoredBackup::new(&manifest, &later_checks, acknowledged)))
    }

    async fn read_manifest(&self, id: &str) -> Result<Option<(Manifest, String)>, Unreadable> {
        let Some(text) = self.backend.read(&format!("{id}/{}", manifest::FILE)).await? else {
            return Ok(None);
        };
        match Manifest::parse(&text) {
            Some(manifest) if manifest.id == id && !manifest.is_plausible() => {
                Err(Unreadable::corrupted(manifest::FILE, &"it lists file names that are not allowed"))
            }
            Some(manifest) if manifest.id == id => Ok(Some((manifest, domain::hash::sha256(&text)))),
            Some(other) => {
                let what = format!("it is the manifest of backup {:?}", other.id);
                Err(Unreadable::corrupted(manifest::FILE, &what))
            }
            None if Manifest::is_later(&text) => Err(Unreadable::Later { file: manifest::FILE.to_owned() }),
            None => Err(Unreadable::corrupted(manifest::FILE, &"it is not a manifest")),
        }
    }

    /// Returns a backup's manifest, including the lists of tables in files of their own, and its SHA-256;
    /// `None` if it does not exist or cannot be read.
    pub async fn manifest(&self, id: &str) -> Option<(Manifest, String)> {
        self.find_manifest(id).await.ok().flatten()
    }

    /// Returns a backup's manifest and its SHA-256 like [`Self::manifest`]; `None` only if it does not exist.
    /// Ignores a corrupted list of tables, which is reported when the file's checksum is compared.
    pub async fn find_manifest(&self, id: &str) -> Result<Option<(Manifest, String)>, Unreadable> {
        let Some((mut manifest, sha256)) = self.read_manifest(id).await? else { return Ok(None) };
        let lists = manifest.artifacts.iter().filter(|list| matches!(list.content, Content::Tables { .. }));
        let files: Vec<String> = lists.map(|list| list.file.clone()).collect();
        for file in files {
            match self.backend.read(&format!("{id}/{file}")).await {
                Ok(Some(text)) => manifest.put_tables_back(&file, &text),
                Ok(None) => {}
                Err(error) if error.is_corruption() => {}
                Err(error) => return Err(error.into()),
            }
        }
        Ok(Some((manifest, sha256)))
    }

    /// Returns the text of a small file of a backup; `None` if it does not exist.
    pub async fn read_text(&self, id: &str, file: &str) -> Result<Option<String>, StoreError> {
        self.backend.read(&format!("{id}/{file}")).await
    }

    pub async fn create_backup(&self, id: &str) -> Result<BackupWriter, StoreError> {
        BackupWriter::begin(self.backend.clone(), id).await
    }

    /// Removes a backup. Its manifest is removed first, so that a partly removed backup never looks complete.
    pub async fn remove_backup(&self, id: &str) -> Result<(), StoreError> {
        self.backend.remove_backup(id).await
    }

    /// Removes the unfinished backup of a dead run. Returns `false` if the run may be alive or the backup has
    /// a manifest.
    pub async fn remove_leftover(&self, id: &str) -> Result<bool, StoreError> {
        self.backend.remove_leftover(id).await
    }

    /// Records that a suspicious backup is acknowledged. `by` describes who or what acknowledges it.
    pub async fn acknowledge(&self, id: &str, by: &str, now: Timestamp) -> Result<(), StoreError> {
        let text = serde_json::json!({"time": now, "by": by}).to_string() + "\n";
        self.backend.create(&format!("{id}/{}", manifest::ACKNOWLEDGED_FILE), &text).await.map(drop)
    }

    /// Stores the record of a run: its report as JSON.
    pub async fn write_record(&self, job: &str, json: &str) -> Result<(), StoreError> {
        self.backend.write(&format!("{RUNS}/{job}.json"), &format!("{json}\n")).await
    }

    /// Returns the records that were written last, newest first, at most `limit`. Skips records that cannot
    /// be read.
    pub async fn newest_records(&self, limit: usize) -> Result<Vec<String>, StoreError> {
        let newest = self.records().await?.into_iter().take(limit);
        let texts = stream::iter(newest).map(async |file| self.backend.read(&file).await.ok().flatten());
        Ok(texts.buffered(AT_ONCE).filter_map(std::future::ready).collect().await)
    }

    /// Removes all records except the newest `keep`.
    pub async fn remove_old_records(&self, keep: usize) -> Result<(), StoreError> {
        for file in self.records().await?.iter().skip(keep) {
            self.backend.remove(file).await?;
        }
        Ok(())
    }

    /// Lists the files of all records, the one written last first.
    async fn records(&self) -> Result<Vec<String>, StoreError> {
        let mut records = self.backend.entries(RUNS).await?;
        records.retain(|entry| is_json(&entry.name));
        records.sort_unstable_by(|a, b| (b.modified, &b.name).cmp(&(a.modified, &a.name)));
        Ok(records.into_iter().map(|entry| format!("{RUNS}/{}", entry.name)).collect())
    }
}

fn backend(target: &Target, namespace: &str, policy: &str) -> Result<Backend, StoreError> {
    let below = format!("{namespace}/{policy}");
    Ok(match &target.location {
        Location::Folder(root) => Backend::Volume(Volume::new(root, &below)),
        Location::Bucket { kind, name, prefix } => {
            let bucket = connect::connect(*kind, name, prefix.clone(), &target.options, &target.variables)?;
            Backend::Objects(Objects::new(bucket, &below))
        }
    })
}

fn is_json(name: &str) -> bool {
    Path::new(name).extension().is_some_and(|extension| extension == "json")
}

fn is_check(name: &str) -> bool {
    name.starts_with("check-") && is_json(name)
}
