//! The format of `manifest.json`: the content of a backup and the result of its first check. A folder is a
//! backup only once it has a manifest.
//!
//! The format is JSON, version 1, and is documented in `docs/reference/formats.md`. Readers ignore unknown
//! fields and reject a later version.

use std::collections::BTreeMap;

use jiff::Timestamp;
use serde::{Deserialize, Serialize};
use strum::{Display, EnumIter, EnumString, IntoEnumIterator as _, IntoStaticStr};

use crate::{hash, name, report::RunIdentity, suspicion::Suspicion};

/// The version of the manifest's format.
pub const FORMAT: u32 = 1;

/// The name of the manifest's file in a backup's folder.
pub const FILE: &str = "manifest.json";

/// The name of the file with the SHA-256 of each artifact, in the format of `sha256sum -c`.
pub const SUMS_FILE: &str = "SHA256SUMS";

/// The name of the file that records that a backup's suspicions are accepted.
pub const ACKNOWLEDGED_FILE: &str = "acknowledged.json";

/// The largest number of tables of one database that the manifest itself lists, about 100 KiB of JSON. A
/// longer list is stored in a file of its own.
pub const TABLES_INLINE: usize = 500;

/// The manifest of one backup.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Manifest {
    /// The version of the format, [`FORMAT`].
    pub format: u32,
    /// The backup's name, which is the name of its folder.
    pub id: String,
    /// The policy that owns the backup. A policy never deletes a backup of another UID.
    pub policy: PolicyIdentity,
    /// The run that stored the backup.
    pub run: RunIdentity,
    /// The recovery point: the snapshot time of the database that was snapshotted first. The databases of a
    /// backup are not consistent with each other.
    pub snapshot_time: Timestamp,
    /// The time at which the run started.
    pub start_time: Timestamp,
    /// The time at which all files were stored and checked.
    pub completion_time: Timestamp,
    /// The PostgreSQL server that was backed up.
    pub server: ServerFacts,
    /// The client programs that wrote the backup.
    pub client: ClientFacts,
    /// The files of the backup, except `manifest.json`, `SHA256SUMS` and `run.log`.
    pub artifacts: Vec<Artifact>,
    /// The first check, made before the manifest was written.
    pub check: Check,
    /// The differences that make the backup suspicious. Retention does not count the backup until they are
    /// acknowledged.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub suspicions: Vec<Suspicion>,
    /// Facts that matter for a restore, as sentences.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub warnings: Vec<String>,
}

/// Formats one line of a `sha256sum` file, with the line break.
pub fn sum(sha256: &str, file: &str) -> String {
    format!("{sha256}  {file}\n")
}

/// Identifies a policy. The UID distinguishes it from an earlier policy with the same name.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct PolicyIdentity {
    /// The policy's namespace.
    pub namespace: String,
    /// The policy's name.
    pub name: String,
    /// The policy's UID. A policy that is created again, for example in a rebuilt cluster, has another UID.
    pub uid: String,
}

/// Facts about the PostgreSQL server that was backed up.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct ServerFacts {
    /// The setting `server_version`, for example `17.6 (Debian 17.6-0+deb13u1)`.
    pub version: String,
    /// The setting `server_version_num`, for example 170006.
    pub version_num: u32,
    /// The system identifier of the data directory, which `initdb` creates. A server and its standbys have
    /// the same.
    pub system_identifier: String,
    /// The server's timeline. Each promotion of a standby increases it.
    pub timeline: u32,
    /// Whether the server was a standby.
    pub in_recovery: bool,
    /// The name of the bootstrap superuser (OID 10). A restore into a new server needs a superuser of this
    /// name.
    pub bootstrap_superuser: String,
    /// The setting `shared_preload_libraries`. A restore may need these libraries.
    pub shared_preload_libraries: String,
    /// The names of all roles. A restore without `globals.sql` can create them.
    pub roles: Vec<String>,
}

/// The versions of the programs that wrote a backup.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct ClientFacts {
    /// The version of pg_dump, for example `17.6 (Debian 17.6-0+deb13u1)`.
    pub version: String,
    /// The version of the runner.
    pub runner: String,
}

/// One file of a backup: an archive, the globals, or a list of tables.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Artifact {
    /// The file's name in the backup's folder.
    pub file: String,
    /// The size of the stored file, in bytes.
    pub size_bytes: u64,
    /// The SHA-256 as 64 hexadecimal digits, computed while the client program wrote the file.
    pub sha256: String,
    /// The kind of the file, and facts about its content.
    #[serde(flatten)]
    pub content: Content,
}

/// The kind of a backup's file.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(tag = "kind", rename_all = "camelCase")]
pub enum Content {
    /// A plain `pg_dump --format=custom` archive of one database.
    Database(Box<DatabaseFacts>),
    /// SQL from `pg_dumpall --globals-only` that creates roles and tablespaces.
    #[serde(rename_all = "camelCase")]
    Globals {
        /// The command that wrote the file, without secrets.
        command: Vec<String>,
        /// Whether the file contains password hashes of roles.
        passwords: bool,
    },
    /// The list of tables of a database that has more than [`TABLES_INLINE`] tables. The list has a file of
    /// its own because every run reads every manifest.
    Tables {
        /// The name of the database to which the tables belong.
        database: String,
    },
}

/// Facts about one database, as of its snapshot.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct DatabaseFacts {
    /// The database's name.
    pub name: String,
    /// The database's OID.
    pub oid: u32,
    /// The time of the snapshot, which is the recovery point of this database.
    pub snapshot_time: Timestamp,
    /// The server's write position (on a standby: its replay position) at the snapshot, for example
    /// `0/1A2B3C4D`.
    pub snapshot_lsn: String,
    /// The time for which the snapshot and its table locks were held, in seconds.
    pub held_seconds: f64,
    /// The value of pg_dump's option `--compress`, for example `zstd:1`.
    pub compression: String,
    /// The command that wrote the archive, without secrets.
    pub command: Vec<String>,
    /// The properties that `CREATE DATABASE` needs to create the database again.
    pub definition: DatabaseDefinition,
    /// The versions of the database's extensions, by extension name.
    pub extensions: BTreeMap<String, String>,
    /// The number of objects in the archive by kind. The kinds are those of the archive's table of contents,
    /// for example `TABLE DATA`.
    pub objects: BTreeMap<String, u64>,
    /// The tables whose rows the policy leaves out of the archive (`dump.excludeTableData`), quoted as the
    /// server quotes them.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub excluded_table_data: Vec<String>,
    /// The size of all rows in COPY format, in bytes: the uncompressed size of the data. 0 if the archive was
    /// not read.
    #[serde(default)]
    pub data_bytes: u64,
    /// The tables whose rows are in the archive. Empty if the archive was not read, or if the list is stored
    /// in a file of its own ([`Content::Tables`]).
    pub tables: Vec<TableFacts>,
}

/// The properties that `CREATE DATABASE` and `ALTER DATABASE` need to create a database again.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct DatabaseDefinition {
    /// The role that owns the database.
    pub owner: String,
    /// The database's encoding, for example `UTF8`.
    pub encoding: String,
    /// The locale provider: `libc`, `icu` or `builtin`.
    pub locale_provider: String,
    /// The database's `LC_COLLATE`.
    pub collate: String,
    /// The database's `LC_CTYPE`.
    pub ctype: String,
    /// The locale of an `icu` or `builtin` provider; absent for `libc`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub locale: Option<String>,
    /// The additional ICU collation rules; absent if there are none.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub icu_rules: Option<String>,
    /// The version of the collation when the database was created.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub collation_version: Option<String>,
    /// The database's default tablespace.
    pub tablespace: String,
    /// The database's `CONNECTION LIMIT`; -1 means no limit.
    pub connection_limit: i32,
    /// The settings from `ALTER DATABASE ... SET` and `ALTER ROLE ... IN DATABASE ... SET`, by role name. An
    /// empty role name means all roles.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub settings: BTreeMap<String, Vec<String>>,
}

/// The rows of one table, as read from the archive.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct TableFacts {
    /// The table's OID on the server.
    pub oid: u32,
    /// The name of the table's schema.
    pub schema: String,
    /// The table's name.
    pub name: String,
    /// The column list of the table's COPY command, in the archive's order and quoting.
    pub columns: String,
    /// The number of rows in the archive.
    pub rows: u64,
    /// A hash of the rows that does not depend on their order: the sum modulo 2^128 of a 128-bit hash of each
    /// row's COPY line, as 32 hexadecimal digits.
    pub fingerprint: String,
}

/// One check of a stored backup.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Check {
    /// The time at which the check ended.
    pub time: Timestamp,
    /// The thoroughness of the check.
    pub level: Level,
    /// Whether the backup passed.
    pub result: CheckResult,
    /// The number of bytes that were read back and compared.
    pub bytes_read: u64,
    /// The number of bytes that the kernel read from the storage device for this check. If it is smaller than
    /// `bytes_read`, the rest came from a cache, and the check proves nothing about the device for that part.
    /// Absent for object stores.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub bytes_from_device: Option<u64>,
}

/// The thoroughness of a check.
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
#[strum(serialize_all = "lowercase")]
pub enum Level {
    /// Reads the stored bytes back and compares their size and SHA-256. Does not read the archive's content.
    Checksum,
    /// Does what `Checksum` does. Also reads the archive to its end, computes rows and fingerprint of each
    /// table, and compares the table of contents with the database's catalog.
    #[default]
    Archive,
    /// Does what `Archive` does. Also compares each table's rows with a count in the database, made in the
    /// same snapshot.
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
    /// Returns all levels, from the least thorough to the most thorough.
    pub fn all() -> impl Iterator<Item = Self> {
        Self::iter()
    }

    /// Returns the spelling in arguments, for example `archive`.
    pub fn as_str(self) -> &'static str {
        self.into()
    }
}

impl Manifest {
    /// Parses a manifest. Returns `None` if the text is not a manifest or has a later format version.
    pub fn parse(text: &str) -> Option<Self> {
        let manifest: Self = serde_json::from_str(text).ok()?;
        (manifest.format <= FORMAT).then_some(manifest)
    }

    /// Returns whether a text that [`Manifest::parse`] rejects is a manifest of a later format version.
    pub fn is_later(text: &str) -> bool {
        #[derive(Deserialize)]
        struct Format {
            format: u32,
        }
        serde_json::from_str::<Format>(text).is_ok_and(|it| it.format > FORMAT)
    }

    /// Returns whether each artifact's file name is a plain name and its SHA-256 has 64 hexadecimal digits. A
    /// path made of such a name cannot leave the backup's folder, even if the manifest was forged.
    pub fn is_plausible(&self) -> bool {
        self.artifacts.iter().all(|Artifact { file, sha256, .. }| {
            let is_plain = !file.is_empty() && !file.starts_with('.') && !file.contains(['/', '\\', '\0']);
            is_plain && sha256.len() == 64 && sha256.bytes().all(|byte| byte.is_ascii_hexdigit())
        })
    }

    /// Returns the content of [`SUMS_FILE`]: one line for each artifact.
    pub fn sums(&self) -> String {
        self.artifacts.iter().map(|artifact| sum(&artifact.sha256, &artifact.file)).collect()
    }

    /// Formats the manifest as it is stored: indented JSON with a final line break.
    pub fn to_json(&self) -> String {
        serde_json::to_string_pretty(self).expect("a manifest should always be JSON") + "\n"
    }

    /// Returns the size of all artifacts, in bytes. The sum saturates at `u64::MAX`, because a corrupted
    /// manifest may contain any numbers.
    pub fn size_bytes(&self) -> u64 {
        self.artifacts.iter().map(|artifact| artifact.size_bytes).fold(0, u64::saturating_add)
    }

    /// Returns the names of the databases in the backup.
    pub fn databases(&self) -> impl Iterator<Item = &str> {
        self.artifacts.iter().filter_map(|artifact| match &artifact.content {
            Content::Database(facts) => Some(facts.name.as_str()),
            _ => None,
        })
    }

    /// Moves each list of more than [`TABLES_INLINE`] tables to a file of its own. Adds these files to the
    /// artifacts, and returns the name and content of each for the caller to store.
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

    /// Fills in the list of tables of a database from its file. Ignores the file if it is not an artifact of
    /// this backup or its SHA-256 differs.
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
