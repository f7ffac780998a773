use proptest::prelude::*;

use super::*;
use crate::manifest::{
    Artifact, ClientFacts, Content, DatabaseDefinition, DatabaseFacts, Level, PolicyIdentity, ServerFacts,
};
use crate::report::{RunIdentity, Trigger};

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
        warnings: vec![],
    }
}

fn set(id: &str, at: &str, owner: &str, state: SetState) -> CatalogSet {
    CatalogSet {
        id: id.into(),
        policy_uid: owner.into(),
        snapshot_time: time(at),
        state,
        databases: ["shop".to_owned()].into(),
        size_bytes: 100,
    }
}

#[test]
fn a_set_is_what_its_manifest_says() {
    assert_eq!(
        CatalogSet::new(&manifest(), &[]),
        CatalogSet {
            id: "20260501T020003Z-1a2b3c".into(),
            policy_uid: "uid-1".into(),
            snapshot_time: time("2026-05-01T02:00:03Z"),
            state: SetState::Verified,
            databases: ["billing".to_owned(), "shop".to_owned()].into(),
            size_bytes: 2010,
        }
    );
}

#[test]
fn the_newest_check_decides() {
    use CheckResult::{Failed, Verified};
    let state = |later: &[Check]| CatalogSet::new(&manifest(), later).state;
    let (june, july) = ("2026-06-01T00:00:00Z", "2026-07-01T00:00:00Z");
    assert_eq!(state(&[check(june, Failed)]), SetState::Failed);
    assert_eq!(state(&[check(june, Failed), check(july, Verified)]), SetState::Verified);
    assert_eq!(state(&[check(july, Verified), check(june, Failed)]), SetState::Verified);
    assert_eq!(state(&[check(july, Failed), check(june, Verified)]), SetState::Failed);
    // A check older than the manifest's own says nothing.
    assert_eq!(state(&[check("2026-04-01T00:00:00Z", Failed)]), SetState::Verified);
    // Two at one moment: rather too careful.
    assert_eq!(state(&[check(june, Failed), check(june, Verified)]), SetState::Failed);
    assert_eq!(state(&[check(june, Verified), check(june, Failed)]), SetState::Failed);
}

#[test]
fn figures_and_the_newest_verified_set_leave_other_policies_out() {
    let catalog = Catalog::new(
        "uid-1",
        vec![
            set("b", "2026-05-02T00:00:00Z", "uid-1", SetState::Verified),
            set("e", "2026-05-05T00:00:00Z", "uid-2", SetState::Verified),
            set("a", "2026-05-01T00:00:00Z", "uid-2", SetState::Verified),
            set("d", "2026-05-04T00:00:00Z", "uid-1", SetState::Failed),
            set("c", "2026-05-02T00:00:00Z", "uid-1", SetState::Verified),
        ],
    );
    let ids: Vec<&str> = catalog.sets().iter().map(|set| set.id.as_str()).collect();
    assert_eq!(ids, ["e", "d", "c", "b", "a"], "newest first, and by name where times are equal");
    assert_eq!(catalog.verified().next().map(|set| set.id.as_str()), Some("c"));
    assert_eq!(
        catalog.retained(),
        Retained {
            sets: 3,
            verified: 2,
            bytes: 300,
            oldest: Some(time("2026-05-02T00:00:00Z")),
            newest: Some(time("2026-05-04T00:00:00Z")),
        }
    );
}

#[test]
fn an_empty_store_has_nothing() {
    let catalog = Catalog::new("uid-1", vec![]);
    assert_eq!(catalog.verified().next(), None);
    assert_eq!(catalog.retained(), Retained { sets: 0, verified: 0, bytes: 0, oldest: None, newest: None });
}

proptest! {
    #[test]
    fn the_order_of_a_listing_does_not_matter(
        sets in prop::collection::vec((0_i64..5, any::<bool>()), 0..20)
            .prop_map(|sets| sets.into_iter().enumerate().map(|(n, (second, failed))| CatalogSet {
                id: format!("set-{n}"),
                policy_uid: "uid-1".into(),
                snapshot_time: Timestamp::from_second(second).unwrap(),
                state: if failed { SetState::Failed } else { SetState::Verified },
                databases: BTreeSet::new(),
                size_bytes: 1,
            }).collect::<Vec<_>>())
            .prop_flat_map(|sets| (Just(sets.clone()), Just(sets).prop_shuffle())),
    ) {
        let (listed, shuffled) = sets;
        prop_assert_eq!(Catalog::new("uid-1", listed), Catalog::new("uid-1", shuffled));
    }
}
