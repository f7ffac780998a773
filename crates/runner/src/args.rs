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

/// Takes verified backups of PostgreSQL. Runs in the pods of the pgbackup operator, and anywhere else with psql, pg_dump,
/// pg_dumpall and pg_restore. The connection is set by libpq's variables PGHOST, PGPORT, PGUSER, PGPASSWORD and PGSSLMODE,
/// or by a URI in PGBACKUP_URI.
#[derive(Debug, Parser)]
#[command(name = program::NAME, version, after_help = EXIT_CODES)]
pub struct Cli {
    #[command(subcommand)]
    pub command: Command,
}

const EXIT_CODES: &str = "Exit codes: 0 success; 10-39 failure that a retry may solve; 64-95 failure that needs a \
change first; 101 panic. docs/reference/reasons.md lists them.";

#[derive(Debug, Subcommand)]
pub enum Command {
    /// Copy this program into a folder, for a container with another image
    #[command(name = program::INSTALL)]
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

/// Returns the first paragraph of the error, on one line and without the usage.
pub fn first_paragraph(error: &clap::Error) -> String {
    let text = error.to_string();
    let end = ["\n\nUsage:", "\n\nFor more information"].iter().filter_map(|end| text.find(end)).min();
    let lines = text[..end.unwrap_or(text.len())].lines().map(str::trim).filter(|line| !line.is_empty());
    lines.collect::<Vec<_>>().join(" ").trim_start_matches("error: ").to_owned()
}

#[cfg(test)]
mod tests;
