//! `manifest.json`: what a backup set holds and how it was checked. A set exists when its manifest does.
//!
//! Format 1, JSON, documented for people in `docs/reference/formats.md`. Readers ignore fields they do not know and
//! refuse a greater format.

use std::collections::BTreeMap;

use jiff::Timestamp;
use serde::{Deserialize, Serialize};
use strum::{Display, EnumIter, EnumString, IntoEnumIterator as _, IntoStaticStr};

use crate::{hash, name, report::RunIdentity, suspicion::Suspicion};

/// The version of the format.
pub const FORMAT: u32 = 1;

/// The file's name in the backup.
pub const FILE: &str = "manifest.json";

/// The file in the backup with the SHA-256 of each file, for `sha256sum -c`.
pub const SUMS_FILE: &str = "SHA256SUMS";

/// The file in the backup that records that its suspicions are accepted.
pub const ACKNOWLEDGED_FILE: &str = "acknowledged.json";

/// The most tables of a database in the manifest itself, about 100 KiB.
pub const TABLES_INLINE: usize = 500;

/// One backup.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Manifest {
    /// The format's version, [`FORMAT`].
    pub format: u32,
    /// The backup's name: its folder.
    pub id: String,
    /// The policy that owns the backup. A backup of another UID is never deleted.
    pub policy: PolicyIdentity,
    /// The run that stored the backup.
    pub run: RunIdentity,
    /// The recovery point: the oldest snapshot of the databases. Databases of a backup are not consistent with each other.
    pub snapshot_time: Timestamp,
    /// When the run started.
    pub start_time: Timestamp,
    /// When all files were stored and checked.
    pub completion_time: Timestamp,
    /// The server.
    pub server: ServerFacts,
    /// The client tools.
    pub client: ClientFacts,
    /// The files of the backup except this one, `SHA256SUMS` and `run.log`.
    pub artifacts: Vec<Artifact>,
    /// The first check, made before this manifest was written.
    pub check: Check,
    /// The differences that make the backup suspicious: retention ignores it until they are acknowledged.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub suspicions: Vec<Suspicion>,
    /// Facts that matter for a restore.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub warnings: Vec<String>,
}

/// A line in the format of `sha256sum`.
pub fn sum(sha256: &str, file: &str) -> String {
    format!("{sha256}  {file}\n")
}

/// A policy. The UID distinguishes it from another one of the same name.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct PolicyIdentity {
    /// The namespace.
    pub namespace: String,
    /// Its name.
    pub name: String,
    /// The UID; a rebuilt cluster assigns a new one.
    pub uid: String,
}

/// The server of a backup.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct ServerFacts {
    /// `server_version`: `17.6 (Debian 17.6-0+deb13u1)`.
    pub version: String,
    /// `server_version_num`: 170006.
    pub version_num: u32,
    /// `system_identifier` of the data directory, unique to a server.
    pub system_identifier: String,
    /// The timeline, which increases at each promotion.
    pub timeline: u32,
    /// Whether the server was a standby.
    pub in_recovery: bool,
    /// The bootstrap superuser's name (OID 10): a restore into a new server needs the same.
    pub bootstrap_superuser: String,
    /// `shared_preload_libraries`: a restore may need them.
    pub shared_preload_libraries: String,
    /// All role names, so that a restore without `globals.sql` can create them.
    pub roles: Vec<String>,
}

/// The tools of a backup.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct ClientFacts {
    /// pg_dump's version: `17.6 (Debian 17.6-0+deb13u1)`.
    pub version: String,
    /// The runner's version.
    pub runner: String,
}

/// One file of a backup.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Artifact {
    /// The file's name in the backup's folder.
    pub file: String,
    /// Its stored bytes.
    pub size_bytes: u64,
    /// The SHA-256, computed on the way from the tool to the store.
    pub sha256: String,
    /// The content.
    #[serde(flatten)]
    pub content: Content,
}

/// The content of a file.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(tag = "kind", rename_all = "camelCase")]
pub enum Content {
    /// A plain `pg_dump --format=custom` archive of one database.
    Database(Box<DatabaseFacts>),
    /// SQL that creates roles and tablespaces, from `pg_dumpall --globals-only`.
    #[serde(rename_all = "camelCase")]
    Globals {
        /// The command that wrote the file, without secrets.
        command: Vec<String>,
        /// Whether the file has password hashes of roles.
        passwords: bool,
    },
    /// The `tables` of a database with more than [`TABLES_INLINE`]. They are apart because every run reads every manifest.
    Tables {
        /// The database's name.
        database: String,
    },
}

/// A database in its snapshot.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct DatabaseFacts {
    /// Its name.
    pub name: String,
    /// Its OID.
    pub oid: u32,
    /// When the snapshot was taken: the recovery point of this database.
    pub snapshot_time: Timestamp,
    /// The server's write position (replay position on a standby) at the snapshot: `0/1A2B3C4D`.
    pub snapshot_lsn: String,
    /// How long the snapshot and its locks were held, in seconds.
    pub held_seconds: f64,
    /// The value of pg_dump's `--compress`: `zstd:1`.
    pub compression: String,
    /// The command that wrote the archive, without secrets.
    pub command: Vec<String>,
    /// What `CREATE DATABASE` needs to create the database again.
    pub definition: DatabaseDefinition,
    /// Its extensions with their versions.
    pub extensions: BTreeMap<String, String>,
    /// How many objects of each kind the archive holds, by the words of its table of contents.
    pub objects: BTreeMap<String, u64>,
    /// Tables whose rows the policy leaves out (`dump.excludeTableData`), quoted as the server does it.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub excluded_table_data: Vec<String>,
    /// The bytes of all rows, as COPY writes them: what a compressed archive's size says nothing of. 0 where the archive was
    /// not read.
    #[serde(default)]
    pub data_bytes: u64,
    /// The tables whose rows are in the archive. None where the archive was not read, or where they are in a file of their
    /// own ([`Content::Tables`]).
    pub tables: Vec<TableFacts>,
}

/// What `CREATE DATABASE` and `ALTER DATABASE` need to create a database again.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct DatabaseDefinition {
    /// Its owner.
    pub owner: String,
    /// Its encoding.
    pub encoding: String,
    /// `libc`, `icu` or `builtin`.
    pub locale_provider: String,
    /// `LC_COLLATE`.
    pub collate: String,
    /// `LC_CTYPE`.
    pub ctype: String,
    /// The locale of the provider, if it has one of its own.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub locale: Option<String>,
    /// The ICU rules.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub icu_rules: Option<String>,
    /// The version of the collation that the database was created with.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub collation_version: Option<String>,
    /// Its tablespace.
    pub tablespace: String,
    /// `CONNECTION LIMIT`; -1 for none.
    pub connection_limit: i32,
    /// `ALTER DATABASE ... SET` and `ALTER ROLE ... IN DATABASE ... SET`, by role; the empty name stands for
    /// all roles.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub settings: BTreeMap<String, Vec<String>>,
}

/// A table's rows, as read from the archive.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct TableFacts {
    /// The OID on the server.
    pub oid: u32,
    /// Its schema.
    pub schema: String,
    /// Its name.
    pub name: String,
    /// The columns of its COPY block, in order, as the archive quotes them.
    pub columns: String,
    /// How many rows the archive holds.
    pub rows: u64,
    /// The sum modulo 2^128 of a 128-bit hash of each row's COPY line, as 32 hexadecimal digits: equal for
    /// equal rows in any order.
    pub fingerprint: String,
}

/// One check of a backup.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Check {
    /// When the check ended.
    pub time: Timestamp,
    /// The level of the check.
    pub level: Level,
    /// The result.
    pub result: CheckResult,
    /// How many bytes were read and compared.
    pub bytes_read: u64,
    /// How many of these bytes came from the device, by the kernel's count. If fewer than `bytes_read`, the rest came from a
    /// cache and proves nothing about the device. Only on volumes.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub bytes_from_device: Option<u64>,
}

/// How deep a check goes.
#[derive(
    Clone,
    Copy,
    Debug,
    Default,
    PartialEq,
    Eq,
    Serialize,
    Deserialize,
    Display,
    EnumIter,
    EnumString,
    IntoStaticStr,
)]
pub enum Level {
    /// Size and SHA-256 of the bytes read back, and nothing else.
    Checksum,
    /// That, the archive readable to its end, rows and fingerprint of each table, and the table of contents against the
    /// database's catalog.
    #[default]
    Archive,
    /// That, and the rows of each table against those counted at the source in the same snapshot.
    Counts,
}

/// The result of a check.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum CheckResult {
    /// The backup passed.
    Verified,
    /// The backup is corrupted.
    Failed,
}

impl Level {
    /// All levels, each deeper than the one before.
    pub fn all() -> impl Iterator<Item = Self> {
        Self::iter()
    }

    /// The name in manifests and policies: `Archive`.
    pub fn as_str(self) -> &'static str {
        self.into()
    }
}

impl Manifest {
    /// Parses a manifest; `None` for other texts and for a later format.
    pub fn parse(text: &str) -> Option<Self> {
        let manifest: Self = serde_json::from_str(text).ok()?;
        (manifest.format <= FORMAT).then_some(manifest)
    }

    /// Whether a text that [`Manifest::parse`] rejects is a manifest of a later format.
    pub fn is_later(text: &str) -> bool {
        #[derive(Deserialize)]
        struct Format {
            format: u32,
        }
        serde_json::from_str::<Format>(text).is_ok_and(|it| it.format > FORMAT)
    }

    /// Whether each artifact is a file in the backup's folder and has a SHA-256. A path made of an artifact's name must not
    /// leave the folder, whoever wrote the manifest.
    pub fn is_plausible(&self) -> bool {
        self.artifacts.iter().all(|Artifact { file, sha256, .. }| {
            let is_plain = !file.is_empty() && !file.starts_with('.') && !file.contains(['/', '\\', '\0']);
            is_plain && sha256.len() == 64 && sha256.bytes().all(|byte| byte.is_ascii_hexdigit())
        })
    }

    /// The content of [`SUMS_FILE`]: a line for each artifact.
    pub fn sums(&self) -> String {
        self.artifacts.iter().map(|artifact| sum(&artifact.sha256, &artifact.file)).collect()
    }

    /// The manifest as the repository keeps it: indented, with a line break at the end.
    pub fn to_json(&self) -> String {
        serde_json::to_string_pretty(self).expect("a manifest should always be JSON") + "\n"
    }

    /// The stored bytes of all artifacts. The sum saturates: a corrupted manifest may have any numbers.
    pub fn size_bytes(&self) -> u64 {
        self.artifacts.iter().map(|artifact| artifact.size_bytes).fold(0, u64::saturating_add)
    }

    /// The names of the databases.
    pub fn databases(&self) -> impl Iterator<Item = &str> {
        self.artifacts.iter().filter_map(|artifact| match &artifact.content {
            Content::Database(facts) => Some(facts.name.as_str()),
            _ => None,
        })
    }

    /// Moves long lists of tables to files of their own, adds these to the artifacts, and returns each file's name and text.
    pub fn move_tables_out(&mut self) -> Vec<(String, String)> {
        let mut files = Vec::new();
        for artifact in &mut self.artifacts {
            if let Content::Database(facts) = &mut artifact.content
                && facts.tables.len() > TABLES_INLINE
            {
                let tables = std::mem::take(&mut facts.tables);
                let text = serde_json::to_string(&tables).expect("tables should always be JSON") + "\n";
                files.push((facts.name.clone(), name::tables_file(&facts.name), text));
            }
        }
        let artifacts = files.iter().map(|(database, file, text)| Artifact {
            file: file.clone(),
            size_bytes: text.len() as u64,
            sha256: hash::sha256(text),
            content: Content::Tables { database: database.clone() },
        });
        self.artifacts.extend(artifacts);
        files.into_iter().map(|(_, file, text)| (file, text)).collect()
    }

    /// Puts the list of tables in a file back to its database. A file whose SHA-256 differs is ignored.
    pub fn put_tables_back(&mut self, file: &str, text: &str) {
        let is = |artifact: &&Artifact| artifact.file == file && artifact.sha256 == hash::sha256(text);
        let Some(Content::Tables { database }) =
            self.artifacts.iter().find(is).map(|artifact| artifact.content.clone())
        else {
            return;
        };
        for artifact in &mut self.artifacts {
            if let Content::Database(facts) = &mut artifact.content
                && facts.name == database
            {
                facts.tables = serde_json::from_str(text).unwrap_or_default();
            }
        }
    }
}
