//! Rules for `spec.dump`: timeouts, tables without data, and compression.

use super::Check;

/// `lockTimeout`, the time that pg_dump waits for a table's lock, must be a duration from 1s to 4m.
pub const LOCK_TIMEOUT: Check = Check {
    cel: "self.matches('^[0-9]{1,4}[smh]$') && duration(self) >= duration('1s') && duration(self) <= duration('4m')",
    message: "lockTimeout must be a number of seconds (s) or minutes (m) from 1s to 4m, for example 5s",
};

/// `maxReplicaLag`, the time that a standby may be behind its primary, must be a duration from 1s to 24h.
pub const REPLICA_LAG: Check = Check {
    cel: "self.matches('^[0-9]{1,5}[smh]$') && duration(self) >= duration('1s') && duration(self) <= duration('24h')",
    message: "maxReplicaLag must be a number of seconds (s), minutes (m) or hours (h) from 1s to 24h, for example 5m",
};

/// Each pattern of `excludeTableData` must contain a schema and a table, as in `public.sessions`.
pub const TABLE: Check = Check {
    cel: "self.all(pattern, pattern == '' || pattern.contains('.'))",
    message: "excludeTableData must contain tables as <schema>.<table>, for example public.sessions or audit.*",
};

/// The compression method `None` must have no `level`, or a level below 1.
pub const NO_LEVEL: Check = Check {
    cel: "self.method == 'None' ? !has(self.level) || self.level < 1 : true",
    message: "level requires a method other than None. Change method, for example to Zstd, or remove level.",
};

/// The `level` of the compression method `Gzip` must be at most 9.
pub const GZIP_LEVEL: Check = Check {
    cel: "self.method == 'Gzip' && has(self.level) ? self.level <= 9 : true",
    message: "level must be from 1 to 9 for the method Gzip",
};

/// The `level` of the compression method `Lz4` must be at most 12.
pub const LZ4_LEVEL: Check = Check {
    cel: "self.method == 'Lz4' && has(self.level) ? self.level <= 12 : true",
    message: "level must be from 1 to 12 for the method Lz4",
};

/// The `level` of the compression method `Zstd` must be at most 22.
pub const ZSTD_LEVEL: Check = Check {
    cel: "self.method == 'Zstd' && has(self.level) ? self.level <= 22 : true",
    message: "level must be from 1 to 22 for the method Zstd",
};
