//! How databases are dumped.

use kube::KubeSchema;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use serde_with::skip_serializing_none;

use crate::messages;

/// How databases are dumped.
#[skip_serializing_none]
#[derive(KubeSchema, Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Dump {
    /// How archives are compressed. Default: zstd at level 1, which costs no time and makes the smallest files; gzip at
    /// level 1 with PostgreSQL 15 and older, which have no other.
    pub compression: Option<Compression>,

    /// How long a backup waits for a table's lock, for example 5s; at most 4m. Behind a waiting ALTER TABLE every reader
    /// of that table waits for the same time, so it is short; the backup tries again half a minute later, five times in
    /// all. Default: 5s.
    #[serde(default = "default_lock_timeout")]
    #[schemars(length(max = 20))]
    #[x_kube(validation = Rule::new(messages::IS_LOCK_TIMEOUT).message(messages::LOCK_TIMEOUT))]
    pub lock_timeout: String,

    /// Tables whose rows are left out; their definitions are not. Write <schema>.<table>, with * for any characters
    /// and ? for one, for example audit.* or public.sessions. A partition is a table of its own.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    #[schemars(length(max = 100), inner(length(min = 1, max = 127)))]
    #[x_kube(validation = Rule::new("self.all(pattern, pattern == '' || pattern.contains('.'))").message(messages::TABLE))]
    pub exclude_table_data: Vec<String>,

    /// Allows client tools of a newer major version than the server's. Their archives may not restore into a server of
    /// the old version. Default: false.
    #[serde(default)]
    pub allow_newer_client: bool,

    /// Fails where a table that belongs to an extension holds rows that pg_dump leaves out. Otherwise that is a
    /// warning. Default: false.
    #[serde(default)]
    pub strict_extensions: bool,

    /// How far a standby may be behind its primary, for example 5m; at most 24h. A backup from one that is further behind
    /// is refused. Default: 5m.
    #[serde(default = "default_max_replica_lag")]
    #[schemars(length(max = 20))]
    #[x_kube(validation = Rule::new(messages::IS_REPLICA_LAG).message(messages::REPLICA_LAG))]
    pub max_replica_lag: String,
}

/// How archives are compressed.
#[skip_serializing_none]
#[derive(KubeSchema, Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[x_kube(
    validation = Rule::new("self.method == 'None' ? !has(self.level) || self.level < 1 : true").message(messages::NO_LEVEL),
    validation = Rule::new("self.method == 'Gzip' && has(self.level) ? self.level <= 9 : true").message(messages::GZIP_LEVEL),
    validation = Rule::new("self.method == 'Lz4' && has(self.level) ? self.level <= 12 : true").message(messages::LZ4_LEVEL),
    validation = Rule::new("self.method == 'Zstd' && has(self.level) ? self.level <= 22 : true").message(messages::ZSTD_LEVEL)
)]
#[serde(rename_all = "camelCase")]
pub struct Compression {
    /// Zstd or Lz4 (PostgreSQL 16 and later), Gzip, or None.
    pub method: CompressionMethod,

    /// The level: 1 to 22 for Zstd, 1 to 9 for Gzip, 1 to 12 for Lz4. Default: 1, the fastest.
    #[schemars(range(min = 1))]
    pub level: Option<u32>,
}

/// A method of compression.
#[derive(JsonSchema, Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum CompressionMethod {
    /// zstd.
    Zstd,
    /// gzip.
    Gzip,
    /// lz4.
    Lz4,
    /// Not compressed.
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
