//! `kubectl pgbackup`: kubectl finds the program by its name, `kubectl-pgbackup`.

mod next;

use std::process::ExitCode;

use clap::{Parser, Subcommand, ValueEnum};

use crate::next::NextArgs;

/// What people ask of their PostgreSQL backups.
#[derive(Debug, Parser)]
#[command(name = "kubectl pgbackup", bin_name = "kubectl pgbackup", version)]
struct Cli {
    #[command(subcommand)]
    command: Command,
}

#[derive(Debug, Subcommand)]
enum Command {
    /// Prints when a schedule's next backups are due. Asks no cluster: try a schedule before it is in a policy.
    Next(NextArgs),
}

/// How something is printed.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
enum Output {
    /// For people.
    Table,
    /// For programs.
    Json,
}

fn main() -> ExitCode {
    let Command::Next(args) = Cli::parse().command;
    match next::next(&args) {
        Ok(text) => {
            print!("{text}");
            ExitCode::SUCCESS
        }
        Err(error) => {
            eprintln!("error: {error}");
            ExitCode::FAILURE
        }
    }
}
