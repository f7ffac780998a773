//! The arguments of the subcommand `backup`.

use std::time::Duration;

use clap::Args;
use domain::{
    invocation::{BackupOptions, Compression, DumpOptions, Globals, default, flag},
    manifest::{Level, PolicyIdentity},
    report::RunIdentity,
    schedule::{self, ScheduleError},
    suspicion_rules,
};
use jiff::tz::TimeZone;

use super::{common::OperationArgs, retention::RetentionArgs, values::one_of};
use crate::store::Target;

/// Arguments of `backup`.
#[derive(Debug, Args)]
pub struct BackupArgs {
    #[command(flatten)]
    pub common: OperationArgs,
    /// UID of the policy. If it owns the repository, the run removes expired backups; backups of another
    /// owner are never removed.
    #[arg(long = flag::POLICY_UID)]
    policy_uid: String,
    /// Database to back up, or a pattern with * and ?; repeatable. The pattern * stands for all databases.
    #[arg(long = flag::INCLUDE, default_value = default::INCLUDE, allow_hyphen_values = true)]
    include: Vec<String>,
    /// Database to exclude, or a pattern; repeatable.
    #[arg(long = flag::EXCLUDE, allow_hyphen_values = true)]
    exclude: Vec<String>,
    /// Whether to store roles and tablespaces, and whether with the password hashes of the roles.
    #[arg(
        long = flag::GLOBALS,
        default_value_t,
        value_parser = one_of::<Globals>(Globals::all().map(Globals::as_str))
    )]
    globals: Globals,
    #[command(flatten)]
    retention: RetentionArgs,
    /// Remove no backups, and log which backups retention would remove.
    #[arg(long = flag::DRY_RUN)]
    dry_run: bool,
    /// UID of another policy that owns the repository. This policy takes over the repository and its backups.
    #[arg(long = flag::ADOPT_FROM, value_name = "UID")]
    adopt_from: Option<String>,
    /// Compression of archives: zstd:1, gzip:6, lz4:1 or none. Default: zstd:1, or gzip:1 if pg_dump has no
    /// zstd.
    #[arg(long = flag::COMPRESS, value_name = "METHOD:LEVEL")]
    compress: Option<Compression>,
    /// Tables whose rows are excluded: <schema>.<table>, with * and ?; repeatable.
    #[arg(long = flag::EXCLUDE_TABLE_DATA, value_name = "PATTERN", allow_hyphen_values = true)]
    exclude_table_data: Vec<String>,
    /// Allow client tools with a newer major version than the server.
    #[arg(long = flag::ALLOW_NEWER_CLIENT)]
    allow_newer_client: bool,
    /// Fail if a table of an extension has rows that pg_dump does not dump.
    #[arg(long = flag::STRICT_EXTENSIONS)]
    strict_extensions: bool,
    /// Maximum replication lag of a standby, in seconds.
    #[arg(
        long = flag::MAX_REPLICA_LAG,
        value_name = "SECONDS",
        default_value_t = default::MAX_REPLICA_LAG.as_secs(),
        value_parser = clap::value_parser!(u64).range(1..=86_400)
    )]
    max_replica_lag: u64,
    /// Level at which the new backup is verified.
    #[arg(
        long = flag::VERIFY,
        default_value_t,
        value_parser = one_of::<Level>(Level::all().map(Level::as_str))
    )]
    verify: Level,
    /// Loss of a database's rows or bytes that makes the backup suspicious, in percent; 100 turns this check
    /// off.
    #[arg(
        long = flag::MAX_SHRINK,
        value_name = "PERCENT",
        default_value_t = suspicion_rules::MAX_SHRINK,
        value_parser = clap::value_parser!(u8).range(1..=100)
    )]
    max_shrink: u8,
    /// Name of a suspicious backup that a person acknowledged; repeatable.
    #[arg(long = flag::ACKNOWLEDGED, value_name = "BACKUP")]
    acknowledged: Vec<String>,
    /// Longest wait for the lock of a table, in seconds. Queries behind a queued ALTER TABLE wait as long.
    #[arg(
        long = flag::LOCK_TIMEOUT,
        value_name = "SECONDS",
        default_value_t = default::LOCK_TIMEOUT.as_secs(),
        value_parser = clap::value_parser!(u64).range(1..=240)
    )]
    lock_timeout: u64,
    /// Pause before the next round after a lock timeout, in seconds, plus up to a third at random. A database
    /// has five rounds.
    #[arg(long, value_name = "SECONDS", default_value_t = 30, value_parser = clap::value_parser!(u64).range(1..=3600))]
    retry_wait: u64,
}

/// The validated arguments of the subcommand `backup`.
#[derive(Debug)]
pub struct Config {
    pub policy: PolicyIdentity,
    pub run: RunIdentity,
    pub store: Target,
    /// The time zone of the retention rules.
    pub zone: TimeZone,
    pub options: BackupOptions,
    /// The shortest pause before the next round, after a lock timeout.
    pub retry_wait: Duration,
}

impl BackupArgs {
    /// Validates the arguments that clap cannot validate, and converts all of them. Returns an error if the
    /// time zone is invalid.
    pub fn config(self, run: RunIdentity) -> Result<Config, ScheduleError> {
        let stored = self.common.stored;
        Ok(Config {
            run,
            store: stored.target(),
            policy: PolicyIdentity { namespace: stored.namespace, name: stored.policy, uid: self.policy_uid },
            zone: schedule::time_zone(&self.retention.time_zone)?,
            options: BackupOptions {
                rules: self.retention.rules(),
                time_zone: self.retention.time_zone,
                include: self.include,
                exclude: self.exclude,
                globals: self.globals,
                dump: DumpOptions {
                    compression: self.compress,
                    lock_timeout: Duration::from_secs(self.lock_timeout),
                    exclude_table_data: self.exclude_table_data,
                    allow_newer_client: self.allow_newer_client,
                    strict_extensions: self.strict_extensions,
                    max_replica_lag: Duration::from_secs(self.max_replica_lag),
                },
                adopt_from: self.adopt_from,
                dry_run: self.dry_run,
                level: self.verify,
                max_shrink: self.max_shrink,
                acknowledged: self.acknowledged,
            },
            retry_wait: Duration::from_secs(self.retry_wait),
        })
    }
}
