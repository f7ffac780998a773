//! `pg_dump` of one database, inside a snapshot that a [`super::hold::Hold`] exported.

use std::time::Duration;

use super::{
    dump_error::DumpError,
    program::Program,
    tools::{self, Tools},
};

/// How a database is dumped.
#[derive(Clone, Copy, Debug)]
pub struct DumpOptions<'a> {
    pub database: &'a str,
    /// The database's encoding, which the archive keeps: with the `client_encoding` of a role or a database, the server
    /// would convert, or fail to.
    pub encoding: &'a str,
    /// The name of the exported snapshot.
    pub snapshot: &'a str,
    /// How long pg_dump waits for a lock.
    pub lock_timeout: Duration,
    /// The value of `--compress`: `zstd:1` or `1`.
    pub compression: &'a str,
    /// Tables whose rows are left out, quoted by the server.
    pub without_data: &'a [String],
}

/// Starts pg_dump and returns its command line too. pg_dump writes nothing before it has all its locks.
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
