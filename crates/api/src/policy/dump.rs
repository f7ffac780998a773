//! How databases are dumped.

use kube::KubeSchema;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use serde_with::skip_serializing_none;

use crate::messages::dump as check;

/// How databases are dumped.
#[skip_serializing_none]
#[derive(KubeSchema, Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Dump {
    /// compression defines how archives are compressed. Defaults to Zstd with level 1; for servers before PostgreSQL
    /// 16, whose pg_dump has no Zstd, to Gzip with level 1.
    pub compression: Option<Compression>,

    /// lockTimeout is how long a backup waits for the lock of a table. While it waits, it keeps the locks of other
    /// tables, so that an ALTER TABLE of one of these waits too, and so do the queries behind that ALTER TABLE. After
    /// the timeout, the backup releases its locks and tries again half a minute later, five times in all. The units
    /// are s (seconds) and m (minutes). Defaults to 5s. From 1s to 4m.
    #[serde(default = "default_lock_timeout")]
    #[schemars(length(max = 20))]
    #[x_kube(validation = check::LOCK_TIMEOUT.rule())]
    pub lock_timeout: String,

    /// excludeTableData lists tables whose rows are left out of the backup. Their definitions are backed up. An entry
    /// is <schema>.<table>, where * stands for any characters and ? for one character. A partition needs an entry of
    /// its own. At most 100 entries. For example, ["public.sessions", "audit.*"].
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    #[schemars(length(max = 100), inner(length(min = 1, max = 127)))]
    #[x_kube(validation = check::TABLE.rule())]
    pub exclude_table_data: Vec<String>,

    /// allowNewerClient allows client tools whose major version is newer than that of the server. Their archives may
    /// be impossible to restore into a server of the old version. Defaults to false.
    #[serde(default)]
    pub allow_newer_client: bool,

    /// strictExtensions makes a backup fail if pg_dump leaves out rows of a table that belongs to an extension. If
    /// false, the backup has a warning instead. Defaults to false.
    #[serde(default)]
    pub strict_extensions: bool,

    /// maxReplicaLag is how far a standby can be behind its primary. A backup of a standby that is further behind
    /// fails. The units are s (seconds), m (minutes) and h (hours). Defaults to 5m. From 1s to 24h.
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
    /// method is the compression method. Zstd and Lz4 require PostgreSQL 16 or later. None stores archives
    /// uncompressed.
    pub method: CompressionMethod,

    /// level is the compression level. Higher levels make smaller archives and take longer. Defaults to 1. From 1 to
    /// 22 for Zstd, from 1 to 9 for Gzip, from 1 to 12 for Lz4.
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

fn default_lock_timeout() -> String {
    "5s".to_owned()
}

fn default_max_replica_lag() -> String {
    "5m".to_owned()
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
