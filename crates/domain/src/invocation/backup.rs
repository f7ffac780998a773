//! The options of a backup run.

use std::time::Duration;

use super::{compression::Compression, flag, globals::Globals, line::Line};
use crate::{manifest::Level, retention::Rules};

/// The options of a backup run.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct BackupOptions {
    /// The IANA name of the time zone of the retention rules.
    pub time_zone: String,
    /// The databases to back up, as names and patterns.
    pub include: Vec<String>,
    /// The databases to exclude from the backup, as names and patterns.
    pub exclude: Vec<String>,
    /// Whether the backup contains roles and tablespaces, and whether with password hashes.
    pub globals: Globals,
    /// The options for pg_dump and for the session that locks the tables.
    pub dump: DumpOptions,
    /// The UID of the policy whose repository this policy takes over.
    pub adopt_from: Option<String>,
    /// The retention rules.
    pub rules: Rules,
    /// Whether retention only reports which backups it would delete.
    pub dry_run: bool,
    /// The level at which the backup is verified.
    pub level: Level,
    /// The percentage of its rows or bytes that a database can lose before the backup is suspicious.
    pub max_shrink: u8,
    /// The names of the suspicious backups that a person acknowledged.
    pub acknowledged: Vec<String>,
}

/// The options for dumping databases.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct DumpOptions {
    /// The compression of archives; `None` selects the best compression that pg_dump supports.
    pub compression: Option<Compression>,
    /// The maximum time that the backup waits for the lock of a table.
    pub lock_timeout: Duration,
    /// The tables whose rows are excluded, as patterns `<schema>.<table>`.
    pub exclude_table_data: Vec<String>,
    /// Whether the client programs can have a newer major version than the server.
    pub allow_newer_client: bool,
    /// Whether the backup fails if pg_dump leaves out rows of a table that belongs to an extension.
    pub strict_extensions: bool,
    /// The maximum lag of a standby behind its primary.
    pub max_replica_lag: Duration,
}

impl BackupOptions {
    pub(super) fn write(&self, line: &mut Line) {
        let Self {
            time_zone,
            include,
            exclude,
            globals,
            dump:
                DumpOptions {
                    compression,
                    lock_timeout,
                    exclude_table_data,
                    allow_newer_client,
                    strict_extensions,
                    max_replica_lag,
                },
            adopt_from,
            rules: Rules { keep, keep_within, minimum_verified, retired },
            dry_run,
            level,
            max_shrink,
            acknowledged,
        } = self;
        line.option(flag::TIME_ZONE, time_zone);
        line.options(flag::INCLUDE, include);
        line.options(flag::EXCLUDE, exclude);
        line.option(flag::GLOBALS, globals);
        line.options(flag::COMPRESS, compression);
        line.option(flag::LOCK_TIMEOUT, lock_timeout.as_secs());
        line.options(flag::EXCLUDE_TABLE_DATA, exclude_table_data);
        line.option(flag::MAX_REPLICA_LAG, max_replica_lag.as_secs());
        line.options(flag::ADOPT_FROM, adopt_from);
        for (bucket, count) in keep {
            line.option(flag::keep(*bucket), count);
        }
        for (bucket, within) in keep_within {
            line.option(flag::keep_within(*bucket), within);
        }
        line.option(flag::MINIMUM_VERIFIED, minimum_verified);
        line.options(flag::RETIRED, retired);
        line.option(flag::VERIFY, level);
        line.option(flag::MAX_SHRINK, max_shrink);
        line.options(flag::ACKNOWLEDGED, acknowledged);
        line.switch(flag::ALLOW_NEWER_CLIENT, *allow_newer_client);
        line.switch(flag::STRICT_EXTENSIONS, *strict_extensions);
        line.switch(flag::DRY_RUN, *dry_run);
    }
}
