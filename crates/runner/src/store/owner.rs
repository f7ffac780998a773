//! Whose folder it is: `repository.json`. A policy of the same name in a cluster that was built anew removes nothing
//! that it did not make, until it is told to take the folder over.

use std::{fs, io, path::Path};

use jiff::Timestamp;
use serde::{Deserialize, Serialize};

use super::files::{
    FILE_MODE, StoreError, read_if_there, remove_file, sync_folder, write_atomic, write_synced,
};

/// The file.
pub(super) const FILE: &str = "repository.json";

/// Whose folder it is.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Owner {
    /// This policy's.
    Us,
    /// That of the policy with this UID.
    Other(String),
    /// Not known: its `repository.json` cannot be read, for this cause.
    Unknown(String),
}

/// What the file says.
#[derive(Debug, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
struct Marker {
    format: u32,
    policy_uid: String,
    created: Timestamp,
    /// Those that owned it before.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    adopted: Vec<String>,
}

impl Marker {
    fn parse(text: &str) -> Result<Self, serde_json::Error> {
        serde_json::from_str(text)
    }

    fn to_json(&self) -> String {
        serde_json::to_string_pretty(self).expect("an owner marker should always be JSON") + "\n"
    }
}

/// Whose `folder` is, and whose it was before: ours if it was nobody's, or that of `adopt_from`. Two first runs at once:
/// one link wins.
pub(super) fn claim(
    folder: &Path,
    uid: &str,
    adopt_from: Option<&str>,
    now: Timestamp,
) -> Result<(Owner, Vec<String>), StoreError> {
    let path = folder.join(FILE);
    let text = match read_if_there(&path) {
        Ok(Some(text)) => text,
        Ok(None) => {
            let marker = Marker { format: 1, policy_uid: uid.to_owned(), created: now, adopted: Vec::new() };
            create(folder, uid, &marker.to_json())?;
            read_if_there(&path)?.unwrap_or_else(|| marker.to_json())
        }
        Err(error) => return Ok((Owner::Unknown(error.to_string()), Vec::new())),
    };
    let mut marker = match Marker::parse(&text) {
        Ok(marker) => marker,
        Err(error) => return Ok((Owner::Unknown(error.to_string()), Vec::new())),
    };
    if marker.policy_uid != uid && adopt_from == Some(&marker.policy_uid) {
        let before = std::mem::replace(&mut marker.policy_uid, uid.to_owned());
        marker.adopted.push(before);
        write_atomic(folder, FILE, marker.to_json().as_bytes(), FILE_MODE)?;
    }
    let Marker { policy_uid, adopted, .. } = marker;
    Ok(if policy_uid == uid { (Owner::Us, adopted) } else { (Owner::Other(policy_uid), Vec::new()) })
}

fn create(folder: &Path, uid: &str, text: &str) -> Result<(), StoreError> {
    let part = folder.join(format!("{FILE}.{}", domain::hash::short(uid, 8)));
    write_synced(&part, text.as_bytes(), FILE_MODE)?;
    let linked = fs::hard_link(&part, folder.join(FILE));
    remove_file(&part)?;
    match linked {
        Ok(()) => sync_folder(folder),
        Err(error) if error.kind() == io::ErrorKind::AlreadyExists => Ok(()),
        // A file system without links: there the second of two first runs would win, which is no harm yet.
        Err(_) => write_atomic(folder, FILE, text.as_bytes(), FILE_MODE),
    }
}
