//! Checks the runner's parsers of untrusted input: from object stores, client programs, servers, people, and
//! folders to which others can write.

use std::{fs, path::Path, str};

use domain::{
    hash,
    manifest::{self, Manifest},
    reason::Reason,
};
use pgbackup_runner::fuzzing;

/// Checks error responses of an object store. Input: two bytes of status, then the body. The result is a
/// reason of stores and a message.
pub fn answers(data: &[u8]) {
    let [high, low, body @ ..] = data else { return };
    let body = String::from_utf8_lossy(body);
    let (reason, message) = fuzzing::store_answer(u16::from_be_bytes([*high, *low]), &body);
    let may_be = [
        Reason::BucketNotFound,
        Reason::ClockSkew,
        Reason::NoSpace,
        Reason::StoreAccessDenied,
        Reason::StoreFailed,
    ];
    assert!(may_be.contains(&reason), "{reason}");
    assert!(message.starts_with("cannot write http://127.0.0.1:9000/"), "{message}");
}

/// Checks the standard error of a failed client program. The result is a reason that can end a run, and one
/// line of text.
pub fn stderr(data: &[u8]) {
    let (reason, shown) = fuzzing::tool_error(&String::from_utf8_lossy(data));
    assert!(reason.exit_code().is_some_and(|code| code != 0), "{reason}");
    assert!(!shown.is_empty() && !shown.contains('\n'), "{shown}");
}

/// Checks the query of a blocking session. The message is short and does not depend on values in the query.
pub fn query(data: &[u8]) {
    let Ok(text) = str::from_utf8(data) else { return };
    let Some(shown) = fuzzing::query(text) else { return };
    assert!(shown.chars().count() < 300, "{shown}");
    let with = |value: &str| fuzzing::query(&format!("SELECT '{value}', {text}"));
    assert_eq!(with("secret"), with(""));
}

/// Checks `repository.json`. Parsing and formatting it twice gives the same text.
pub fn marker(data: &[u8]) {
    let Ok(text) = str::from_utf8(data) else { return };
    let Some(written) = fuzzing::owner_marker(text) else { return };
    assert_eq!(fuzzing::owner_marker(&written), Some(written));
}

/// Checks the input of `plan --backups`. Each backup is kept or deleted.
pub fn plan(data: &[u8]) {
    let Ok(text) = str::from_utf8(data) else { return };
    let Some(plan) = fuzzing::planned(text, &["--keep-daily=2", "--keep-within=3d"]) else { return };
    let list = |text: &str, key: &str| {
        let plan: serde_json::Value = serde_json::from_str(text).expect("a plan should be JSON");
        let list = if key.is_empty() { &plan } else { &plan[key] };
        list.as_array().map_or(0, Vec::len)
    };
    assert_eq!(list(&plan, "keep") + list(&plan, "delete"), list(text, ""));
}

/// Checks a scrub. Input: the manifest in the first line, then SHA256SUMS, which is generated if it is empty.
/// The scrub reports the backup as intact, corrupted or unchecked, and writes nothing outside its folder.
pub fn scrub(data: &[u8]) {
    const ID: &str = "20260501T020003Z-1a2b3c";
    let root = tempfile::tempdir_in(scratch()).expect("a folder should be made");
    let backup = root.path().join("shop/nightly").join(ID);
    fs::create_dir_all(&backup).expect("a folder should be made");
    let end = data.iter().position(|byte| *byte == b'\n').unwrap_or(data.len());
    let (text, sums) = (&data[..end], data.get(end + 1..).unwrap_or_default());
    let right = str::from_utf8(text).ok().and_then(Manifest::parse).map(|manifest| {
        let own = manifest::sum(&hash::sha256(&String::from_utf8_lossy(text)), manifest::FILE);
        manifest.sums() + &own
    });
    let sums = if sums.is_empty() { right.unwrap_or_default().into_bytes() } else { sums.to_vec() };
    fs::write(backup.join(manifest::FILE), text).expect("a file should be written");
    fs::write(backup.join(manifest::SUMS_FILE), sums).expect("a file should be written");
    fs::write(backup.join("shop.dump"), "PGDMP").expect("a file should be written");

    let counts = fuzzing::scrubbed(root.path());

    assert!(matches!(counts, Some((1, 0, 0) | (0, 1, 0) | (0, 0, 1))), "{counts:?}");
    let beside = fs::read_dir(root.path()).expect("it should be there").count();
    assert_eq!(beside, 1, "something was written outside");
}

/// Returns a folder in memory if there is one, because each check is synced to the disk.
fn scratch() -> &'static Path {
    let memory = Path::new("/dev/shm");
    if memory.is_dir() { memory } else { Path::new("/tmp") }
}
