//! The command line. `kubectl describe` shows it, and a person can run it.

mod retention;
mod store;

use std::{path::PathBuf, time::Duration};

use clap::{Args, Parser, Subcommand, ValueEnum};
use domain::{
    manifest::{Level, PolicyIdentity},
    name,
    operation::Operation,
    report::{RunIdentity, Trigger},
    retention::Rules,
    schedule::{self, ScheduleError},
    suspicion,
};
use jiff::tz::TimeZone;

use self::{retention::RetentionArgs, store::StoreArgs};
use crate::{pg::compression::Compression, store::Target};

/// Takes verified backups of PostgreSQL. Runs in the pods that the pgbackup operator's CronJobs make, and anywhere
/// else where psql, `pg_dump`, `pg_dumpall` and `pg_restore` are. The connection comes from libpq's usual variables:
/// PGHOST, PGPORT, PGUSER, PGPASSWORD, PGSSLMODE; or from a URI in `PGBACKUP_URI`.
#[derive(Debug, Parser)]
#[command(name = "pgbackup-runner", version, after_help = EXIT_CODES)]
pub struct Cli {
    #[command(subcommand)]
    pub command: Command,
}

const EXIT_CODES: &str = "Exit codes: 0 a verified backup is stored; 10-39 failed, worth a retry; 64-95 failed, not \
worth one before something is changed. docs/reference/reasons.md lists them.";

/// What to do.
#[derive(Debug, Subcommand)]
pub enum Command {
    /// Backups this program into a folder, for a container that has another image.
    Install {
        /// The folder.
        folder: PathBuf,
    },
    /// Takes one backup: hold, dump, store, read back, write the manifest, prune.
    Backup(Box<BackupArgs>),
    /// Reads stored backups again, and writes beside each how it went: the newest check decides whether it counts.
    Verify {
        #[command(flatten)]
        stored: StoredArgs,
        /// The set; may be given many times. Default: the newest one.
        #[arg(long = "backup", value_name = "SET")]
        backups: Vec<String>,
    },
    /// The same for those that were not looked at for longest, up to a share of what is stored.
    Scrub(ScrubArgs),
    /// Lists the stored backups, newest first.
    List {
        #[command(flatten)]
        stored: StoredArgs,
        /// What to print.
        #[arg(long, short, value_enum, default_value = "table")]
        output: Output,
    },
    /// Says which of given backups the rules would keep and which they would delete, and why. Touches nothing.
    Plan(Box<PlanArgs>),
}

/// Which folder is looked into.
#[derive(Debug, Args)]
pub struct StoredArgs {
    /// The policy's namespace: the first folder in the store.
    #[arg(long)]
    pub namespace: String,
    /// The policy's name: the second folder in the store.
    #[arg(long)]
    pub policy: String,
    #[command(flatten)]
    store: StoreArgs,
}

impl StoredArgs {
    /// The store.
    pub fn target(&self) -> Target {
        self.store.clone().target()
    }
}

/// What a scrub is told.
#[derive(Debug, Args)]
pub struct ScrubArgs {
    #[command(flatten)]
    pub stored: StoredArgs,
    /// The policy's UID: then the report says what is left of its backups.
    #[arg(long)]
    pub policy_uid: Option<String>,
    /// How much of the stored bytes to read, in percent; one backup at least.
    #[arg(long, value_name = "PERCENT", default_value_t = 10, value_parser = clap::value_parser!(u8).range(1..=100))]
    pub share: u8,
    #[command(flatten)]
    pub run: RunArgs,
}

/// Which run it is, and where it says how it went.
#[derive(Debug, Args)]
pub struct RunArgs {
    /// The name of this run.
    #[arg(long, env = "PGBACKUP_JOB", default_value = "by-hand")]
    job: String,
    /// What tells this run from others of the same name.
    #[arg(long, env = "PGBACKUP_JOB_UID", default_value = "")]
    job_uid: String,
    /// Where the report goes, for the kubelet to pick up; nowhere if the file does not exist.
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

    /// Which run it is. `token` is a text that no other run has.
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

/// What a plan is told.
#[derive(Debug, Args)]
pub struct PlanArgs {
    /// A file with the backups, or - for the standard input: [{"id": "...", "time": "RFC 3339", "verified": true}, ...];
    /// each may have "databases": [...] too.
    #[arg(long, value_name = "FILE")]
    pub backups: PathBuf,
    /// What to print.
    #[arg(long, short, value_enum, default_value = "table")]
    pub output: Output,
    #[command(flatten)]
    pub retention: RetentionArgs,
}

/// How a plan is printed.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub enum Output {
    /// A line for each.
    Table,
    /// For programs; a plan is `{"keep": [{"id", "reasons"}], "delete": [{"id", "reason"}]}`.
    Json,
}

/// What a backup is told.
#[derive(Debug, Args)]
pub struct BackupArgs {
    /// The policy's namespace: the first folder in the store.
    #[arg(long)]
    namespace: String,
    /// The policy's name: the second folder in the store.
    #[arg(long)]
    pub policy: String,
    /// The policy's UID: the owner of that folder. Nothing of another owner is ever removed.
    #[arg(long)]
    policy_uid: String,
    #[command(flatten)]
    store: StoreArgs,
    /// A database, or a pattern with * and ?; may be given many times. Default: all databases.
    #[arg(long, default_value = "*", allow_hyphen_values = true)]
    include: Vec<String>,
    /// A database or pattern to leave out; may be given many times.
    #[arg(long, allow_hyphen_values = true)]
    exclude: Vec<String>,
    /// Whether roles and tablespaces are stored too.
    #[arg(long, value_enum, default_value = "without-passwords")]
    globals: Globals,
    #[command(flatten)]
    retention: RetentionArgs,
    /// Removes no backup, and logs which ones the rules would remove.
    #[arg(long)]
    dry_run: bool,
    /// The UID of the policy that owns the folder by now, to take it over with its backups.
    #[arg(long, value_name = "UID")]
    adopt_from: Option<String>,
    /// How archives are compressed, as pg_dump takes it: zstd:1, gzip:6, lz4:1 or none. Default: zstd:1, or gzip:1 where
    /// the client has nothing else.
    #[arg(long, value_name = "METHOD:LEVEL")]
    compress: Option<Compression>,
    /// Tables whose rows are left out: <schema>.<table>, with * and ?; may be given many times.
    #[arg(long, value_name = "PATTERN", allow_hyphen_values = true)]
    exclude_table_data: Vec<String>,
    /// Allows client tools of a newer major version than the server's.
    #[arg(long)]
    allow_newer_client: bool,
    /// Fails where a table of an extension holds rows that `pg_dump` leaves out.
    #[arg(long)]
    strict_extensions: bool,
    /// How far a standby may be behind its primary, in seconds.
    #[arg(long, value_name = "SECONDS", default_value_t = 300, value_parser = clap::value_parser!(u64).range(1..=86_400))]
    max_replica_lag: u64,
    /// How deep the backup is checked.
    #[arg(long, value_enum, default_value = "archive")]
    verify: Verify,
    /// How much less than before a database may hold, in percent, before its copy is suspicious; 100 never is.
    #[arg(long, value_name = "PERCENT", default_value_t = suspicion::MAX_SHRINK, value_parser = clap::value_parser!(u8).range(1..=100))]
    max_shrink: u8,
    /// A suspicious backup that is as it should be; may be given many times.
    #[arg(long, value_name = "SET")]
    acknowledged: Vec<String>,
    /// How long to wait for a table's lock, in seconds. Behind a waiting ALTER TABLE every reader of the table waits
    /// for the same time.
    #[arg(long, value_name = "SECONDS", default_value_t = 5, value_parser = clap::value_parser!(u64).range(1..=240))]
    lock_timeout: u64,
    /// How long to pause after that before the next of five tries, in seconds; up to a third more by chance.
    #[arg(long, value_name = "SECONDS", default_value_t = 30, value_parser = clap::value_parser!(u64).range(1..=3600))]
    retry_wait: u64,
    #[command(flatten)]
    pub run: RunArgs,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub enum Globals {
    /// Without password hashes.
    WithoutPasswords,
    /// With them.
    WithPasswords,
    /// Not at all.
    None,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
enum Verify {
    Checksum,
    Archive,
    Counts,
}

/// What a backup is told, in types that cannot be wrong.
#[derive(Debug)]
pub struct Config {
    /// Whose backup it is; its UID owns the folder.
    pub policy: PolicyIdentity,
    /// Which run this is.
    pub run: RunIdentity,
    /// Where backups go.
    pub store: Target,
    /// Of the retention rules' days, weeks and months.
    pub zone: TimeZone,
    /// Names and patterns of databases.
    pub include: Vec<String>,
    /// Those of databases to leave out.
    pub exclude: Vec<String>,
    /// Whether roles and tablespaces are stored, and how.
    pub globals: Globals,
    /// How databases are dumped.
    pub dump: DumpConfig,
    /// Client tools may be newer than the server.
    pub allow_newer_client: bool,
    /// How far a standby may be behind.
    pub max_replica_lag: Duration,
    /// How deep backups are checked.
    pub level: Level,
    /// How much less than before a database may hold, in percent.
    pub max_shrink: u8,
    /// Suspicious backups that are as they should be.
    pub acknowledged: Vec<String>,
    /// What stays.
    pub rules: Rules,
    /// Whether what does not is only named.
    pub dry_run: bool,
    /// Whose folder is taken over.
    pub adopt_from: Option<String>,
}

/// How databases are dumped.
#[derive(Debug)]
pub struct DumpConfig {
    /// How archives are compressed, if not as is best.
    pub compression: Option<Compression>,
    /// Patterns of tables whose rows are left out.
    pub exclude_table_data: Vec<String>,
    /// Rows in tables of extensions that are left out are a failure.
    pub strict_extensions: bool,
    /// How long to wait for a lock.
    pub lock_timeout: Duration,
    /// How long to pause, at least, before the next try.
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
    fn the_command_line_is_sound() {
        Cli::command().debug_assert();
    }

    #[test]
    fn a_pattern_may_begin_with_a_dash() {
        let words = "pgbackup-runner backup --namespace n --policy p --policy-uid u --store /b --include=-x --exclude=--y";
        let Command::Backup(args) = Cli::parse_from(words.split(' ')).command else { panic!("not a backup") };
        let identity = args.run.identity(Operation::Backup, "p", "token");
        let config = args.config(identity).unwrap();
        assert_eq!((config.include, config.exclude), (vec!["-x".to_owned()], vec!["--y".to_owned()]));
    }
}
