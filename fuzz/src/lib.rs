//! What must hold for any bytes that come from outside: one function for each parser, which panics where it does not.
//!
//! `make fuzz` feeds them what libFuzzer thinks of; `tests/corpus.rs` feeds them again what it found worth keeping.

#![forbid(unsafe_code)]

use std::{collections::BTreeSet, str};

use archive::{
    rows::{Contents, CopyParser},
    toc::Toc,
};
use domain::{
    catalog::{Catalog, CatalogSet, SetState},
    manifest::Manifest,
    name,
    report::RunReport,
    retention::{self, Bucket, Rules},
    schedule::{self, Schedule},
    uri::ConnectionUri,
};
use jiff::{Timestamp, ToSpan as _, tz::TimeZone};

/// What one target is.
pub type Check = fn(&[u8]);

/// All of them, by the names of their folders in `corpus`.
pub const TARGETS: [(&str, Check); 8] = [
    ("manifest", manifest),
    ("names", names),
    ("report", report),
    ("retention", retention),
    ("rows", rows),
    ("schedule", schedule),
    ("toc", toc),
    ("uri", uri),
];

/// 2026-11-23 00:00 UTC: any moment will do, but always the same.
const NOW: Timestamp = Timestamp::constant(1_795_392_000, 0);

/// A schedule, and a time zone on the next line. The next runs come one after the other, and the words of a refusal are one
/// line.
pub fn schedule(data: &[u8]) {
    let Ok(text) = str::from_utf8(data) else { return };
    let (schedule, zone) = text.split_once('\n').unwrap_or((text, "Europe/Berlin"));
    let zone = schedule::time_zone(zone).unwrap_or(TimeZone::UTC);
    match Schedule::parse(schedule, "shop/nightly") {
        Ok(schedule) => {
            let mut before = NOW;
            for run in schedule.upcoming(&zone, NOW, 5) {
                assert!(run > before, "{run} after {before}");
                before = run;
            }
        }
        Err(error) => assert!(!error.to_string().contains('\n')),
    }
}

/// Rules and copies, three bytes each. The newest verified copy stays, no copy is lost from the plan, and what stays would
/// stay again.
pub fn retention(data: &[u8]) {
    if let Ok(text) = str::from_utf8(data)
        && let Ok(within) = text.parse::<retention::Within>()
    {
        assert_eq!(within.to_string().parse(), Ok(within));
    }
    let [rule, amount, floor, ref copies @ ..] = *data else { return };
    let buckets =
        [Bucket::Last, Bucket::Hourly, Bucket::Daily, Bucket::Weekly, Bucket::Monthly, Bucket::Yearly];
    let bucket = buckets[usize::from(rule) % buckets.len()];
    let mut rules = Rules { minimum_verified: u32::from(floor % 4), ..Rules::default() };
    if rule < 128 {
        rules.keep.insert(bucket, retention::Count::Newest(u32::from(amount)));
    } else if let Ok(within) = format!("{amount}d").parse() {
        rules.keep_within.insert(bucket, within);
    }
    let sets: Vec<CatalogSet> = copies.chunks_exact(3).enumerate().map(|(at, copy)| set(at, copy)).collect();
    let catalog = Catalog::new("uid", sets.clone());
    let plan = retention::plan(&catalog, &rules, &TimeZone::UTC, None);

    let deleted: BTreeSet<&str> = plan.delete.iter().map(|gone| gone.id.as_str()).collect();
    assert_eq!(plan.keep.len() + deleted.len(), sets.len(), "each copy is kept or deleted");
    if let Some(newest) = catalog.verified().next() {
        assert!(!deleted.contains(newest.id.as_str()), "the newest verified copy is lost");
    }
    // What a row settles is written down before any of it goes.
    let settle = |mut set: CatalogSet| {
        if catalog.settled().contains(&set.id) {
            set.state = SetState::Verified;
        }
        set
    };
    let kept: Vec<CatalogSet> =
        sets.into_iter().map(settle).filter(|set| !deleted.contains(set.id.as_str())).collect();
    let again = retention::plan(&Catalog::new("uid", kept), &rules, &TimeZone::UTC, None);
    assert!(again.delete.is_empty(), "{again:?}");
}

fn set(at: usize, copy: &[u8]) -> CatalogSet {
    let hours = i64::from(copy[0]) * 256 + i64::from(copy[1]);
    CatalogSet {
        id: format!("set-{at}"),
        policy_uid: if copy[2] & 8 == 0 { "uid".to_owned() } else { "other".to_owned() },
        snapshot_time: NOW - hours.hours(),
        state: match copy[2] % 3 {
            0 => SetState::Verified,
            1 => SetState::Suspicious,
            _ => SetState::Failed,
        },
        databases: if copy[2] & 16 == 0 {
            ["a".to_owned()].into()
        } else {
            ["a".to_owned(), "b".to_owned()].into()
        },
        size_bytes: 1,
        suspicions: BTreeSet::new(),
    }
}

/// Names of databases, policies and folders. None becomes a path, and none too long for a file or an object.
pub fn names(data: &[u8]) {
    let Ok(text) = str::from_utf8(data) else { return };
    if text.is_empty() {
        return;
    }
    // PostgreSQL's limits: 63 bytes, and one at least.
    let database = &text[..text.floor_char_boundary(63)];
    for file in [name::archive_file(database), name::tables_file(database)] {
        assert!(
            !file.contains('/') && !file.starts_with('.') && file.is_ascii() && file.len() < 250,
            "{file}"
        );
    }
    if name::is_set_id(text) {
        assert!(text.is_ascii() && !text.contains('/'));
    }
    let _ = name::slot("shop-backup", text);
    let job = name::requested_job("shop", text);
    assert!(job.len() <= 63 && job.bytes().all(|byte| byte.is_ascii_alphanumeric() || byte == b'-'), "{job}");
}

/// A manifest comes back as it was written, also by way of the files for its tables.
pub fn manifest(data: &[u8]) {
    let Some(manifest) = str::from_utf8(data).ok().and_then(Manifest::parse) else { return };
    assert_eq!(Manifest::parse(&manifest.to_json()), Some(manifest.clone()));
    let mut moved = manifest;
    for (file, text) in moved.move_tables_out() {
        moved.put_tables_back(&file, &text);
    }
}

/// A report fits into a termination message, and can be read there.
pub fn report(data: &[u8]) {
    let Some(report) = str::from_utf8(data).ok().and_then(RunReport::parse) else { return };
    // What Kubernetes gives to a run is short, and the rest is our own.
    let given = [&report.run.job, &report.run.job_uid];
    let ours = report.set.iter().flat_map(|set| [&set.id, &set.manifest_sha256]);
    if given.into_iter().chain(ours).any(|text| text.len() > 64 || text.contains(char::is_control)) {
        return;
    }
    let message = report.to_message(2048);
    assert!(message.len() <= 2048, "{} bytes", message.len());
    assert!(RunReport::parse(&message).is_some(), "{message}");
}

/// A connection URI. What `Debug` shows and what a refusal says has no password in it.
pub fn uri(data: &[u8]) {
    let Ok(text) = str::from_utf8(data) else { return };
    let Ok(uri) = ConnectionUri::parse(text) else { return };
    let variables = uri.variables("verify-full");
    assert_eq!(variables.get("PGSSLMODE").map(String::as_str), Some("verify-full"));
    assert!(variables.values().all(|value| !value.contains('\0')), "{variables:?}");
    let password = variables.get("PGPASSWORD").map_or("", String::as_str);
    // The names of the variables are shown.
    let hidden = password.len() < 8 || password.contains("PG") || !format!("{uri:?}").contains(password);
    assert!(hidden, "{uri:?}");
}

/// A listing of an archive. No more entries than lines.
pub fn toc(data: &[u8]) {
    let listing = String::from_utf8_lossy(data);
    let toc = Toc::parse(&listing);
    assert!(toc.counts.values().sum::<u64>() <= listing.lines().count() as u64);
}

/// The text of an archive, cut into pieces of the size that the first byte says: what is read does not depend on it.
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
