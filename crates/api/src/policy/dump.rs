//! How databases are dumped.

use domain::invocation::{self, default};
use kube::KubeSchema;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use serde_with::skip_serializing_none;

use crate::checks::dump as check;

/// How databases are dumped.
#[skip_serializing_none]
#[derive(KubeSchema, Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Dump {
    /// compression defines how archives are compressed. Defaults to the method Zstd with level 1, or to Gzip with
    /// level 1 if pg_dump is older than version 16 and therefore has no Zstd.
    pub compression: Option<Compression>,

    /// lockTimeout is the maximum time that a backup waits for the lock (ACCESS SHARE) of a table. During the wait,
    /// the backup keeps the locks that it already has: an ALTER TABLE of such a table waits, and so do all queries
    /// that come after that ALTER TABLE. After the timeout, the backup releases its locks, waits 30 to 40 seconds,
    /// and tries again. After the fifth timeout, the attempt fails with the reason LockTimeout. The units are s
    /// (seconds) and m (minutes). Defaults to 5s. From 1s to 4m.
    #[serde(default = "default_lock_timeout")]
    #[schemars(length(max = 20))]
    #[x_kube(validation = check::LOCK_TIMEOUT.rule())]
    pub lock_timeout: String,

    /// excludeTableData lists tables whose rows are not backed up. Their definitions are still backed up. An entry
    /// has the form <schema>.<table>; * matches any characters, and ? matches one character. An entry for a
    /// partitioned table does not exclude the rows of its partitions: write entries for the partitions. At most 100
    /// entries. For example, ["public.sessions", "audit.*"].
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    #[schemars(length(max = 100), inner(length(min = 1, max = 127)))]
    #[x_kube(validation = check::TABLE.rule())]
    pub exclude_table_data: Vec<String>,

    /// allowNewerClient allows a pg_dump whose major version is newer than that of the server. Such archives cannot
    /// always be restored into a server of the older version. If false, a backup with a newer pg_dump fails with the
    /// reason ClientTooNew. Defaults to false.
    #[serde(default)]
    pub allow_newer_client: bool,

    /// strictExtensions defines what happens if a table that belongs to an extension has rows that pg_dump does not
    /// dump. If true, the backup fails with the reason ExtensionDataLeftOut. If false, the backup has a warning and
    /// does not contain these rows. Defaults to false.
    #[serde(default)]
    pub strict_extensions: bool,

    /// maxReplicaLag is the maximum replication lag of a standby that is backed up. If the standby is further behind
    /// its primary, the backup fails with the reason ReplicaStale. It has no effect on a primary. The units are s
    /// (seconds), m (minutes) and h (hours). Defaults to 5m. From 1s to 24h.
    #[serde(default = "default_max_replica_lag")]
    #[schemars(length(max = 20))]
    #[x_kube(validation = check::REPLICA_LAG.rule())]
    pub max_replica_lag: String,
}

/// How archives are compressed.
#[skip_serializing_none]
#[derive(KubeSchema, Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[x_kube(
    validation = check::NO_LEVEL.rule(),
    validation = check::GZIP_LEVEL.rule(),
    validation = check::LZ4_LEVEL.rule(),
    validation = check::ZSTD_LEVEL.rule()
)]
#[serde(rename_all = "camelCase")]
pub struct Compression {
    /// method is the compression method. Zstd and Lz4 require pg_dump 16 or later. None disables compression.
    pub method: CompressionMethod,

    /// level is the compression level. A higher level makes smaller archives and needs more CPU time. It is not
    /// allowed with the method None. Defaults to 1. From 1 to 22 for Zstd, from 1 to 9 for Gzip, from 1 to 12 for
    /// Lz4.
    #[schemars(range(min = 1))]
    pub level: Option<u32>,
}

/// A method of compression.
#[derive(JsonSchema, Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum CompressionMethod {
    /// Zstandard.
    Zstd,
    /// gzip.
    Gzip,
    /// LZ4.
    Lz4,
    /// No compression.
    None,
}

impl From<CompressionMethod> for invocation::CompressionMethod {
    fn from(method: CompressionMethod) -> Self {
        match method {
            CompressionMethod::Zstd => Self::Zstd,
            CompressionMethod::Gzip => Self::Gzip,
            CompressionMethod::Lz4 => Self::Lz4,
            CompressionMethod::None => Self::None,
        }
    }
}

fn default_lock_timeout() -> String {
    format!("{}s", default::LOCK_TIMEOUT.as_secs())
}

fn default_max_replica_lag() -> String {
    format!("{}m", default::MAX_REPLICA_LAG.as_secs() / 60)
}

impl Default for Dump {
    fn default() -> Self {
        Self {
            compression: None,
            lock_timeout: default_lock_timeout(),
            exclude_table_data: Vec::new(),
            allow_newer_client: false,
            strict_extensions: false,
            max_replica_lag: default_max_replica_lag(),
        }
    }
}
