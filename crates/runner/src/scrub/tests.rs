use std::{
    fs,
    path::{Path, PathBuf},
};

use domain::{
    catalog::BackupState,
    hash,
    manifest::{self, Manifest},
    reason::Reason,
};

use super::{
    check::{check, judged},
    finding::Finding,
    *,
};
use crate::{
    fuzzing,
    read_back::VerifyError,
    store::{Target, Unreadable},
};

const OLD: &str = "20260501T020003Z-1a2b3c";
const NEW: &str = "20260502T020003Z-1a2b3c";

/// A folder with backups of two files each.
struct Stand {
    root: tempfile::TempDir,
    repository: Repository,
}

impl Stand {
    async fn new(ids: &[&str]) -> Self {
        let root = tempfile::tempdir().unwrap();
        let target = Target::folder(root.path());
        let policy = PolicyIdentity { namespace: "shop".into(), name: "nightly".into(), uid: "uid-1".into() };
        let now = "2026-05-03T00:00:00Z".parse().unwrap();
        let repository = Repository::open(&target, &policy, None, now).await.unwrap();
        for id in ids {
            let mut backup = repository.create_backup(id).await.unwrap();
            for file in ["a.sql", "b.sql"] {
                backup.write(file, file).await.unwrap();
            }
            let manifest = manifest(id);
            let own = manifest::sum(&hash::sha256(&manifest.to_json()), manifest::FILE);
            backup.write(manifest::SUMS_FILE, &(manifest.sums() + &own)).await.unwrap();
            backup.commit(&manifest).await.unwrap();
            backup.end().await;
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

    /// How many passed, the corrupted ones, and those that were not checked.
    async fn scrubbed(&self, share: u8) -> (usize, Vec<String>, Vec<String>) {
        let mut tally = Tally::default();
        read_share(&self.repository, share, &mut tally, |_| ()).await.unwrap();
        let ids = |backups: Vec<(String, Finding)>| backups.into_iter().map(|(id, _)| id).collect();
        (tally.passed, ids(tally.corrupted), ids(tally.unchecked))
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

/// Reading a folder fails even for root, as a broken disk would; and what it says of the bytes is nothing.
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
async fn a_backup_is_as_it_was_written() {
    let stand = Stand::new(&[OLD, NEW]).await;
    assert_eq!(stand.scrubbed(100).await, (2, vec![], vec![]));
}

#[tokio::test]
async fn a_backup_whose_manifest_or_check_has_rotted_is_corrupted() {
    let stand = Stand::new(&[OLD, NEW]).await;
    let check = stand.file(NEW, "check-20260503T000000Z.json");
    for (file, text) in [(stand.file(NEW, manifest::FILE), &b"{"[..]), (check, b"{\xFF}")] {
        let before = fs::read(&file).ok();
        fs::write(&file, text).unwrap();
        assert_eq!(stand.scrubbed(100).await, (1, vec![NEW.to_owned()], vec![]), "{}", file.display());
        match before {
            Some(bytes) => fs::write(&file, bytes).unwrap(),
            None => fs::remove_file(&file).unwrap(),
        }
    }
}

#[tokio::test]
async fn a_manifest_of_a_later_version_is_not_called_corrupted() {
    let stand = Stand::new(&[OLD, NEW]).await;
    let path = stand.file(NEW, manifest::FILE);
    let later = fs::read_to_string(&path).unwrap().replace("\"format\": 1", "\"format\": 2");
    fs::write(&path, later).unwrap();
    assert_eq!(stand.scrubbed(100).await, (1, vec![], vec![NEW.to_owned()]));
}

#[tokio::test]
async fn a_bit_anywhere_in_the_manifest_or_in_the_sums_is_found() {
    let stand = Stand::new(&[OLD]).await;
    for file in [manifest::FILE, manifest::SUMS_FILE] {
        let path = stand.file(OLD, file);
        for at in 0..fs::metadata(&path).unwrap().len() {
            let at = usize::try_from(at).unwrap();
            flip(&path, at);
            let found = match stand.repository.find_manifest(OLD).await {
                Ok(Some((manifest, sha256))) => check(&stand.repository, &manifest, &sha256)
                    .await
                    .is_err_and(|wrong| wrong.is_corruption()),
                Err(why) => why.is_corruption(),
                Ok(None) => false,
            };
            assert!(found, "a bit at {at} of {file}");
            flip(&path, at);
        }
    }
    assert_eq!(stand.scrubbed(100).await, (1, vec![], vec![]));
}

#[tokio::test]
async fn sums_that_are_gone_or_cut_short_are_corruption() {
    let stand = Stand::new(&[OLD]).await;
    let path = stand.file(OLD, manifest::SUMS_FILE);
    let text = fs::read_to_string(&path).unwrap();
    let last_line = text.trim_end().rfind('\n').unwrap() + 1;
    for cut in [0, 1, last_line, text.len() - 1] {
        fs::write(&path, &text[..cut]).unwrap();
        let (checked, written) = check_backup(&stand.repository, &stand.backup(OLD).await).await;
        written.unwrap();
        assert!(matches!(checked, Checked::Corrupted(_)), "cut at {cut}");
    }
    fs::remove_file(&path).unwrap();
    let (checked, _) = check_backup(&stand.repository, &stand.backup(OLD).await).await;
    assert!(matches!(checked, Checked::Corrupted(Finding::File(VerifyError::Gone { .. }))));
}

#[tokio::test]
async fn only_a_backup_that_is_gone_is_called_removed() {
    let stand = Stand::new(&[OLD]).await;
    let backup = stand.backup(OLD).await;
    make_unreadable(&stand.file(OLD, manifest::FILE));
    let (checked, _) = check_backup(&stand.repository, &backup).await;
    assert!(matches!(checked, Checked::Unchecked(_)), "what cannot be read may be there");
    stand.repository.remove_backup(OLD).await.unwrap_err();
    fs::remove_dir_all(stand.file(OLD, "")).unwrap();
    let (checked, _) = check_backup(&stand.repository, &backup).await;
    assert!(matches!(checked, Checked::Removed));
}

#[test]
fn a_file_that_is_gone_is_corruption_only_where_its_backup_is_known_to_be_there() {
    let gone = || Finding::from(VerifyError::Gone { file: "a.sql".to_owned() });
    let denied = || Unreadable::Store(fuzzing::refusal(403, "AccessDenied"));
    assert!(matches!(judged(gone(), Ok(true)), Checked::Corrupted(_)));
    assert!(matches!(judged(gone(), Ok(false)), Checked::Removed));
    assert!(matches!(judged(gone(), Err(denied())), Checked::Unchecked(_)));
    let rotten = Unreadable::corrupted(manifest::FILE, &"it is no manifest");
    assert!(matches!(judged(gone(), Err(rotten)), Checked::Corrupted(_)));
}

#[tokio::test]
async fn a_backup_that_cannot_be_checked_takes_no_others_turn() {
    let stand = Stand::new(&[OLD, NEW]).await;
    make_unreadable(&stand.file(OLD, "a.sql"));
    assert_eq!(stand.scrubbed(1).await, (1, vec![], vec![OLD.to_owned()]));
}

#[tokio::test]
async fn corruption_is_found_beside_a_file_that_cannot_be_read() {
    let stand = Stand::new(&[OLD]).await;
    make_unreadable(&stand.file(OLD, "a.sql"));
    flip(&stand.file(OLD, "b.sql"), 0);
    assert_eq!(stand.scrubbed(100).await, (0, vec![OLD.to_owned()], vec![]));
}

#[tokio::test]
async fn corruption_that_cannot_be_written_down_is_said_all_the_same() {
    let stand = Stand::new(&[OLD]).await;
    let mut backup = stand.backup(OLD).await;
    flip(&stand.file(OLD, "a.sql"), 0);
    // Where the check would be there is a folder.
    backup.checked = "2100-01-01T00:00:00Z".parse().unwrap();
    fs::create_dir(stand.file(OLD, "check-21000101T000001Z.json")).unwrap();
    let (checked, written) = check_backup(&stand.repository, &backup).await;
    let mut tally = Tally::default();
    tally.add(OLD, checked);
    tally.note(written);
    assert_eq!(tally.outcome().corrupted, [OLD]);
    let error = tally.verdict().unwrap_err();
    assert_eq!(error.reason(), Reason::BackupCorrupted);
    assert!(error.to_string().contains("; not written down beside it: "), "{error}");
}

/// What a disk or a share gives that does not answer: `/proc/self/mem` does at its beginning, where nothing is.
#[tokio::test]
async fn a_device_that_gives_an_error_is_said_and_condemns_no_set() {
    let stand = Stand::new(&[OLD]).await;
    let path = stand.file(OLD, "a.sql");
    fs::remove_file(&path).unwrap();
    std::os::unix::fs::symlink("/proc/self/mem", &path).unwrap();
    assert_eq!(stand.scrubbed(100).await, (0, vec![OLD.to_owned()], vec![]));
    assert_eq!(stand.backup(OLD).await.entry.state, BackupState::Verified);
    fs::remove_file(&path).unwrap();
    fs::write(&path, "a.sql").unwrap();
    assert_eq!(stand.scrubbed(100).await, (1, vec![], vec![]));
}

#[tokio::test]
async fn a_manifest_leads_nowhere_else() {
    let stand = Stand::new(&[OLD]).await;
    let path = stand.file(OLD, manifest::FILE);
    let text = fs::read_to_string(&path).unwrap();
    // A device without an end would be read for ever.
    let sha256 = hash::sha256("a.sql");
    for (was, is) in [
        ("\"a.sql\"", "\"/dev/zero\""),
        ("\"a.sql\"", "\"../../../secret\""),
        ("\"a.sql\"", "\"\""),
        (sha256.as_str(), "e3b0"),
        (sha256.as_str(), "\u{e4}3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b85"),
    ] {
        fs::write(&path, text.replacen(was, is, 1)).unwrap();
        assert_eq!(stand.scrubbed(100).await, (0, vec![OLD.to_owned()], vec![]), "{is}");
    }
}
