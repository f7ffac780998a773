//! Starts `pg_dump` for one database, in a snapshot that a [`super::hold::Hold`] exported.

use std::time::Duration;

use super::{
    dump_error::DumpError,
    program::Program,
    tools::{self, Tools},
};

/// The options of one dump.
#[derive(Clone, Copy, Debug)]
pub struct DumpOptions<'a> {
    pub database: &'a str,
    /// The database's own encoding, which the archive keeps. Without it the server would convert to the
    /// `client_encoding` of the role or the database, which can fail.
    pub encoding: &'a str,
    /// The identifier of the exported snapshot.
    pub snapshot: &'a str,
    /// The maximum time that pg_dump waits for each lock.
    pub lock_timeout: Duration,
    /// The value of `--compress`, for example `zstd:1` or `1`.
    pub compression: &'a str,
    /// The tables whose rows are left out, quoted by the server.
    pub without_data: &'a [String],
}

/// Starts pg_dump. Returns the running program and its command line. pg_dump writes no output until it has
/// all its locks.
pub fn start(tools: &Tools, options: DumpOptions<'_>) -> Result<(Program, Vec<String>), DumpError> {
    let mut command = tools.dump("pg_dump", Some(options.database));
    command
        .arg("--format=custom")
        .arg(format!("--encoding={}", options.encoding))
        .arg(format!("--compress={}", options.compression))
        .arg(format!("--snapshot={}", options.snapshot))
        .arg(format!("--lock-wait-timeout={}", options.lock_timeout.as_millis()))
        .args(options.without_data.iter().map(|table| format!("--exclude-table-data={table}")));
    let line = tools::command_line(&command);
    Ok((Program::start(&mut command, "pg_dump")?, line))
}
