use proptest::prelude::*;

use super::*;
use crate::manifest::{
    Artifact, ClientFacts, Content, DatabaseDefinition, DatabaseFacts, Level, PolicyIdentity, ServerFacts,
    TABLES_INLINE, TableFacts,
};
use crate::{
    report::{RunIdentity, Trigger},
    suspicion::SuspicionKind,
};

fn time(text: &str) -> Timestamp {
    text.parse().unwrap()
}

fn check(at: &str, result: CheckResult) -> Check {
    Check { time: time(at), level: Level::Archive, result, bytes_read: 1, bytes_from_device: Some(1) }
}

fn database(name: &str) -> Artifact {
    let facts = DatabaseFacts {
        name: name.into(),
        oid: 16_384,
        snapshot_time: time("2026-05-01T02:00:03Z"),
        snapshot_lsn: "0/1A2B3C4D".into(),
        held_seconds: 1.0,
        compression: "zstd:1".into(),
        command: vec![],
        definition: DatabaseDefinition {
            owner: "shop".into(),
            encoding: "UTF8".into(),
            locale_provider: "libc".into(),
            collate: "C".into(),
            ctype: "C".into(),
            locale: None,
            icu_rules: None,
            collation_version: None,
            tablespace: "pg_default".into(),
            connection_limit: -1,
            settings: [].into(),
        },
        extensions: [].into(),
        objects: [].into(),
        data_bytes: 0,
        excluded_table_data: vec![],
        tables: vec![],
    };
    Artifact {
        file: format!("{name}.dump"),
        size_bytes: 1000,
        sha256: "0".repeat(64),
        content: Content::Database(Box::new(facts)),
    }
}

fn manifest() -> Manifest {
    Manifest {
        format: crate::manifest::FORMAT,
        id: "20260501T020003Z-1a2b3c".into(),
        policy: PolicyIdentity { namespace: "shop".into(), name: "nightly".into(), uid: "uid-1".into() },
        run: RunIdentity {
            job: "nightly-backup-29630520".into(),
            job_uid: "job-1".into(),
            trigger: Trigger::Schedule,
            scheduled_time: None,
        },
        snapshot_time: time("2026-05-01T02:00:03Z"),
        start_time: time("2026-05-01T02:00:01Z"),
        completion_time: time("2026-05-01T02:01:00Z"),
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
        client: ClientFacts { version: "17.6".into(), runner: "0.1.0".into() },
        artifacts: vec![
            database("shop"),
            database("billing"),
            Artifact {
                file: "globals.sql".into(),
                size_bytes: 10,
                sha256: "0".repeat(64),
                content: Content::Globals { command: vec![], passwords: false },
            },
        ],
        check: check("2026-05-01T02:00:50Z", CheckResult::Verified),
        suspicions: vec![],
        warnings: vec![],
    }
}

#[test]
fn long_table_list_of_a_manifest_is_stored_in_its_own_file() {
    let mut long = manifest();
    let Content::Database(facts) = &mut long.artifacts[0].content else { unreachable!() };
    facts.tables = (0..=u32::try_from(TABLES_INLINE).unwrap_or_default())
        .map(|oid| TableFacts {
            oid,
            schema: "public".into(),
            name: format!("t{oid}"),
            columns: "id".into(),
            rows: 1,
            fingerprint: "0".repeat(32),
        })
        .collect();
    let whole = long.clone();

    let files = long.move_tables_out();

    let [(file, text)] = files.as_slice() else { panic!("{files:?}") };
    assert_eq!(file, "shop.tables.json");
    assert_eq!(long.artifacts.len(), whole.artifacts.len() + 1);
    assert_eq!(long.artifacts.last().map(|list| &list.sha256), Some(&crate::hash::sha256(text)));
    let mut corrupted = Manifest::parse(&long.to_json()).expect("a manifest");
    corrupted.put_tables_back(file, &text.replace("\"rows\":1", "\"rows\":2"));
    assert_eq!(corrupted, long);
    let mut back = corrupted;
    back.put_tables_back(file, text);
    assert_eq!(back.artifacts[..3], whole.artifacts);
    assert!(manifest().move_tables_out().is_empty());
}

#[test]
fn manifest_number_is_unchanged_by_writing_and_parsing() {
    let text = manifest().to_json();
    for number in [&format!("{}1.0", "5".repeat(103)), "0.1234567890123456789"] {
        let text = text.replace("\"heldSeconds\": 1.0", &format!("\"heldSeconds\": {number}"));
        let read = Manifest::parse(&text).expect("a manifest");
        assert_ne!(read, manifest(), "{number}");
        assert_eq!(Manifest::parse(&read.to_json()), Some(read));
    }
}

fn backup(id: &str, at: &str, owner: &str, state: BackupState) -> CatalogBackup {
    CatalogBackup {
        id: id.into(),
        policy_uid: owner.into(),
        snapshot_time: time(at),
        state,
        databases: ["shop".to_owned()].into(),
        size_bytes: 100,
        suspicions: BTreeSet::new(),
    }
}

#[test]
fn backup_in_the_catalog_has_the_values_of_its_manifest() {
    assert_eq!(
        CatalogBackup::new(&manifest(), &[], false),
        CatalogBackup {
            id: "20260501T020003Z-1a2b3c".into(),
            policy_uid: "uid-1".into(),
            snapshot_time: time("2026-05-01T02:00:03Z"),
            state: BackupState::Verified,
            databases: ["billing".to_owned(), "shop".to_owned()].into(),
            size_bytes: 2010,
            suspicions: BTreeSet::new(),
        }
    );
}

#[test]
fn newest_check_result_decides_the_state_of_a_backup() {
    use CheckResult::{Failed, Verified};
    let state = |later: &[Check]| CatalogBackup::new(&manifest(), later, false).state;
    let (june, july) = ("2026-06-01T00:00:00Z", "2026-07-01T00:00:00Z");
    assert_eq!(state(&[check(june, Failed)]), BackupState::Failed);
    assert_eq!(state(&[check(june, Failed), check(july, Verified)]), BackupState::Verified);
    assert_eq!(state(&[check(july, Verified), check(june, Failed)]), BackupState::Verified);
    assert_eq!(state(&[check(july, Failed), check(june, Verified)]), BackupState::Failed);
    // A check older than the one in the manifest does not change the state.
    assert_eq!(state(&[check("2026-04-01T00:00:00Z", Failed)]), BackupState::Verified);
    // Of two checks at the same time, the failed one decides.
    assert_eq!(state(&[check(june, Failed), check(june, Verified)]), BackupState::Failed);
    assert_eq!(state(&[check(june, Verified), check(june, Failed)]), BackupState::Failed);
}

#[test]
fn backup_counts_exclude_backups_of_other_policies() {
    let catalog = Catalog::new(
        "uid-1",
        vec![
            backup("b", "2026-05-02T00:00:00Z", "uid-1", BackupState::Verified),
            backup("e", "2026-05-05T00:00:00Z", "uid-2", BackupState::Verified),
            backup("a", "2026-05-01T00:00:00Z", "uid-2", BackupState::Verified),
            backup("d", "2026-05-04T00:00:00Z", "uid-1", BackupState::Failed),
            backup("c", "2026-05-02T00:00:00Z", "uid-1", BackupState::Verified),
        ],
    );
    let ids: Vec<&str> = catalog.backups().iter().map(|backup| backup.id.as_str()).collect();
    assert_eq!(ids, ["e", "d", "c", "b", "a"], "newest first, and by name where times are equal");
    assert_eq!(catalog.verified().next().map(|backup| backup.id.as_str()), Some("c"));
    assert_eq!(
        catalog.retained(),
        Retained {
            backups: 3,
            verified: 2,
            suspicious: 0,
            bytes: 300,
            oldest: Some(time("2026-05-02T00:00:00Z")),
            newest: Some(time("2026-05-04T00:00:00Z")),
        }
    );
}

#[test]
fn total_backup_size_is_capped_instead_of_overflowing() {
    let mut corrupted = manifest();
    corrupted.artifacts.iter_mut().for_each(|artifact| artifact.size_bytes = u64::MAX);
    let backup = CatalogBackup::new(&corrupted, &[], false);
    assert_eq!(backup.size_bytes, u64::MAX);
    let other = CatalogBackup { id: "other".into(), ..backup.clone() };
    assert_eq!(Catalog::new("uid-1", vec![backup, other]).retained().bytes, u64::MAX);
}

#[test]
fn catalog_of_an_empty_repository_is_empty() {
    let catalog = Catalog::new("uid-1", vec![]);
    assert_eq!(catalog.verified().next(), None);
    assert_eq!(
        catalog.retained(),
        Retained { backups: 0, verified: 0, suspicious: 0, bytes: 0, oldest: None, newest: None }
    );
}

fn suspicious(id: &str, day: u8, kind: SuspicionKind, database: Option<&str>) -> CatalogBackup {
    let key = (kind, database.map(str::to_owned));
    let at = format!("2026-05-{day:02}T00:00:00Z");
    CatalogBackup { suspicions: [key].into(), ..backup(id, &at, "uid-1", BackupState::Suspicious) }
}

/// Returns the ids of the verified backups, oldest first.
fn verified_of(backups: &[CatalogBackup]) -> Vec<String> {
    Catalog::new("uid-1", backups.to_vec()).verified().rev().map(|backup| backup.id.clone()).collect()
}

#[test]
fn four_alike_suspicious_backups_in_a_row_become_verified() {
    use SuspicionKind::{Emptied, Shrunk};
    let row = |n: u8, kind| {
        (1..=n).map(|day| suspicious(&format!("{day}"), day, kind, Some("shop"))).collect::<Vec<_>>()
    };
    assert_eq!(verified_of(&row(3, Shrunk)), Vec::<String>::new());
    assert_eq!(verified_of(&row(4, Shrunk)), ["1", "2", "3", "4"]);
    assert_eq!(verified_of(&row(5, Emptied)), ["1", "2", "3", "4", "5"]);
    assert_eq!(Catalog::new("uid-1", row(4, Shrunk)).accepted().len(), 4);
    // A verified backup that interrupted an older row may have been removed, so an older row is not accepted.
    let mut older = row(4, Shrunk);
    older.push(backup("now", "2026-05-06T00:00:00Z", "uid-1", BackupState::Verified));
    assert_eq!(verified_of(&older), ["now"]);

    // A backup with other suspicions, a verified one, and one of another database interrupt the row.
    let mut other = row(4, Shrunk);
    other[2] = suspicious("3", 3, Emptied, Some("shop"));
    assert_eq!(verified_of(&other), Vec::<String>::new());
    let mut other = row(4, Shrunk);
    other[2] = backup("3", "2026-05-03T00:00:00Z", "uid-1", BackupState::Verified);
    assert_eq!(verified_of(&other), ["3"]);
    let mut other = row(4, Shrunk);
    other[2] = suspicious("3", 3, Shrunk, Some("billing"));
    assert_eq!(verified_of(&other), Vec::<String>::new());
    // A backup whose check failed neither interrupts nor extends the row.
    let mut with_failed = row(4, Shrunk);
    with_failed.push(backup("bad", "2026-05-02T12:00:00Z", "uid-1", BackupState::Failed));
    assert_eq!(verified_of(&with_failed), ["1", "2", "3", "4"]);
}

#[test]
fn suspicious_backups_around_an_unreadable_one_stay_suspicious() {
    let row: Vec<_> = (1..=4)
        .map(|day| {
            suspicious(&format!("2026050{day}T000000Z-1a2b3c"), day, SuspicionKind::Shrunk, Some("shop"))
        })
        .collect();
    let settled = |unreadable: &[&str]| {
        let unreadable = unreadable.iter().map(|id| (*id).to_owned()).collect();
        Catalog::with_unreadable("uid-1", row.clone(), unreadable).accepted().len()
    };
    assert_eq!(settled(&[]), 4);
    assert_eq!(settled(&["20260430T235959Z-1a2b3c"]), 4, "it is older than all of them");
    for between in ["20260501T000000Z-ffffff", "20260502T120000Z-1a2b3c", "20260505T000000Z-1a2b3c"] {
        assert_eq!(settled(&["20260401T000000Z-1a2b3c", between]), 0, "{between}");
    }
    // An unreadable backup of a policy that is adopted later interrupts the row too.
    let adopting = Catalog::with_unreadable("uid-2", row.clone(), vec!["20260503T120000Z-1a2b3c".into()]);
    assert_eq!(adopting.adopting(["uid-1".to_owned()]).accepted().len(), 0);
}

#[test]
fn changed_server_or_missing_database_is_never_auto_accepted() {
    use SuspicionKind::{DatabaseMissing, ServerChanged};
    for (kind, database) in [(ServerChanged, None), (DatabaseMissing, Some("shop"))] {
        let row: Vec<_> = (1..=9).map(|day| suspicious(&format!("{day}"), day, kind, database)).collect();
        assert_eq!(verified_of(&row), Vec::<String>::new(), "{kind:?}");
    }
}

#[test]
fn missing_database_that_policy_no_longer_selects_is_ignored() {
    let missing = |database: &str| suspicious("1", 1, SuspicionKind::DatabaseMissing, Some(database));
    let state = |mut backup: CatalogBackup| {
        backup.miss_only(|database| database != "legacy");
        backup.state
    };
    assert_eq!(state(missing("legacy")), BackupState::Verified);
    assert_eq!(state(missing("shop")), BackupState::Suspicious);
    assert_eq!(state(suspicious("1", 1, SuspicionKind::Shrunk, Some("legacy"))), BackupState::Suspicious);
    let mut both = missing("legacy");
    both.suspicions.extend(missing("shop").suspicions);
    assert_eq!(state(both), BackupState::Suspicious);
}

#[test]
fn acknowledged_suspicious_backup_is_verified() {
    let suspicion = Suspicion { kind: SuspicionKind::ServerChanged, database: None, message: "is".into() };
    let manifest = Manifest { suspicions: vec![suspicion], ..manifest() };
    assert_eq!(CatalogBackup::new(&manifest, &[], false).state, BackupState::Suspicious);
    assert_eq!(CatalogBackup::new(&manifest, &[], true).state, BackupState::Verified);
    let failed = [check("2026-06-01T00:00:00Z", CheckResult::Failed)];
    assert_eq!(CatalogBackup::new(&manifest, &failed, true).state, BackupState::Failed, "bytes are bytes");
}

proptest! {
    #[test]
    fn catalog_does_not_depend_on_the_order_of_backups(
        backups in prop::collection::vec((0_i64..5, any::<bool>()), 0..20)
            .prop_map(|backups| backups.into_iter().enumerate().map(|(n, (second, failed))| CatalogBackup {
                id: format!("backup-{n}"),
                policy_uid: "uid-1".into(),
                snapshot_time: Timestamp::from_second(second).unwrap(),
                state: if failed { BackupState::Failed } else { BackupState::Verified },
                databases: BTreeSet::new(),
                size_bytes: 1,
                suspicions: BTreeSet::new(),
            }).collect::<Vec<_>>())
            .prop_flat_map(|backups| (Just(backups.clone()), Just(backups).prop_shuffle())),
    ) {
        let (listed, shuffled) = backups;
        prop_assert_eq!(Catalog::new("uid-1", listed), Catalog::new("uid-1", shuffled));
    }
}
