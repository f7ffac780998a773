//! The command line, which `kubectl describe` shows and a person can run.

mod retention;
mod store;

use std::{path::PathBuf, time::Duration};

use clap::{Args, Parser, Subcommand, ValueEnum};
use domain::{
    comparison,
    manifest::{Level, PolicyIdentity},
    name,
    operation::Operation,
    report::{RunIdentity, Trigger},
    retention::Rules,
    schedule::{self, ScheduleError},
};
use jiff::tz::TimeZone;

use self::{retention::RetentionArgs, store::StoreArgs};
use crate::{pg::compression::Compression, store::Target};

/// Takes verified backups of PostgreSQL. Runs in the pods of the pgbackup operator, and anywhere else with psql, pg_dump,
/// pg_dumpall and pg_restore. The connection is set by libpq's variables PGHOST, PGPORT, PGUSER, PGPASSWORD and PGSSLMODE,
/// or by a URI in PGBACKUP_URI.
#[derive(Debug, Parser)]
#[command(name = "pgbackup-runner", version, after_help = EXIT_CODES)]
pub struct Cli {
    #[command(subcommand)]
    pub command: Command,
}

const EXIT_CODES: &str = "Exit codes: 0 success; 10-39 failure that a retry may solve; 64-95 failure that needs a \
change first; 101 panic. docs/reference/reasons.md lists them.";

#[derive(Debug, Subcommand)]
pub enum Command {
    /// Copy this program into a folder, for a container with another image
    Install {
        /// Folder to copy to.
        folder: PathBuf,
    },
    /// Take a backup: dump, upload, read back, write the manifest, prune
    Backup(Box<BackupArgs>),
    /// Read stored backups back, compare them with their manifests, and record the outcome beside each
    Verify {
        #[command(flatten)]
        stored: StoredArgs,
        /// Backup to verify; repeatable. Default: the newest one.
        #[arg(long = "backup", value_name = "BACKUP")]
        backups: Vec<String>,
    },
    /// Verify the backups that were not checked for longest, up to a share of the stored bytes
    Scrub(ScrubArgs),
    /// List the stored backups, newest first
    List {
        #[command(flatten)]
        stored: StoredArgs,
        /// Format of the output.
        #[arg(long, short, value_enum, default_value = "table")]
        output: Output,
    },
    /// Print which of given backups retention would keep or delete, and why; changes nothing
    Plan(Box<PlanArgs>),
}

/// The repository of a policy.
#[derive(Debug, Args)]
pub struct StoredArgs {
    /// Namespace of the policy: the first folder in the store.
    #[arg(long, value_parser = name::valid)]
    pub namespace: String,
    /// Name of the policy: the second folder in the store.
    #[arg(long, value_parser = name::valid)]
    pub policy: String,
    #[command(flatten)]
    store: StoreArgs,
}

impl StoredArgs {
    pub fn target(&self) -> Target {
        self.store.clone().target()
    }
}

/// Arguments of `scrub`.
#[derive(Debug, Args)]
pub struct ScrubArgs {
    #[command(flatten)]
    pub stored: StoredArgs,
    /// UID of the policy, which makes the report include the number and size of its backups.
    #[arg(long)]
    pub policy_uid: Option<String>,
    /// Share of the stored bytes to read, in percent; at least one backup is read.
    #[arg(long, value_name = "PERCENT", default_value_t = domain::scrub::SHARE, value_parser = clap::value_parser!(u8).range(1..=100))]
    pub share: u8,
    #[command(flatten)]
    pub run: RunArgs,
}

/// Identity and report of a run.
#[derive(Debug, Args)]
pub struct RunArgs {
    /// Name of this run.
    #[arg(long, env = "PGBACKUP_JOB", default_value = "by-hand", value_parser = name::valid)]
    job: String,
    /// Identifier that distinguishes this run from others of the same name.
    #[arg(long, env = "PGBACKUP_JOB_UID", default_value = "")]
    job_uid: String,
    /// File for the report, which the kubelet reads; no report is written if the file does not exist.
    #[arg(long, env = "PGBACKUP_TERMINATION_LOG", default_value = "/dev/termination-log")]
    pub termination_log: PathBuf,
}

impl RunArgs {
    /// The values of the environment, where the arguments cannot be parsed.
    pub fn from_environment() -> Self {
        #[derive(Parser)]
        struct Environment {
            #[command(flatten)]
            run: RunArgs,
        }
        Environment::parse_from(["pgbackup-runner"]).run
    }

    /// `token` is a text that no other run has; it stands for a missing UID.
    pub fn identity(&self, operation: Operation, policy: &str, token: &str) -> RunIdentity {
        let scheduled_time = name::slot(&operation.cron_job(policy), &self.job);
        RunIdentity {
            job: self.job.clone(),
            job_uid: if self.job_uid.is_empty() { token } else { &self.job_uid }.to_owned(),
            trigger: if scheduled_time.is_some() { Trigger::Schedule } else { Trigger::Manual },
            scheduled_time,
        }
    }
}

/// Arguments of `plan`.
#[derive(Debug, Args)]
pub struct PlanArgs {
    /// File with the backups, or - for the standard input: [{"id": "...", "time": "RFC 3339", "verified": true}, ...].
    /// Each backup may have "databases": [...].
    #[arg(long, value_name = "FILE")]
    pub backups: PathBuf,
    /// Format of the output.
    #[arg(long, short, value_enum, default_value = "table")]
    pub output: Output,
    #[command(flatten)]
    pub retention: RetentionArgs,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub enum Output {
    /// One line for each backup.
    Table,
    /// For programs; a plan is {"keep": [{"id", "reasons"}], "delete": [{"id", "reason"}]}.
    Json,
}

/// Arguments of `backup`.
#[derive(Debug, Args)]
pub struct BackupArgs {
    /// Namespace of the policy: the first folder in the store.
    #[arg(long, value_parser = name::valid)]
    namespace: String,
    /// Name of the policy: the second folder in the store.
    #[arg(long, value_parser = name::valid)]
    pub policy: String,
    /// UID of the policy, which owns the repository. Backups of another owner are never removed.
    #[arg(long)]
    policy_uid: String,
    #[command(flatten)]
    store: StoreArgs,
    /// Database to back up, or a pattern with * and ?; repeatable. Default: all databases.
    #[arg(long, default_value = "*", allow_hyphen_values = true)]
    include: Vec<String>,
    /// Database to exclude, or a pattern; repeatable.
    #[arg(long, allow_hyphen_values = true)]
    exclude: Vec<String>,
    /// Whether to store roles and tablespaces.
    #[arg(long, value_enum, default_value = "without-passwords")]
    globals: Globals,
    #[command(flatten)]
    retention: RetentionArgs,
    /// Remove no backup, but log those that retention would remove.
    #[arg(long)]
    dry_run: bool,
    /// UID of the policy that owns the repository now: takes the repository over, with its backups.
    #[arg(long, value_name = "UID")]
    adopt_from: Option<String>,
    /// Compression of archives: zstd:1, gzip:6, lz4:1 or none. Default: zstd:1, or gzip:1 where pg_dump has only gzip.
    #[arg(long, value_name = "METHOD:LEVEL")]
    compress: Option<Compression>,
    /// Tables whose rows are excluded: <schema>.<table>, with * and ?; repeatable.
    #[arg(long, value_name = "PATTERN", allow_hyphen_values = true)]
    exclude_table_data: Vec<String>,
    /// Allow client tools with a newer major version than the server.
    #[arg(long)]
    allow_newer_client: bool,
    /// Fail if a table of an extension has rows that pg_dump does not dump.
    #[arg(long)]
    strict_extensions: bool,
    /// Longest lag of a standby behind its primary, in seconds.
    #[arg(long, value_name = "SECONDS", default_value_t = 300, value_parser = clap::value_parser!(u64).range(1..=86_400))]
    max_replica_lag: u64,
    /// Level of verification.
    #[arg(long, value_enum, default_value = "archive")]
    verify: Verify,
    /// Shrinkage of a database that makes a backup suspicious, in percent; 100 turns this check off.
    #[arg(long, value_name = "PERCENT", default_value_t = comparison::MAX_SHRINK, value_parser = clap::value_parser!(u8).range(1..=100))]
    max_shrink: u8,
    /// Suspicious backup that a person acknowledged; repeatable.
    #[arg(long, value_name = "BACKUP")]
    acknowledged: Vec<String>,
    /// Longest wait for the locks of tables, in seconds. Queries behind a queued ALTER TABLE wait as long.
    #[arg(long, value_name = "SECONDS", default_value_t = 5, value_parser = clap::value_parser!(u64).range(1..=240))]
    lock_timeout: u64,
    /// Pause before the next of five rounds after a lock timeout, in seconds, randomly up to a third longer.
    #[arg(long, value_name = "SECONDS", default_value_t = 30, value_parser = clap::value_parser!(u64).range(1..=3600))]
    retry_wait: u64,
    #[command(flatten)]
    pub run: RunArgs,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub enum Globals {
    /// Roles and tablespaces without password hashes.
    WithoutPasswords,
    /// Roles with password hashes, and tablespaces.
    WithPasswords,
    /// Neither roles nor tablespaces.
    None,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
enum Verify {
    Checksum,
    Archive,
    Counts,
}

/// The validated arguments of `backup`.
#[derive(Debug)]
pub struct Config {
    pub policy: PolicyIdentity,
    pub run: RunIdentity,
    pub store: Target,
    /// The time zone of the retention rules.
    pub zone: TimeZone,
    /// Names and patterns of databases.
    pub include: Vec<String>,
    /// Names and patterns of databases.
    pub exclude: Vec<String>,
    pub globals: Globals,
    pub dump: DumpConfig,
    pub allow_newer_client: bool,
    pub max_replica_lag: Duration,
    pub level: Level,
    /// In percent.
    pub max_shrink: u8,
    /// Suspicious backups that the policy acknowledges.
    pub acknowledged: Vec<String>,
    pub rules: Rules,
    pub dry_run: bool,
    /// The UID of the policy whose repository is taken over.
    pub adopt_from: Option<String>,
}

#[derive(Debug)]
pub struct DumpConfig {
    /// `None`: the best method that pg_dump has.
    pub compression: Option<Compression>,
    /// Patterns of tables.
    pub exclude_table_data: Vec<String>,
    pub strict_extensions: bool,
    pub lock_timeout: Duration,
    /// The shortest pause before the next round.
    pub retry_wait: Duration,
}

impl BackupArgs {
    /// Checks what clap cannot.
    pub fn config(self, run: RunIdentity) -> Result<Config, ScheduleError> {
        Ok(Config {
            run,
            policy: PolicyIdentity { namespace: self.namespace, name: self.policy, uid: self.policy_uid },
            store: self.store.target(),
            zone: schedule::time_zone(&self.retention.time_zone)?,
            include: self.include,
            exclude: self.exclude,
            globals: self.globals,
            dump: DumpConfig {
                compression: self.compress,
                exclude_table_data: self.exclude_table_data,
                strict_extensions: self.strict_extensions,
                lock_timeout: Duration::from_secs(self.lock_timeout),
                retry_wait: Duration::from_secs(self.retry_wait),
            },
            allow_newer_client: self.allow_newer_client,
            max_replica_lag: Duration::from_secs(self.max_replica_lag),
            level: match self.verify {
                Verify::Checksum => Level::Checksum,
                Verify::Archive => Level::Archive,
                Verify::Counts => Level::Counts,
            },
            max_shrink: self.max_shrink,
            acknowledged: self.acknowledged,
            rules: self.retention.rules(),
            dry_run: self.dry_run,
            adopt_from: self.adopt_from,
        })
    }
}

/// What is wrong with the arguments, on one line and without the usage.
pub fn first_paragraph(error: &clap::Error) -> String {
    let text = error.to_string();
    let end = ["\n\nUsage:", "\n\nFor more information"].iter().filter_map(|end| text.find(end)).min();
    let lines = text[..end.unwrap_or(text.len())].lines().map(str::trim).filter(|line| !line.is_empty());
    lines.collect::<Vec<_>>().join(" ").trim_start_matches("error: ").to_owned()
}

#[cfg(test)]
mod tests {
    use clap::CommandFactory as _;

    use super::*;

    #[test]
    fn runner_command_line_definition_is_valid() {
        Cli::command().debug_assert();
    }

    #[test]
    fn database_pattern_with_a_leading_dash_is_accepted() {
        let words = "pgbackup-runner backup --namespace n --policy p --policy-uid u --store /b --include=-x --exclude=--y";
        let Command::Backup(args) = Cli::parse_from(words.split(' ')).command else { panic!("not a backup") };
        let identity = args.run.identity(Operation::Backup, "p", "token");
        let config = args.config(identity).unwrap();
        assert_eq!((config.include, config.exclude), (vec!["-x".to_owned()], vec!["--y".to_owned()]));
    }

    #[test]
    fn runner_rejects_names_that_escape_the_store() {
        let line = |names: &str| {
            let line = format!("pgbackup-runner backup --policy-uid u --store /b {names}");
            Cli::try_parse_from(line.split(' ').map(str::to_owned)).map(drop)
        };
        assert!(line("--namespace n --policy p --job shop-backup-1").is_ok());
        for names in [
            "--namespace .. --policy p",
            "--namespace n --policy a/b",
            "--namespace n --policy p --job ../../x",
        ] {
            let error = line(names).expect_err(names).to_string();
            assert!(error.contains("is not a valid name"), "{error}");
        }
    }
}
