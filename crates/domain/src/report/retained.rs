//! Figures of a repository: counts, bytes and times of its backups.

use jiff::Timestamp;
use serde::{Deserialize, Serialize};

/// Figures of a policy's backups in its repository.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Retained {
    /// The number of backups, in any state. A folder without a manifest does not count.
    pub backups: u32,
    /// The number of verified backups.
    pub verified: u32,
    /// The number of suspicious backups.
    #[serde(default, skip_serializing_if = "is_zero")]
    pub suspicious: u32,
    /// The size of all backups, in bytes.
    pub bytes: u64,
    /// The snapshot time of the oldest backup; absent if there is none.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub oldest: Option<Timestamp>,
    /// The snapshot time of the newest backup; absent if there is none.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub newest: Option<Timestamp>,
}

#[allow(clippy::trivially_copy_pass_by_ref, reason = "serde's skip_serializing_if gives a reference")]
const fn is_zero(count: &u32) -> bool {
    *count == 0
}
