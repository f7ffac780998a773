use std::{
    fs,
    path::{Path, PathBuf},
};

use domain::{
    manifest::{self, Check, CheckResult, ClientFacts, Level, Manifest, PolicyIdentity, ServerFacts},
    report::{RunIdentity, Trigger},
};
use jiff::Timestamp;

use super::{repository::RUNS, *};

mod answers;
mod contract;
mod faults;
mod s3;
mod s3_options;
pub mod server;
pub mod wire;

const OLD: &str = "20260501T020003Z-1a2b3c";
const NEW: &str = "20260502T020003Z-1a2b3c";

fn identity() -> PolicyIdentity {
    PolicyIdentity { namespace: "shop".into(), name: "nightly".into(), uid: "uid-1".into() }
}

fn time(text: &str) -> Timestamp {
    text.parse().unwrap()
}

fn manifest(id: &str) -> Manifest {
    let at = time(&format!("{}-{}-{}T02:00:03Z", &id[..4], &id[4..6], &id[6..8]));
    Manifest {
        format: manifest::FORMAT,
        id: id.into(),
        policy: identity(),
        run: RunIdentity {
            job: "job".into(),
            job_uid: "job-1".into(),
            trigger: Trigger::Manual,
            scheduled_time: None,
        },
        snapshot_time: at,
        start_time: at,
        completion_time: at,
        server: ServerFacts {
            version: "17.6".into(),
            version_num: 170_006,
            system_identifier: "1".into(),
            timeline: 1,
            in_recovery: false,
            bootstrap_superuser: "postgres".into(),
            shared_preload_libraries: String::new(),
            roles: vec![],
        },
        client: ClientFacts { version: "17.6".into(), runner: "0".into() },
        artifacts: vec![],
        check: Check {
            time: at,
            level: Level::Archive,
            result: CheckResult::Verified,
            bytes_read: 1,
            bytes_from_device: Some(1),
        },
        suspicions: vec![],
        warnings: vec![],
    }
}

/// Creates a repository with an old and a new backup.
async fn repository() -> (tempfile::TempDir, Repository) {
    let root = tempfile::tempdir().unwrap();
    let repository = repository_in(&root).await;
    (root, repository)
}

async fn repository_in(root: &tempfile::TempDir) -> Repository {
    let target = Target::folder(root.path());
    let now = time("2026-05-03T00:00:00Z");
    let repository = Repository::open(&target, &identity(), None, now).await.unwrap();
    for id in [OLD, NEW] {
        let backup = repository.create_backup(id).await.unwrap();
        backup.commit(&manifest(id)).await.unwrap().end().await;
    }
    repository
}

fn folder(root: &tempfile::TempDir) -> PathBuf {
    root.path().join("shop/nightly")
}

fn ids(backups: &[StoredBackup]) -> Vec<&str> {
    backups.iter().map(|backup| backup.entry.id.as_str()).collect()
}

#[tokio::test]
async fn manifest_that_is_not_utf8_is_listed_as_unreadable() {
    let (root, repository) = repository().await;
    fs::write(folder(&root).join(OLD).join(manifest::FILE), [b'{', 0xFF, b'}']).unwrap();
    let listing = repository.list().await.unwrap();
    assert_eq!((ids(&listing.backups), listing.leftovers.len(), listing.unreadable.len()), (vec![NEW], 0, 1));
}

#[tokio::test]
async fn backup_with_unreadable_manifest_is_still_listed() {
    let (root, repository) = repository().await;
    // Reading a folder as a file fails even for root, like reading from a broken disk.
    let path = folder(&root).join(OLD).join(manifest::FILE);
    fs::remove_file(&path).unwrap();
    fs::create_dir(&path).unwrap();

    let listing = repository.list().await.unwrap();

    assert_eq!((ids(&listing.backups), listing.unreadable.len()), (vec![NEW], 1), "{listing:?}");
    assert!(listing.unreadable[0].1.to_string().contains("manifest.json"), "{listing:?}");
}

#[tokio::test]
async fn unfinished_backup_of_a_live_run_is_not_removed() {
    let (root, repository) = repository().await;
    let id = "20260503T020003Z-1a2b3c";
    let backup = repository.create_backup(id).await.unwrap();
    assert_eq!(repository.list().await.unwrap().leftovers, [id]);
    assert!(!repository.remove_leftover(id).await.unwrap(), "its run is alive");
    drop(backup);
    assert!(repository.remove_leftover(id).await.unwrap(), "its run is dead");
    assert!(!folder(&root).join(id).exists());
}

#[tokio::test]
async fn repository_owner_is_unknown_if_its_file_is_not_utf8() {
    let (root, repository) = repository().await;
    fs::write(folder(&root).join(owner::FILE), [0xFF]).unwrap();
    let (owner, _) =
        owner::claim(&repository.backend, "uid-1", None, time("2026-05-03T00:00:00Z")).await.unwrap();
    assert!(matches!(owner, Owner::Unknown(_)), "{owner:?}");
}

#[tokio::test]
async fn corrupted_run_record_does_not_hide_other_records() {
    let (root, repository) = repository().await;
    for job in ["a", "b"] {
        repository.write_record(job, job).await.unwrap();
    }
    fs::write(folder(&root).join(RUNS).join("a.json"), [0xFF]).unwrap();
    assert_eq!(repository.newest_records(9).await.unwrap(), ["b\n"]);
}

/// File systems that drop cached pages on request: ext4, XFS, Btrfs.
const ON_DEVICES: [u64; 3] = [0xEF53, 0x5846_5342, 0x9123_683E];

/// Creates a folder on one of the file systems in [`ON_DEVICES`]: below TMPDIR, /var/tmp or the checkout.
fn folder_on_a_device() -> tempfile::TempDir {
    let built = Path::new(env!("CARGO_MANIFEST_DIR")).join("../..");
    let is_on_device = |folder: &Path| {
        let kind = rustix::fs::statfs(folder).unwrap().f_type;
        ON_DEVICES.iter().any(|magic| u64::try_from(kind) == Ok(*magic))
    };
    let places = [std::env::temp_dir(), "/var/tmp".into(), built];
    let found = places.iter().find(|folder| is_on_device(folder));
    let found = found.expect("this test needs ext4, XFS or Btrfs under TMPDIR, /var/tmp or the checkout");
    tempfile::tempdir_in(found).unwrap()
}

#[tokio::test]
async fn read_back_reads_the_disk_and_not_the_page_cache() {
    let root = folder_on_a_device();
    let repository = repository_in(&root).await;
    let backup = repository.create_backup("20260503T020003Z-1a2b3c").await.unwrap();
    let mut upload = backup.upload("shop.dump", false, 0).await.unwrap();
    upload.write(vec![7; 1_000_000].into()).await.unwrap();
    upload.finish().await.unwrap();
    let mut reader = backup.read("shop.dump").await.unwrap();
    while reader.next().await.unwrap().is_some() {}
    let from_device = reader.bytes_from_device().unwrap();
    assert!(from_device >= 1_000_000, "{from_device} of 1000000 bytes: the others came from the page cache");
}
