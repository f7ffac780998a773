use crate::{
    manifest::{
        Artifact, Check, CheckResult, ClientFacts, DatabaseDefinition, FORMAT, Level, PolicyIdentity,
        ServerFacts, TableFacts,
    },
    report::{RunIdentity, Trigger},
};

use super::*;

/// Creates a manifest with databases, each with its tables and their numbers of rows.
fn copy(databases: &[(&str, &[(&str, u64)])]) -> Manifest {
    let at = "2026-05-01T02:00:03Z".parse().unwrap();
    Manifest {
        format: FORMAT,
        id: "20260501T020003Z-1a2b3c".into(),
        policy: PolicyIdentity { namespace: "shop".into(), name: "nightly".into(), uid: "uid-1".into() },
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
            timeline: 3,
            in_recovery: false,
            bootstrap_superuser: "postgres".into(),
            shared_preload_libraries: String::new(),
            roles: vec![],
        },
        client: ClientFacts { version: "17.6".into(), runner: "0".into() },
        artifacts: databases.iter().map(|(name, tables)| artifact(name, tables)).collect(),
        check: Check {
            time: at,
            level: Level::Archive,
            result: CheckResult::Verified,
            bytes_read: 1,
            bytes_from_device: None,
        },
        suspicions: vec![],
        warnings: vec![],
    }
}

fn artifact(name: &str, tables: &[(&str, u64)]) -> Artifact {
    let tables = tables.iter().enumerate().map(|(n, (table, rows))| TableFacts {
        oid: u32::try_from(n).unwrap(),
        schema: "public".into(),
        name: (*table).into(),
        columns: String::new(),
        rows: *rows,
        fingerprint: String::new(),
    });
    let tables: Vec<_> = tables.collect();
    let facts = DatabaseFacts {
        name: name.into(),
        oid: 1,
        snapshot_time: "2026-05-01T02:00:03Z".parse().unwrap(),
        snapshot_lsn: "0/1".into(),
        held_seconds: 0.0,
        compression: "zstd:1".into(),
        command: vec![],
        definition: DatabaseDefinition {
            owner: "postgres".into(),
            encoding: "UTF8".into(),
            locale_provider: "libc".into(),
            collate: "C".into(),
            ctype: "C".into(),
            locale: None,
            icu_rules: None,
            collation_version: None,
            tablespace: "pg_default".into(),
            connection_limit: -1,
            settings: BTreeMap::new(),
        },
        extensions: BTreeMap::new(),
        objects: BTreeMap::new(),
        excluded_table_data: vec![],
        data_bytes: tables.iter().map(|table| 10 * table.rows).sum(),
        tables,
    };
    Artifact {
        file: format!("{name}.dump"),
        size_bytes: 1,
        sha256: String::new(),
        content: Content::Database(Box::new(facts)),
    }
}

fn found(new: &Manifest, before: &[Manifest]) -> Vec<String> {
    suspicions(new, before, &[], |_| true, MAX_SHRINK).iter().map(ToString::to_string).collect()
}

#[test]
fn first_or_unchanged_backup_is_not_suspicious() {
    let usual = copy(&[("shop", &[("goods", 2000), ("queue", 0)])]);
    assert_eq!(found(&usual, &[]), Vec::<String>::new());
    assert_eq!(found(&usual, &[usual.clone(), usual.clone()]), Vec::<String>::new());
    let grown = copy(&[("shop", &[("goods", 2_000_000), ("queue", 0)]), ("new", &[])]);
    assert_eq!(found(&grown, &[usual]), Vec::<String>::new());
}

#[test]
fn backup_with_under_half_the_median_rows_is_suspicious() {
    let of = |rows| copy(&[("shop", &[("goods", rows)])]);
    let before = [of(900), of(1000), of(10), of(1100), of(1000)];
    assert_eq!(found(&of(500), &before), Vec::<String>::new(), "half of it is still there");
    let message =
        "database \"shop\" shrank from 1000 to 499 rows, compared with the median of earlier backups";
    assert_eq!(found(&of(499), &before), [message]);
    // Only the newest five verified backups are compared; the sixth is ignored.
    let before = [of(10), of(10), of(10), of(10), of(10), of(100_000)];
    assert_eq!(found(&of(9), &before), Vec::<String>::new());
    let all = |max_shrink| suspicions(&of(0), &[of(1000)], &[], |_| true, max_shrink);
    assert_eq!(all(100), vec![], "100 % may go");
    assert_eq!(all(99).len(), 1);
}

#[test]
fn backup_with_far_fewer_bytes_is_suspicious_at_equal_rows() {
    let mut new = copy(&[("shop", &[("goods", 1000)])]);
    let Content::Database(facts) = &mut new.artifacts[0].content else { unreachable!() };
    facts.data_bytes = 2000;
    let message = "database \"shop\" shrank from 10000 to 2000 bytes of data, compared with the median of earlier backups";
    assert_eq!(found(&new, &[copy(&[("shop", &[("goods", 1000)])])]), [message]);
}

#[test]
fn emptied_table_makes_a_backup_suspicious() {
    let last = copy(&[("shop", &[("goods", 1_000_000), ("orders", 1001), ("small", 1000)])]);
    let new = copy(&[("shop", &[("goods", 1_000_000), ("orders", 0), ("small", 0)])]);
    assert_eq!(
        found(&new, &[last]),
        ["database \"shop\" has tables that became empty: public.orders (1001 rows before)"]
    );
    // A table that no earlier backup has is compared with the server's statistics of the same database.
    let of = |database: &str| Emptied { database: database.into(), oid: 2, rows: 5000 };
    let found = suspicions(&new, &[], &[of("shop"), of("other")], |_| true, MAX_SHRINK);
    let found: Vec<_> = found.iter().map(ToString::to_string).collect();
    assert_eq!(found, ["database \"shop\" has tables that became empty: public.small (5000 rows before)"]);
}

#[test]
fn missing_database_makes_backup_suspicious_until_retired() {
    let last = copy(&[("shop", &[]), ("billing", &[])]);
    let new = copy(&[("shop", &[])]);
    let found = suspicions(&new, std::slice::from_ref(&last), &[], |_| true, MAX_SHRINK);
    assert_eq!(
        found.iter().map(Suspicion::key).collect::<Vec<_>>(),
        [(SuspicionKind::DatabaseMissing, Some("billing".into()))]
    );
    assert_eq!(
        found[0].message,
        "database \"billing\" is missing, but the previous successful backup contains it"
    );
    assert_eq!(suspicions(&new, &[last], &[], |name| name != "billing", MAX_SHRINK), vec![]);
}

#[test]
fn backup_of_other_server_or_earlier_timeline_is_suspicious() {
    let last = copy(&[("shop", &[])]);
    let server = |system: &str, timeline| {
        let mut new = last.clone();
        new.server.system_identifier = system.into();
        new.server.timeline = timeline;
        found(&new, std::slice::from_ref(&last))
    };
    assert_eq!(server("1", 3), Vec::<String>::new());
    assert_eq!(server("1", 4), Vec::<String>::new(), "a promotion");
    assert!(
        server("1", 2)[0]
            .contains("earlier timeline: its timeline is 2, but was 3 in the previous successful backup"),
        "{:?}",
        server("1", 2)
    );
    let other = "the server changed: its system identifier is 2, but was 1 in the previous successful backup";
    assert_eq!(server("2", 9), [other]);
}

#[test]
fn row_counts_are_not_compared_at_level_checksum() {
    let before = [copy(&[("shop", &[("goods", 5000)])])];
    let mut stored = copy(&[("shop", &[])]);
    stored.check.level = Level::Checksum;
    assert_eq!(suspicions(&stored, &before, &[], |_| true, MAX_SHRINK), []);
    // A backup without counted rows is not compared with later ones either.
    let read = copy(&[("shop", &[("goods", 1)])]);
    assert_eq!(suspicions(&read, &[stored], &[], |_| true, MAX_SHRINK), []);
}

#[test]
fn statistics_make_only_never_backed_up_tables_suspicious() {
    let new = copy(&[("shop", &[("goods", 0)])]);
    let statistics = [Emptied { database: "shop".into(), oid: 0, rows: 8500 }];
    let found = |before: &[Manifest]| suspicions(&new, before, &statistics, |_| true, MAX_SHRINK).len();
    assert_eq!(found(&[]), 1);
    assert_eq!(found(&[copy(&[("shop", &[("other", 1)])])]), 2, "and it shrank");
    assert_eq!(found(&[copy(&[("shop", &[("goods", 0)])])]), 0, "it was empty in the last backup, too");
}
