use domain::manifest::{CheckResult, ClientFacts, Level, ServerFacts};
use domain::report::{RunIdentity, Trigger};

use super::*;

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
            bytes_from_device: 1,
        },
        warnings: vec![],
    }
}

/// A folder with an old and a new set.
async fn repository() -> (tempfile::TempDir, Repository) {
    let root = tempfile::tempdir().unwrap();
    let repository = Repository::open(root.path(), &identity(), None, time("2026-05-03T00:00:00Z")).unwrap();
    for id in [OLD, NEW] {
        let set = repository.create_set(id).await.unwrap();
        set.commit(&manifest(id)).unwrap();
    }
    (root, repository)
}

fn ids(sets: &[StoredSet]) -> Vec<&str> {
    sets.iter().map(|set| set.entry.id.as_str()).collect()
}

#[tokio::test]
async fn a_rotten_manifest_hides_no_other_set_and_is_left_alone() {
    let (_root, repository) = repository().await;
    fs::write(repository.folder().join(OLD).join(manifest::FILE), [b'{', 0xFF, b'}']).unwrap();

    let listing = repository.list().await.unwrap();

    assert_eq!(ids(&listing.sets), [NEW]);
    assert_eq!(listing.leftovers, Vec::<String>::new());
    assert_eq!(listing.unreadable.len(), 1);
    assert!(!repository.remove_leftover(OLD).await.unwrap(), "what has a manifest is no leftover");
    assert!(repository.folder().join(OLD).exists());
}

#[tokio::test]
async fn a_manifest_that_cannot_be_read_is_not_taken_for_none() {
    let (_root, repository) = repository().await;
    // Reading a folder fails even for root, as a broken disk would.
    let path = repository.folder().join(OLD).join(manifest::FILE);
    fs::remove_file(&path).unwrap();
    fs::create_dir(&path).unwrap();

    let listing = repository.list().await.unwrap();

    assert_eq!((ids(&listing.sets), listing.unreadable.len()), (vec![NEW], 1), "{listing:?}");
    assert!(listing.unreadable[0].1.contains("manifest.json"), "{listing:?}");
}

#[tokio::test]
async fn a_set_with_an_unreadable_check_counts_for_nothing() {
    let (_root, repository) = repository().await;
    fs::write(repository.folder().join(NEW).join("check-20260503T000000Z.json"), "{").unwrap();
    let listing = repository.list().await.unwrap();
    assert_eq!((ids(&listing.sets), listing.unreadable[0].0.as_str()), (vec![OLD], NEW));
}

#[tokio::test]
async fn the_folder_of_a_set_in_the_making_is_nobodys_leftover() {
    let (_root, repository) = repository().await;
    let id = "20260503T020003Z-1a2b3c";
    let set = repository.create_set(id).await.unwrap();
    assert_eq!(repository.list().await.unwrap().leftovers, [id]);
    assert!(!repository.remove_leftover(id).await.unwrap(), "its run is at work");
    drop(set);
    assert!(repository.remove_leftover(id).await.unwrap(), "its run is dead");
    assert!(!repository.folder().join(id).exists());
}

#[tokio::test]
async fn the_first_policy_to_come_owns_the_folder() {
    let (root, ours) = repository().await;
    assert_eq!(ours.owner, Owner::Us);
    let other = PolicyIdentity { uid: "uid-2".into(), ..identity() };
    let theirs = Repository::open(root.path(), &other, None, time("2026-05-03T00:00:00Z")).unwrap();
    assert_eq!(theirs.owner, Owner::Other("uid-1".into()));
}

#[tokio::test]
async fn a_policy_that_names_the_owner_takes_the_folder_over_with_its_sets() {
    let (root, _ours) = repository().await;
    let anew = PolicyIdentity { uid: "uid-2".into(), ..identity() };
    let now = time("2026-05-03T00:00:00Z");
    let open = |policy: &PolicyIdentity, from| Repository::open(root.path(), policy, from, now).unwrap();

    let wrong = open(&anew, Some("uid-7"));
    assert_eq!((wrong.owner, wrong.adopted), (Owner::Other("uid-1".into()), vec![]));
    let right = open(&anew, Some("uid-1"));
    assert_eq!((right.owner, right.adopted), (Owner::Us, vec!["uid-1".to_owned()]));
    // From then on it does not matter what the policy says.
    for stale in [None, Some("uid-1"), Some("uid-2")] {
        let later = open(&anew, stale);
        assert_eq!((later.owner, later.adopted), (Owner::Us, vec!["uid-1".to_owned()]));
    }
    assert_eq!(open(&identity(), None).owner, Owner::Other("uid-2".into()), "the old one has lost it");
}

#[tokio::test]
async fn a_rotten_owner_marker_makes_nobody_an_owner_and_no_run_fail() {
    let (root, ours) = repository().await;
    for rotten in [&[0xFF][..], b"{", b""] {
        fs::write(ours.folder().join(owner::FILE), rotten).unwrap();
        let opened = Repository::open(root.path(), &identity(), None, time("2026-05-03T00:00:00Z")).unwrap();
        assert!(matches!(opened.owner, Owner::Unknown(_)), "{opened:?}");
    }
}

#[tokio::test]
async fn a_rotten_record_hides_no_other_and_old_ones_go() {
    let (_root, repository) = repository().await;
    for (n, job) in ["a", "b", "c", "d"].iter().enumerate() {
        repository.write_record(job, job).unwrap();
        let path = repository.folder().join(RUNS).join(format!("{job}.json"));
        let at = std::time::UNIX_EPOCH + std::time::Duration::from_secs(n as u64);
        File::options().write(true).open(path).unwrap().set_modified(at).unwrap();
    }
    let rotten = repository.folder().join(RUNS).join("c.json");
    fs::write(&rotten, [0xFF]).unwrap();
    File::options().write(true).open(rotten).unwrap().set_modified(std::time::UNIX_EPOCH).unwrap();

    assert_eq!(repository.newest_records(9).unwrap(), ["d\n", "b\n", "a\n"]);
    repository.remove_old_records(2).await.unwrap();
    assert_eq!(repository.newest_records(9).unwrap(), ["d\n", "b\n"]);
}
