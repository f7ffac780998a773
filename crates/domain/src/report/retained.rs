//! A repository in figures.

use jiff::Timestamp;
use serde::{Deserialize, Serialize};

/// The backups of a policy in its repository.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Retained {
    /// How many backups have a manifest.
    pub backups: u32,
    /// How many backups passed their newest check and are not suspicious.
    pub verified: u32,
    /// How many backups are suspicious.
    #[serde(default, skip_serializing_if = "is_zero")]
    pub suspicious: u32,
    /// The stored bytes of all backups.
    pub bytes: u64,
    /// The oldest backup's snapshot.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub oldest: Option<Timestamp>,
    /// The newest backup's snapshot.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub newest: Option<Timestamp>,
}

#[allow(clippy::trivially_copy_pass_by_ref, reason = "serde's skip_serializing_if gives a reference")]
const fn is_zero(count: &u32) -> bool {
    *count == 0
}
