//! The command line: one variant per command. The arguments of a command are in the command's file.

use clap::{Parser, Subcommand};

use crate::commands::next::NextArgs;

/// Work with the backups that pgbackup makes of PostgreSQL databases
#[derive(Debug, Parser)]
#[command(name = "kubectl pgbackup", bin_name = "kubectl pgbackup", version)]
pub struct Cli {
    #[command(subcommand)]
    pub command: Command,
}

#[derive(Debug, Subcommand)]
pub enum Command {
    Next(NextArgs),
}
