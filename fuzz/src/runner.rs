//! What the runner reads from outside: from object stores, client programs, servers, people, and folders that anybody may
//! have written to.

use std::{fs, path::Path, str};

use domain::{
    hash,
    manifest::{self, Manifest},
    reason::Reason,
};
use pgbackup_runner::fuzzing;

/// An answer of an object store: its status, two bytes, and its body. It has one of a store's reasons, and words of its
/// own.
pub fn answers(data: &[u8]) {
    let [high, low, body @ ..] = data else { return };
    let body = String::from_utf8_lossy(body);
    let (reason, words) = fuzzing::store_answer(u16::from_be_bytes([*high, *low]), &body);
    let may_be = [
        Reason::BucketNotFound,
        Reason::ClockSkew,
        Reason::NoSpace,
        Reason::StoreAccessDenied,
        Reason::StoreFailed,
    ];
    assert!(may_be.contains(&reason), "{reason}");
    assert!(words.starts_with("write http://127.0.0.1:9000/"), "{words}");
}

/// What a client program says when it fails. There is a reason, and it is one that can end a run.
pub fn words(data: &[u8]) {
    let (reason, shown) = fuzzing::tool_words(&String::from_utf8_lossy(data));
    assert!(reason.exit_code().is_some_and(|code| code != 0), "{reason}");
    assert!(!shown.is_empty() && !shown.contains('\n'), "{shown}");
}

/// A query of a session that is in the way. Of a long one little is shown, and none of its plain texts.
pub fn query(data: &[u8]) {
    let Ok(text) = str::from_utf8(data) else { return };
    let Some(shown) = fuzzing::query(text) else { return };
    assert!(shown.chars().count() < 300, "{shown}");
    // What is shown does not depend on a value.
    let with = |value: &str| fuzzing::query(&format!("SELECT '{value}', {text}"));
    assert_eq!(with("secret"), with(""));
}

/// `repository.json`. Written again it is the same.
pub fn marker(data: &[u8]) {
    let Ok(text) = str::from_utf8(data) else { return };
    let Some(written) = fuzzing::owner_marker(text) else { return };
    assert_eq!(fuzzing::owner_marker(&written), Some(written));
}

/// What is given to `plan --copies`. Each copy is kept or deleted.
pub fn copies(data: &[u8]) {
    let Ok(text) = str::from_utf8(data) else { return };
    let Some(plan) = fuzzing::planned(text, &["--keep-daily=2", "--keep-within=3d"]) else { return };
    let list = |text: &str, key: &str| {
        let plan: serde_json::Value = serde_json::from_str(text).expect("a plan should be JSON");
        let list = if key.is_empty() { &plan } else { &plan[key] };
        list.as_array().map_or(0, Vec::len)
    };
    assert_eq!(list(&plan, "keep") + list(&plan, "delete"), list(text, ""));
}

/// A set in a folder: its manifest on the first line, its SHA256SUMS after that, or the right ones where there are none. It
/// is told as one of three, and no file outside of the folder is touched.
pub fn scrub(data: &[u8]) {
    const ID: &str = "20260501T020003Z-1a2b3c";
    let root = tempfile::tempdir_in(scratch()).expect("a folder should be made");
    let set = root.path().join("shop/nightly").join(ID);
    fs::create_dir_all(&set).expect("a folder should be made");
    let end = data.iter().position(|byte| *byte == b'\n').unwrap_or(data.len());
    let (text, sums) = (&data[..end], data.get(end + 1..).unwrap_or_default());
    let right = str::from_utf8(text).ok().and_then(Manifest::parse).map(|manifest| {
        let own = manifest::sum(&hash::sha256(&String::from_utf8_lossy(text)), manifest::FILE);
        manifest.sums() + &own
    });
    let sums = if sums.is_empty() { right.unwrap_or_default().into_bytes() } else { sums.to_vec() };
    fs::write(set.join(manifest::FILE), text).expect("a file should be written");
    fs::write(set.join(manifest::SUMS_FILE), sums).expect("a file should be written");
    fs::write(set.join("shop.dump"), "PGDMP").expect("a file should be written");

    let told = fuzzing::scrubbed(root.path());

    assert!(matches!(told, Some((1, 0, 0) | (0, 1, 0) | (0, 0, 1))), "{told:?}");
    let beside = fs::read_dir(root.path()).expect("it should be there").count();
    assert_eq!(beside, 1, "something was written outside");
}

/// In memory where that can be: each copy that is checked is synced.
fn scratch() -> &'static Path {
    let memory = Path::new("/dev/shm");
    if memory.is_dir() { memory } else { Path::new("/tmp") }
}
