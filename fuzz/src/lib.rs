//! Properties of all parsers of untrusted bytes: one function for each parser, which panics if a property is violated.
//!
//! `make fuzz` runs them with the inputs of libFuzzer; `tests/corpus.rs` runs them with the inputs that libFuzzer kept.

#![forbid(unsafe_code)]

mod runner;

use std::{
    collections::{BTreeMap, BTreeSet},
    str,
};

pub use runner::{answers, marker, plan, query, scrub, stderr};

use archive::{
    rows::{Contents, CopyParser},
    toc::Toc,
};
use domain::{
    catalog::{BackupState, Catalog, CatalogBackup},
    manifest::{Content, Manifest, TABLES_INLINE},
    name,
    report::RunReport,
    retention::{self, Bucket, Rules},
    schedule::{self, Schedule},
    suspicion::SuspicionKind,
    suspicion_rules,
    uri::ConnectionUri,
};
use jiff::{Timestamp, ToSpan as _, tz::TimeZone};

/// A function that checks the properties for one input.
pub type Check = fn(&[u8]);

/// All fuzz targets, by the names of their folders in `corpus`.
pub const TARGETS: [(&str, Check); 16] = [
    ("answers", answers),
    ("catalog", catalog),
    ("manifest", manifest),
    ("marker", marker),
    ("names", names),
    ("plan", plan),
    ("query", query),
    ("report", report),
    ("retention", retention),
    ("rows", rows),
    ("schedule", schedule),
    ("scrub", scrub),
    ("stderr", stderr),
    ("suspicion", suspicion),
    ("toc", toc),
    ("uri", uri),
];

/// The current time in all targets: 2026-11-23 00:00 UTC, an arbitrary moment.
const NOW: Timestamp = Timestamp::constant(1_795_392_000, 0);

/// Checks schedules. Input: a schedule; on the next lines a time zone and a moment. Slots are ascending, the
/// CronJob's schedule has the same slots, and an error is one line.
pub fn schedule(data: &[u8]) {
    let Ok(text) = str::from_utf8(data) else { return };
    let mut lines = text.split('\n');
    let schedule = lines.next().unwrap_or_default();
    let zone = schedule::time_zone(lines.next().unwrap_or("Europe/Berlin")).unwrap_or(TimeZone::UTC);
    let from = lines.next().and_then(|from| from.parse().ok()).unwrap_or(NOW);
    match Schedule::parse(schedule, "shop/nightly") {
        Ok(schedule) => {
            let mut before = from;
            for run in schedule.upcoming(&zone, from, 5) {
                assert!(run > before, "{run} after {before}");
                before = run;
            }
            assert_eq!(Schedule::parse(schedule.effective(), "somebody/else").as_ref(), Ok(&schedule));
        }
        Err(error) => assert!(!error.to_string().contains('\n')),
    }
}

/// Checks retention. Input: rules and backups, three bytes each. The newest verified backup is kept, the plan
/// contains every backup, and a second plan deletes nothing of what the first one kept.
pub fn retention(data: &[u8]) {
    if let Ok(text) = str::from_utf8(data)
        && let Ok(within) = text.parse::<retention::Within>()
    {
        assert_eq!(within.to_string().parse(), Ok(within));
    }
    if let Ok(text) = str::from_utf8(data)
        && let Ok(count) = text.parse::<retention::Count>()
    {
        assert_eq!(count.to_string().parse(), Ok(count));
    }
    let [rule, amount, floor, ref triples @ ..] = *data else { return };
    let buckets =
        [Bucket::Last, Bucket::Hourly, Bucket::Daily, Bucket::Weekly, Bucket::Monthly, Bucket::Yearly];
    let bucket = buckets[usize::from(rule) % buckets.len()];
    let mut rules = Rules { minimum_verified: u32::from(floor % 4), ..Rules::default() };
    if rule < 128 {
        rules.keep.insert(bucket, retention::Count::Newest(u32::from(amount)));
    } else if let Ok(within) = format!("{amount}d").parse() {
        rules.keep_within.insert(bucket, within);
    }
    let backups: Vec<CatalogBackup> =
        triples.chunks_exact(3).enumerate().map(|(at, bytes)| backup(at, bytes)).collect();
    let catalog = Catalog::new("uid", backups.clone()).seen_at(NOW);
    let plan = retention::plan(&catalog, &rules, &TimeZone::UTC, None);

    let deleted: BTreeSet<&str> = plan.delete.iter().map(|gone| gone.id.as_str()).collect();
    assert_eq!(plan.keep.len() + deleted.len(), backups.len(), "each backup is kept or deleted");
    if let Some(newest) = catalog.verified().next() {
        assert!(!deleted.contains(newest.id.as_str()), "the newest verified backup is lost");
    }
    // Backups that are accepted because they differ alike are recorded as accepted before any of them is
    // removed.
    let settle = |mut backup: CatalogBackup| {
        if catalog.accepted().contains(&backup.id) {
            backup.state = BackupState::Verified;
        }
        backup
    };
    let kept: Vec<CatalogBackup> =
        backups.into_iter().map(settle).filter(|backup| !deleted.contains(backup.id.as_str())).collect();
    let again = retention::plan(&Catalog::new("uid", kept).seen_at(NOW), &rules, &TimeZone::UTC, None);
    assert!(again.delete.is_empty(), "{again:?}");
}

fn backup(at: usize, bytes: &[u8]) -> CatalogBackup {
    let hours = i64::from(bytes[0]) * 256 + i64::from(bytes[1]);
    CatalogBackup {
        id: format!("backup-{at}"),
        policy_uid: if bytes[2] & 8 == 0 { "uid".to_owned() } else { "other".to_owned() },
        // A wrong clock dates some backups into the future.
        snapshot_time: if bytes[2] & 32 == 0 { NOW - hours.hours() } else { NOW + hours.hours() },
        state: match bytes[2] % 3 {
            0 => BackupState::Verified,
            1 => BackupState::Suspicious,
            _ => BackupState::Failed,
        },
        databases: if bytes[2] & 16 == 0 {
            ["a".to_owned()].into()
        } else {
            ["a".to_owned(), "b".to_owned()].into()
        },
        size_bytes: 1,
        suspicions: BTreeSet::new(),
    }
}

/// Checks names of databases, policies and folders. No name becomes a path, and none is too long for a file
/// or an object.
pub fn names(data: &[u8]) {
    let Ok(text) = str::from_utf8(data) else { return };
    if text.is_empty() {
        return;
    }
    // PostgreSQL allows names of 1 to 63 bytes.
    let database = &text[..text.floor_char_boundary(63)];
    for file in [name::archive_file(database), name::tables_file(database)] {
        assert!(
            !file.contains('/') && !file.starts_with('.') && file.is_ascii() && file.len() < 250,
            "{file}"
        );
    }
    if name::is_backup_id(text) {
        assert!(text.is_ascii() && !text.contains('/'));
    }
    let _ = name::slot("shop-backup", text);
    let job = name::requested_job("shop", text);
    assert!(job.len() <= 63 && job.bytes().all(|byte| byte.is_ascii_alphanumeric() || byte == b'-'), "{job}");
}

/// Checks manifests. A formatted manifest is parsed to an equal one, and so are lists of tables in files of
/// their own.
pub fn manifest(data: &[u8]) {
    let Some(mut manifest) = str::from_utf8(data).ok().and_then(Manifest::parse) else { return };
    assert_eq!(Manifest::parse(&manifest.to_json()).as_ref(), Some(&manifest));
    // More tables than an input can contain.
    for artifact in &mut manifest.artifacts {
        if let Content::Database(facts) = &mut artifact.content {
            facts.tables = facts.tables.iter().cycle().take(TABLES_INLINE + 1).cloned().collect();
        }
    }
    let whole = manifest.clone();
    for (file, text) in manifest.move_tables_out() {
        manifest.put_tables_back(&file, &text);
    }
    // A server cannot have two databases of the same name.
    if whole.databases().collect::<BTreeSet<_>>().len() == whole.databases().count() {
        assert_eq!(&manifest.artifacts[..whole.artifacts.len()], &whole.artifacts[..]);
    }
}

/// Checks catalogs. Input: on each line a manifest, or a file written into the backup later, which is a check
/// or `acknowledged`. The catalog does not depend on the order, and the newest verified backup is kept
/// whatever manifests contain.
pub fn catalog(data: &[u8]) {
    let Ok(text) = str::from_utf8(data) else { return };
    let mut found = Vec::new();
    for line in text.lines() {
        if let Some(manifest) = Manifest::parse(line).filter(|manifest| name::is_backup_id(&manifest.id)) {
            found.push((manifest, Vec::new(), false));
        } else if let Some((_, checks, acknowledged)) = found.last_mut() {
            checks.extend(serde_json::from_str::<domain::manifest::Check>(line));
            *acknowledged |= line == "acknowledged";
        }
    }
    let Some(owner) = found.first().map(|(manifest, ..)| manifest.policy.uid.clone()) else { return };
    // A backup is a folder, so there are no two with the same name.
    let backups: BTreeMap<String, CatalogBackup> = found
        .iter()
        .map(|(manifest, checks, acknowledged)| {
            (manifest.id.clone(), CatalogBackup::new(manifest, checks, *acknowledged))
        })
        .collect();
    let catalog = Catalog::new(&owner, backups.values().cloned().collect()).seen_at(NOW);
    assert_eq!(Catalog::new(&owner, backups.into_values().rev().collect()).seen_at(NOW), catalog);
    assert!(catalog.backups().is_sorted_by(|a, b| a.snapshot_time >= b.snapshot_time));
    let retained = catalog.retained();
    assert!(retained.verified + retained.suspicious <= retained.backups);
    assert!(catalog.own().all(|backup| backup.size_bytes <= retained.bytes));

    let rules = Rules { keep: [(Bucket::Last, retention::Count::Newest(1))].into(), ..Rules::default() };
    let plan = retention::plan(&catalog, &rules, &TimeZone::UTC, None);
    let mut stays =
        catalog.backups().iter().filter(|backup| !catalog.owns(backup)).chain(catalog.verified().next());
    assert!(stays.all(|backup| plan.delete.iter().all(|gone| gone.id != backup.id)), "{plan:?}");
}

/// Checks comparisons. Input: manifests, one on each line, first the new backup, then earlier ones. A backup
/// equal to the earlier one is not suspicious, and a database that the policy does not select is never
/// missing.
pub fn suspicion(data: &[u8]) {
    let Ok(text) = str::from_utf8(data) else { return };
    let manifests: Vec<Manifest> = text.lines().filter_map(Manifest::parse).collect();
    let Some((new, before)) = manifests.split_first() else { return };
    let found = suspicion_rules::suspicions(new, before, &[], |_| true, suspicion_rules::MAX_SHRINK);
    for suspicion in &found {
        assert!(!suspicion.to_string().contains(char::is_control), "{suspicion}");
    }
    let unwanted = suspicion_rules::suspicions(new, before, &[], |_| false, suspicion_rules::MAX_SHRINK);
    assert!(unwanted.iter().all(|one| one.kind != SuspicionKind::DatabaseMissing), "{unwanted:?}");
    let again = suspicion_rules::suspicions(
        new,
        std::slice::from_ref(new),
        &[],
        |_| true,
        suspicion_rules::MAX_SHRINK,
    );
    assert!(again.is_empty(), "{again:?}");
}

/// Checks that a report fits into a termination message and can be parsed from it.
pub fn report(data: &[u8]) {
    let Some(report) = str::from_utf8(data).ok().and_then(RunReport::parse) else { return };
    // Kubernetes' values in a report are short, and the others are pgbackup's own.
    let given = [&report.run.job, &report.run.job_uid];
    let ours = report.backup().into_iter().flat_map(|backup| [&backup.id, &backup.manifest_sha256]);
    if given.into_iter().chain(ours).any(|text| text.len() > 64 || text.contains(char::is_control)) {
        return;
    }
    let message = report.to_message(2048);
    assert!(message.len() <= 2048, "{} bytes", message.len());
    assert!(RunReport::parse(&message).is_some(), "{message}");
}

/// Checks connection URIs. Neither `Debug` output nor an error contains the password.
pub fn uri(data: &[u8]) {
    let Ok(text) = str::from_utf8(data) else { return };
    let Ok(uri) = ConnectionUri::parse(text) else { return };
    let variables = uri.variables("verify-full");
    assert_eq!(variables.get("PGSSLMODE").map(String::as_str), Some("verify-full"));
    assert!(variables.values().all(|value| !value.contains('\0')), "{variables:?}");
    let password = variables.get("PGPASSWORD").map_or("", String::as_str);
    // `Debug` output contains the names of the variables.
    let hidden = password.len() < 8 || password.contains("PG") || !format!("{uri:?}").contains(password);
    assert!(hidden, "{uri:?}");
}

/// Checks listings of archives. A table of contents has no more entries than the listing has lines.
pub fn toc(data: &[u8]) {
    let listing = String::from_utf8_lossy(data);
    let toc = Toc::parse(&listing);
    assert!(toc.counts.values().sum::<u64>() <= listing.lines().count() as u64);
}

/// Checks the parser of rows. Input: the chunk size in the first byte, then the text of an archive. The
/// result does not depend on the chunk size.
pub fn rows(data: &[u8]) {
    let Some((size, text)) = data.split_first() else { return };
    let whole = parsed([text].into_iter());
    assert_eq!(parsed(text.chunks(usize::from(*size) + 1)), whole);
}

fn parsed<'a>(pieces: impl Iterator<Item = &'a [u8]>) -> Option<Contents> {
    let mut parser = CopyParser::default();
    for piece in pieces {
        parser.push(piece);
    }
    parser.finish()
}
