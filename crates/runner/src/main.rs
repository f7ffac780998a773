//! pgbackup-runner: the program.

use std::process::ExitCode;

fn main() -> anyhow::Result<ExitCode> {
    pgbackup_runner::main()
}
