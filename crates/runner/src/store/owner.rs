//! The owner of a repository, stored in `repository.json`. A policy that is created again in a rebuilt
//! cluster has another UID, so it is not the owner: it removes only backups of its own, until
//! `storage.adoptFrom` makes it the owner.

use domain::reason::Reason;
use jiff::Timestamp;
use serde::{Deserialize, Serialize};

use super::{backend::Backend, error::StoreError};

pub(super) const FILE: &str = "repository.json";

#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Owner {
    ThisPolicy,
    /// The policy with this UID owns the repository.
    OtherPolicy(String),
    /// `repository.json` cannot be read. Contains the cause.
    Unknown(String),
}

/// The content of `repository.json`.
#[derive(Debug, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
struct Marker {
    format: u32,
    policy_uid: String,
    created: Timestamp,
    /// The UIDs of earlier owners.
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

/// Parses the content of `repository.json` and formats it again; `None` if it is invalid.
pub fn rewritten(text: &str) -> Option<String> {
    Marker::parse(text).ok().map(|marker| marker.to_json())
}

/// Claims the repository for the policy `uid` if it has no owner, or if its owner is `adopt_from`. Returns
/// the owner and the UIDs of earlier owners. If two policies claim a new repository at the same time, one of
/// them becomes the owner.
pub(super) async fn claim(
    backend: &Backend,
    uid: &str,
    adopt_from: Option<&str>,
    now: Timestamp,
) -> Result<(Owner, Vec<String>), StoreError> {
    let marker = match read(backend).await {
        Ok(Some(marker)) => Ok(marker),
        Ok(None) => {
            let marker = Marker { format: 1, policy_uid: uid.to_owned(), created: now, adopted: Vec::new() };
            if backend.create(FILE, &marker.to_json()).await? {
                Ok(marker)
            } else {
                read(backend).await.map(|there| there.unwrap_or(marker))
            }
        }
        Err(error) => Err(error),
    };
    let mut marker = match marker {
        Ok(marker) => marker,
        Err(Unreadable::Store(error)) if fails_the_run(&error) => return Err(error),
        Err(error) => return Ok((Owner::Unknown(error.to_string()), Vec::new())),
    };
    if marker.policy_uid != uid && adopt_from == Some(&marker.policy_uid) {
        let before = std::mem::replace(&mut marker.policy_uid, uid.to_owned());
        marker.adopted.push(before);
        backend.write(FILE, &marker.to_json()).await?;
    }
    let Marker { policy_uid, adopted, .. } = marker;
    Ok(if policy_uid == uid {
        (Owner::ThisPolicy, adopted)
    } else {
        (Owner::OtherPolicy(policy_uid), Vec::new())
    })
}

#[derive(Debug, thiserror::Error)]
enum Unreadable {
    #[error(transparent)]
    Store(#[from] StoreError),
    #[error("\"{FILE}\" is corrupted: {0}")]
    Json(#[from] serde_json::Error),
}

async fn read(backend: &Backend) -> Result<Option<Marker>, Unreadable> {
    Ok(backend.read(FILE).await?.map(|text| Marker::parse(&text)).transpose()?)
}

/// Returns whether the run must fail because of this error: an object store that does not respond does, one
/// corrupted file does not.
fn fails_the_run(error: &StoreError) -> bool {
    !matches!(error, StoreError::File { .. }) && error.reason() != Reason::StoreFailed
}
