//! The kubectl plugin. kubectl runs it as `kubectl pgbackup`, because its name is `kubectl-pgbackup`.

mod args;
mod commands;
mod output;

use std::process::ExitCode;

use clap::Parser as _;

use crate::args::{Cli, Command};

fn main() -> ExitCode {
    let printed = match Cli::parse().command {
        Command::Next(args) => commands::next::next(&args),
    };
    match printed {
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
