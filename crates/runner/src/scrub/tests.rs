use std::{
    fs,
    path::{Path, PathBuf},
};

use domain::{
    catalog::BackupState,
    hash,
    manifest::{self, Manifest},
    reason::Reason,
    report::ScrubDetails,
};

use super::{
    check::{check, unless_removed},
    finding::Finding,
    *,
};
use crate::{
    fuzzing,
    store::{Target, Unreadable},
};

const OLD: &str = "20260501T020003Z-1a2b3c";
const NEW: &str = "20260502T020003Z-1a2b3c";

/// A repository with backups that have two files each.
struct Fixture {
    root: tempfile::TempDir,
    repository: Repository,
}

impl Fixture {
    async fn new(ids: &[&str]) -> Self {
        let root = tempfile::tempdir().unwrap();
        let target = Target::folder(root.path());
        let policy = PolicyIdentity { namespace: "shop".into(), name: "nightly".into(), uid: "uid-1".into() };
        let now = "2026-05-03T00:00:00Z".parse().unwrap();
        let repository = Repository::open(&target, &policy, None, now).await.unwrap();
        for id in ids {
            let backup = repository.create_backup(id).await.unwrap();
            for file in ["a.sql", "b.sql"] {
                backup.write(file, file).await.unwrap();
            }
            let manifest = manifest(id);
            let own = manifest::sum(&hash::sha256(&manifest.to_json()), manifest::FILE);
            backup.write(manifest::SUMS_FILE, &(manifest.sums() + &own)).await.unwrap();
            backup.commit(&manifest).await.unwrap().end().await;
        }
        Self { root, repository }
    }

    fn file(&self, id: &str, name: &str) -> PathBuf {
        self.root.path().join("shop/nightly").join(id).join(name)
    }

    async fn backup(&self, id: &str) -> StoredBackup {
        let backups = self.repository.list().await.unwrap().backups;
        backups.into_iter().find(|backup| backup.entry.id == id).unwrap()
    }

    /// Scrubs the repository. Returns the number of intact backups, and the ids of the corrupted and of the
    /// unchecked ones.
    async fn scrubbed(&self, share: u8) -> (usize, Vec<String>, Vec<String>) {
        let mut tally = Tally::default();
        read_share(&self.repository, share, &mut tally, |_| ()).await.unwrap();
        let ids = |backups: Vec<(String, Finding)>| backups.into_iter().map(|(id, _)| id).collect();
        (tally.intact, ids(tally.corrupted), ids(tally.unchecked))
    }
}

fn manifest(id: &str) -> Manifest {
    let at = format!("{}-{}-{}T02:00:03Z", &id[..4], &id[4..6], &id[6..8]);
    let artifact = |file: &str| {
        serde_json::json!({
            "file": file, "sizeBytes": file.len(), "sha256": hash::sha256(file),
            "kind": "globals", "command": ["pg_dumpall"], "passwords": false,
        })
    };
    let text = serde_json::json!({
        "format": 1, "id": id,
        "policy": {"namespace": "shop", "name": "nightly", "uid": "uid-1"},
        "run": {"job": "job", "jobUid": "job-1", "trigger": "Manual"},
        "snapshotTime": at, "startTime": at, "completionTime": at,
        "server": {
            "version": "17.6", "versionNum": 170_006, "systemIdentifier": "1", "timeline": 1, "inRecovery": false,
            "bootstrapSuperuser": "postgres", "sharedPreloadLibraries": "", "roles": [],
        },
        "client": {"version": "17.6", "runner": "0"},
        "artifacts": [artifact("a.sql"), artifact("b.sql")],
        "check": {"time": at, "level": "Archive", "result": "Verified", "bytesRead": 10},
        "warnings": ["a warning that nothing else compares"],
    });
    Manifest::parse(&text.to_string()).unwrap()
}

/// Replaces a file by a folder. Reading it then fails even for root, like reading from a broken disk, but is
/// no evidence of corruption.
fn make_unreadable(path: &Path) {
    fs::remove_file(path).unwrap();
    fs::create_dir(path).unwrap();
}

fn flip(path: &Path, at: usize) {
    let mut bytes = fs::read(path).unwrap();
    bytes[at] ^= 1;
    fs::write(path, bytes).unwrap();
}

#[tokio::test]
async fn scrub_finds_unchanged_backups_intact() {
    let fixture = Fixture::new(&[OLD, NEW]).await;
    assert_eq!(fixture.scrubbed(100).await, (2, vec![], vec![]));
}

#[tokio::test]
async fn scrub_reports_invalid_manifest_or_check_file() {
    let fixture = Fixture::new(&[OLD, NEW]).await;
    let check = fixture.file(NEW, "check-20260503T000000Z.json");
    for (file, text) in [(fixture.file(NEW, manifest::FILE), &b"{"[..]), (check, b"{\xFF}")] {
        let before = fs::read(&file).ok();
        fs::write(&file, text).unwrap();
        assert_eq!(fixture.scrubbed(100).await, (1, vec![NEW.to_owned()], vec![]), "{}", file.display());
        match before {
            Some(bytes) => fs::write(&file, bytes).unwrap(),
            None => fs::remove_file(&file).unwrap(),
        }
    }
}

#[tokio::test]
async fn manifest_of_a_later_version_is_not_reported_corrupted() {
    let fixture = Fixture::new(&[OLD, NEW]).await;
    let path = fixture.file(NEW, manifest::FILE);
    let later = fs::read_to_string(&path).unwrap().replace("\"format\": 1", "\"format\": 2");
    fs::write(&path, later).unwrap();
    assert_eq!(fixture.scrubbed(100).await, (1, vec![], vec![NEW.to_owned()]));
}

#[tokio::test]
async fn scrub_finds_any_flipped_bit_in_manifest_or_checksums() {
    let fixture = Fixture::new(&[OLD]).await;
    for file in [manifest::FILE, manifest::SUMS_FILE] {
        let path = fixture.file(OLD, file);
        for at in 0..fs::metadata(&path).unwrap().len() {
            let at = usize::try_from(at).unwrap();
            flip(&path, at);
            let found = match fixture.repository.find_manifest(OLD).await {
                Ok(Some((manifest, sha256))) => check(&fixture.repository, &manifest, &sha256)
                    .await
                    .is_err_and(|wrong| wrong.is_corruption()),
                Err(why) => why.is_corruption(),
                Ok(None) => false,
            };
            assert!(found, "a bit at {at} of {file}");
            flip(&path, at);
        }
    }
    assert_eq!(fixture.scrubbed(100).await, (1, vec![], vec![]));
}

#[tokio::test]
async fn scrub_reports_missing_or_truncated_checksum_file() {
    let fixture = Fixture::new(&[OLD]).await;
    let path = fixture.file(OLD, manifest::SUMS_FILE);
    let text = fs::read_to_string(&path).unwrap();
    let last_line = text.trim_end().rfind('\n').unwrap() + 1;
    for cut in [0, 1, last_line, text.len() - 1] {
        fs::write(&path, &text[..cut]).unwrap();
        let (checked, recorded) = check_backup(&fixture.repository, &fixture.backup(OLD).await).await;
        recorded.unwrap();
        assert!(matches!(checked, Checked::Corrupted(_)), "cut at {cut}");
    }
    fs::remove_file(&path).unwrap();
    let (checked, _) = check_backup(&fixture.repository, &fixture.backup(OLD).await).await;
    assert!(matches!(checked, Checked::Corrupted(Finding::Missing { .. })));
}

#[tokio::test]
async fn scrub_does_not_report_unreadable_backup_as_removed() {
    let fixture = Fixture::new(&[OLD]).await;
    let backup = fixture.backup(OLD).await;
    make_unreadable(&fixture.file(OLD, manifest::FILE));
    let (checked, _) = check_backup(&fixture.repository, &backup).await;
    assert!(matches!(checked, Checked::Unchecked(_)), "what cannot be read may be there");
    fixture.repository.remove_backup(OLD).await.unwrap_err();
    fs::remove_dir_all(fixture.file(OLD, "")).unwrap();
    let (checked, _) = check_backup(&fixture.repository, &backup).await;
    assert!(matches!(checked, Checked::Removed));
}

#[test]
fn missing_file_is_corruption_unless_backup_was_removed() {
    let missing = || Finding::Missing { file: "a.sql".to_owned() };
    let denied = || Unreadable::Store(fuzzing::refusal(403, "AccessDenied"));
    assert!(matches!(unless_removed(missing(), Ok(true)), Checked::Corrupted(_)));
    assert!(matches!(unless_removed(missing(), Ok(false)), Checked::Removed));
    assert!(matches!(unless_removed(missing(), Err(denied())), Checked::Unchecked(_)));
    let corrupted = Unreadable::corrupted(manifest::FILE, &"it is no manifest");
    assert!(matches!(unless_removed(missing(), Err(corrupted)), Checked::Corrupted(_)));
}

#[tokio::test]
async fn backup_that_scrub_cannot_read_does_not_count_in_share() {
    let fixture = Fixture::new(&[OLD, NEW]).await;
    make_unreadable(&fixture.file(OLD, "a.sql"));
    assert_eq!(fixture.scrubbed(1).await, (1, vec![], vec![OLD.to_owned()]));
}

#[tokio::test]
async fn scrub_finds_corruption_despite_an_unreadable_file() {
    let fixture = Fixture::new(&[OLD]).await;
    make_unreadable(&fixture.file(OLD, "a.sql"));
    flip(&fixture.file(OLD, "b.sql"), 0);
    assert_eq!(fixture.scrubbed(100).await, (0, vec![OLD.to_owned()], vec![]));
}

#[tokio::test]
async fn corruption_is_reported_even_if_it_cannot_be_recorded() {
    let fixture = Fixture::new(&[OLD]).await;
    let mut backup = fixture.backup(OLD).await;
    flip(&fixture.file(OLD, "a.sql"), 0);
    // A folder has the name of the check file, so the check file cannot be written.
    backup.checked = "2100-01-01T00:00:00Z".parse().unwrap();
    fs::create_dir(fixture.file(OLD, "check-21000101T000001Z.json")).unwrap();
    let (checked, recorded) = check_backup(&fixture.repository, &backup).await;
    let mut tally = Tally::default();
    tally.add(OLD, checked);
    tally.note_recorded(recorded);
    let mut found = ScrubDetails::default();
    tally.fill(&mut found);
    assert_eq!(found.corrupted, [OLD]);
    let error = tally.require_intact().unwrap_err();
    assert_eq!(error.reason(), Reason::BackupCorrupted);
    assert!(error.to_string().contains("; the outcome could not be recorded: "), "{error}");
}

/// Reading `/proc/self/mem` from its beginning fails with EIO, as on a broken disk, because no memory is
/// mapped there.
#[tokio::test]
async fn disk_read_error_is_reported_but_not_recorded() {
    let fixture = Fixture::new(&[OLD]).await;
    let path = fixture.file(OLD, "a.sql");
    fs::remove_file(&path).unwrap();
    std::os::unix::fs::symlink("/proc/self/mem", &path).unwrap();
    assert_eq!(fixture.scrubbed(100).await, (0, vec![OLD.to_owned()], vec![]));
    assert_eq!(fixture.backup(OLD).await.entry.state, BackupState::Verified);
    fs::remove_file(&path).unwrap();
    fs::write(&path, "a.sql").unwrap();
    assert_eq!(fixture.scrubbed(100).await, (1, vec![], vec![]));
}

#[tokio::test]
async fn scrub_rejects_manifest_paths_outside_the_backup() {
    let fixture = Fixture::new(&[OLD]).await;
    let path = fixture.file(OLD, manifest::FILE);
    let text = fs::read_to_string(&path).unwrap();
    // If a scrub followed this path, it would read a device without an end.
    let sha256 = hash::sha256("a.sql");
    for (was, is) in [
        ("\"a.sql\"", "\"/dev/zero\""),
        ("\"a.sql\"", "\"../../../secret\""),
        ("\"a.sql\"", "\"\""),
        (sha256.as_str(), "e3b0"),
        (sha256.as_str(), "\u{e4}3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b85"),
    ] {
        fs::write(&path, text.replacen(was, is, 1)).unwrap();
        assert_eq!(fixture.scrubbed(100).await, (0, vec![OLD.to_owned()], vec![]), "{is}");
    }
}

#[tokio::test]
async fn scrub_reason_depends_on_which_file_is_corrupted() {
    let corrupt = |file: &'static str, text: &'static [u8]| (file, Some(text));
    for ((file, text), reason, wanted) in [
        (
            corrupt("check-20260503T000000Z.json", b"{"),
            Reason::CheckFileCorrupted,
            "the archives are intact. Delete ",
        ),
        (
            corrupt("check-20260503T000000Z.json", b"\xFF"),
            Reason::CheckFileCorrupted,
            "the archives are intact. Delete ",
        ),
        (corrupt(manifest::FILE, b"{"), Reason::ManifestCorrupted, "\"manifest.json\" is corrupted"),
        (("a.sql", None), Reason::FileMissing, "file \"a.sql\" is missing"),
        (corrupt("a.sql", b"A.SQL"), Reason::BackupCorrupted, "\"a.sql\" is corrupted: checksum mismatch"),
    ] {
        let fixture = Fixture::new(&[OLD]).await;
        let path = fixture.file(OLD, file);
        match text {
            Some(text) => fs::write(&path, text).unwrap(),
            None => fs::remove_file(&path).unwrap(),
        }
        let mut tally = Tally::default();
        read_share(&fixture.repository, 100, &mut tally, |_| ()).await.unwrap();
        let error = tally.require_intact().unwrap_err();
        let message = error.message().or_hint(reason.hint()).to_string();
        assert_eq!(error.reason(), reason, "{message}");
        assert!(message.contains(wanted) && message.ends_with('.'), "{message}");
    }
}

#[tokio::test]
async fn corrupted_archive_outranks_missing_file_in_scrub_reason() {
    let fixture = Fixture::new(&[OLD, NEW]).await;
    fs::remove_file(fixture.file(OLD, "a.sql")).unwrap();
    flip(&fixture.file(NEW, "b.sql"), 0);
    let mut tally = Tally::default();
    read_share(&fixture.repository, 100, &mut tally, |_| ()).await.unwrap();
    let error = tally.require_intact().unwrap_err();
    assert_eq!(error.reason(), Reason::BackupCorrupted);
    assert!(error.to_string().starts_with("2 of 2 backups failed the check; 20260502"), "{error}");
}
