//! Whose folder it is: `repository.json`. A policy of the same name in a cluster that was built anew removes nothing
//! that it did not make, until it is told to take the folder over.

use jiff::Timestamp;
use serde::{Deserialize, Serialize};

use super::{backend::Backend, error::StoreError};

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

/// A marker as it would be written again; `None` for what is none.
pub fn rewritten(text: &str) -> Option<String> {
    Marker::parse(text).ok().map(|marker| marker.to_json())
}

/// Whose folder it is, and whose it was before: ours if it was nobody's, or that of `adopt_from`. Of two first runs at
/// once one wins.
pub(super) async fn claim(
    place: &Backend,
    uid: &str,
    adopt_from: Option<&str>,
    now: Timestamp,
) -> Result<(Owner, Vec<String>), StoreError> {
    let marker = match read(place).await {
        Ok(Some(marker)) => Ok(marker),
        Ok(None) => {
            let marker = Marker { format: 1, policy_uid: uid.to_owned(), created: now, adopted: Vec::new() };
            if place.create(FILE, &marker.to_json()).await? {
                Ok(marker)
            } else {
                read(place).await.map(|there| there.unwrap_or(marker))
            }
        }
        Err(error) => Err(error),
    };
    let mut marker = match marker {
        Ok(marker) => marker,
        Err(Unreadable::Store(error)) if is_of_the_store(&error) => return Err(error),
        Err(error) => return Ok((Owner::Unknown(error.to_string()), Vec::new())),
    };
    if marker.policy_uid != uid && adopt_from == Some(&marker.policy_uid) {
        let before = std::mem::replace(&mut marker.policy_uid, uid.to_owned());
        marker.adopted.push(before);
        place.write(FILE, &marker.to_json()).await?;
    }
    let Marker { policy_uid, adopted, .. } = marker;
    Ok(if policy_uid == uid { (Owner::Us, adopted) } else { (Owner::Other(policy_uid), Vec::new()) })
}

#[derive(Debug, thiserror::Error)]
enum Unreadable {
    #[error(transparent)]
    Store(#[from] StoreError),
    #[error(transparent)]
    Json(#[from] serde_json::Error),
}

async fn read(place: &Backend) -> Result<Option<Marker>, Unreadable> {
    Ok(place.read(FILE).await?.map(|text| Marker::parse(&text)).transpose()?)
}

/// One rotten file makes no failed backup; an object store that does not answer does.
fn is_of_the_store(error: &StoreError) -> bool {
    !matches!(error, StoreError::File { .. }) && error.reason() != domain::reason::Reason::StoreFailed
}
