//! The runner's command line. `kubectl describe` shows it in pods, and a person can run it.
//! `domain::invocation` defines the names, the spellings and the defaults of the options that the operator
//! writes.

mod backup;
mod common;
mod retention;
mod scrub;
mod store;
mod values;

use std::path::PathBuf;

use clap::{Args, Parser, Subcommand, ValueEnum};
use domain::invocation::program;

use self::retention::RetentionArgs;
pub use self::{
    backup::{BackupArgs, Config},
    common::{OperationArgs, RunArgs, StoredArgs},
    scrub::ScrubArgs,
};

/// Take and check backups of PostgreSQL databases. Runs in the pods that the pgbackup operator creates, and
/// anywhere else with psql, pg_dump, pg_dumpall and pg_restore. The connection comes from libpq's variables
/// PGHOST, PGPORT, PGUSER, PGPASSWORD and PGSSLMODE, or from a connection URI in PGBACKUP_URI.
#[derive(Debug, Parser)]
#[command(name = program::NAME, version, after_help = EXIT_CODES)]
pub struct Cli {
    #[command(subcommand)]
    pub command: Command,
}

const EXIT_CODES: &str = "Exit codes: 0 success; 10 to 39 failure that a retry can solve; 64 to 95 failure that a retry \
cannot solve; 101 panic. docs/reference/exit-codes.md lists them.";

#[derive(Debug, Subcommand)]
pub enum Command {
    /// Copy this program to a folder that a container with another image mounts
    #[command(name = program::INSTALL)]
    Install {
        /// Folder to copy the program to.
        folder: PathBuf,
    },
    /// Take a backup: dump the databases, upload the archives, read them back, write the manifest, and prune
    Backup(Box<BackupArgs>),
    /// Check stored backups: read them back, compare them with their manifests, and record the results in the
    /// repository
    Verify {
        #[command(flatten)]
        stored: StoredArgs,
        /// Name of a backup to check; repeatable. Default: the newest backup whose last check did not fail.
        #[arg(long = "backup", value_name = "BACKUP")]
        backups: Vec<String>,
    },
    /// Check the stored backups whose last check was longest ago, up to a share of all stored bytes
    Scrub(ScrubArgs),
    /// List the stored backups, newest first
    List {
        #[command(flatten)]
        stored: StoredArgs,
        /// Format of the output.
        #[arg(long, short, value_enum, default_value = "table")]
        output: Output,
    },
    /// Print which of the given backups retention would keep and delete, and why, without deleting any
    Plan(Box<PlanArgs>),
}

/// Arguments of `plan`.
#[derive(Debug, Args)]
pub struct PlanArgs {
    /// File with a list of backups in JSON, or - for the standard input: [{"id": "...", "time": "RFC 3339",
    /// "verified": true}, ...]. Each backup can have "databases": [...].
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
    /// A table with one line for each backup.
    Table,
    /// JSON for programs. A plan is {"keep": [{"id", "reasons"}], "delete": [{"id", "reason"}]}.
    Json,
}

/// Returns the first paragraph of the error, on one line and without the usage.
pub fn first_paragraph(error: &clap::Error) -> String {
    let text = error.to_string();
    let end = ["\n\nUsage:", "\n\nFor more information"].iter().filter_map(|end| text.find(end)).min();
    let lines = text[..end.unwrap_or(text.len())].lines().map(str::trim).filter(|line| !line.is_empty());
    lines.collect::<Vec<_>>().join(" ").trim_start_matches("error: ").to_owned()
}

#[cfg(test)]
mod tests;
