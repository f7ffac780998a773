//! pg_dump of one held database, streamed into the store with size and SHA-256, and parsed beside it.

use std::{process::ExitStatus, time::Duration};

use archive::rows::Contents;
use domain::{reason::Reason, report::Stage};
use sha2::{Digest, Sha256};
use tokio::{process::Command, sync::oneshot};

use super::{
    archive::{ArchiveError, ArchiveReader},
    error::ToolError,
    pipe::Output,
    stderr,
    tools::{self, Tools},
};
use crate::{
    failpoint,
    store::{StoreError, Upload},
};

/// How much of a list of tables goes into a message, in bytes.
const TABLES_MAX: usize = 120;

/// A database, stored but not yet read back.
#[derive(Debug)]
pub struct Dumped {
    /// Its bytes.
    pub size: u64,
    /// Their SHA-256.
    pub sha256: String,
    /// What the parser found in the stream, if it was asked to; `Err` when the stored copy must be parsed instead.
    pub contents: Result<Contents, ArchiveError>,
    /// Lines of pg_dump's standard error.
    pub warnings: Vec<String>,
    /// The command line.
    pub command: Vec<String>,
}

/// A dump that failed.
#[derive(Debug, thiserror::Error)]
pub enum DumpError {
    /// A program could not be started.
    #[error("{program} could not be started: {source}")]
    Start {
        /// Which.
        program: &'static str,
        /// Why.
        source: std::io::Error,
    },
    /// pg_dump's pipe broke.
    #[error("reading from {program} failed: {source}")]
    Read {
        /// Which.
        program: &'static str,
        /// Why.
        source: std::io::Error,
    },
    /// The parser could not be started.
    #[error(transparent)]
    Archive(#[from] ArchiveError),
    /// The store failed.
    #[error(transparent)]
    Store(#[from] StoreError),
    /// pg_dump waited longer than it may for a table's lock.
    #[error("pg_dump could not lock {tables} in time: {error}")]
    LockTimeout {
        /// Those that it tried to lock.
        tables: String,
        /// Its words.
        error: ToolError,
    },
    /// The snapshot was gone before pg_dump imported it.
    #[error("the session that holds the snapshot was gone: {0}")]
    SnapshotGone(ToolError),
    /// pg_dump was built without the library that compresses so.
    #[error("{0}")]
    NoSuchCompression(ToolError),
    /// pg_dump was content and wrote nothing.
    #[error("pg_dump ended well and wrote nothing")]
    Empty,
    /// Nobody but the kernel, short of memory, kills a program of ours with signal 9.
    #[error("{program} was killed by signal 9: the pod ran out of memory")]
    Killed {
        /// Which.
        program: &'static str,
    },
    /// pg_dump failed.
    #[error("{0}")]
    Failed(ToolError),
}

impl DumpError {
    /// The reason word.
    pub fn reason(&self) -> Reason {
        match self {
            Self::Start { .. } => Reason::InvalidConfiguration,
            Self::Read { .. } | Self::Empty | Self::NoSuchCompression(_) => Reason::DumpFailed,
            Self::Archive(error) => error.reason(),
            Self::Store(error) => error.reason(),
            Self::LockTimeout { .. } => Reason::LockTimeout,
            Self::SnapshotGone(_) => Reason::HoldLost,
            Self::Killed { .. } => Reason::OutOfMemory,
            Self::Failed(error) => error.reason(Reason::DumpFailed),
        }
    }
}

/// How a database is dumped.
#[derive(Clone, Copy, Debug)]
pub struct DumpOptions<'a> {
    /// The database.
    pub database: &'a str,
    /// Its encoding, which is the archive's: a role's or a database's `client_encoding` would convert, or fail to.
    pub encoding: &'a str,
    /// The snapshot that a [`super::hold::Hold`] exported.
    pub snapshot: &'a str,
    /// How long pg_dump may wait for a lock.
    pub lock_timeout: Duration,
    /// `zstd:1` or `1`, as pg_dump's `--compress` takes it.
    pub compression: &'a str,
    /// Tables whose rows are left out, as the server quotes them.
    pub without_data: &'a [String],
    /// Whether the archive is read beside the dump.
    pub parse: bool,
}

/// Dumps into `file`. `locked` is sent when pg_dump has all its locks: it writes nothing before.
pub async fn dump(
    tools: &Tools,
    options: DumpOptions<'_>,
    file: &mut Upload,
    locked: oneshot::Sender<()>,
) -> Result<Dumped, DumpError> {
    let mut command = tools.dump("pg_dump", Some(options.database));
    command
        .arg("--format=custom")
        .arg(format!("--encoding={}", options.encoding))
        .arg(format!("--compress={}", options.compression))
        .arg(format!("--snapshot={}", options.snapshot))
        .arg(format!("--lock-wait-timeout={}", options.lock_timeout.as_millis()))
        .args(options.without_data.iter().map(|table| format!("--exclude-table-data={table}")));
    let words = tools::command_line(&command);
    let mut reader = options.parse.then(ArchiveReader::start).transpose()?;
    let stream = run(&mut command, "pg_dump", file, reader.as_mut(), Some(locked)).await?;
    let contents = match reader {
        Some(reader) => reader.finish().await,
        None => Ok(Contents::default()),
    };
    Ok(Dumped {
        size: stream.size,
        sha256: stream.sha256,
        contents,
        warnings: stream.warnings,
        command: words,
    })
}

/// What went through the pipe.
#[derive(Debug)]
pub struct Stream {
    /// Its bytes.
    pub size: u64,
    /// Their SHA-256.
    pub sha256: String,
    /// Lines of the program's standard error.
    pub warnings: Vec<String>,
}

/// Runs a program and stores what it writes. Its exit status decides, never the end of its output.
pub async fn run(
    command: &mut Command,
    program: &'static str,
    file: &mut Upload,
    mut reader: Option<&mut ArchiveReader>,
    mut locked: Option<oneshot::Sender<()>>,
) -> Result<Stream, DumpError> {
    let mut child = command.spawn().map_err(|source| DumpError::Start { program, source })?;
    let mut output = Output::new(child.stdout.take().expect("stdout should be piped"));
    let stderr = child.stderr.take().expect("stderr should be piped");
    let words = tokio::spawn(stderr::words(stderr, stderr::ALL));
    let mut hasher = Sha256::new();
    let mut size = 0;
    while let Some(piece) = output.next().await.map_err(|source| DumpError::Read { program, source })? {
        if let Some(locked) = locked.take() {
            // Nobody waits for it any more when the holder ended by itself.
            let _ = locked.send(());
        }
        hasher.update(&piece);
        size += piece.len() as u64;
        file.write(piece.clone()).await?;
        if let Some(reader) = &mut reader {
            reader.push(piece).await;
        }
        failpoint::reach(Stage::Dump).await;
    }
    let status = child.wait().await.map_err(|source| DumpError::Read { program, source })?;
    let stderr = words.await.unwrap_or_default();
    if !status.success() {
        return Err(failure(program, &stderr, status));
    }
    let warnings = stderr.lines().map(str::trim).filter(|line| !line.is_empty()).map(str::to_owned).collect();
    Ok(Stream { size, sha256: domain::hash::hex(&hasher.finalize()), warnings })
}

fn failure(program: &'static str, stderr: &str, status: ExitStatus) -> DumpError {
    if tools::was_killed(status) {
        return DumpError::Killed { program };
    }
    if stderr.trim().is_empty() {
        let words = format!("{program} ended with {status} and without a word");
        return DumpError::Failed(ToolError::new(program, &words));
    }
    classify(ToolError::new(program, stderr))
}

/// What stands before the statement that failed: in pg_dump since version 15, and in those before it.
const STATEMENT: [&str; 2] = ["pg_dump: detail: Query was: ", "pg_dump: error: query was: "];

/// pg_dump names the statement that failed, in English whatever the server speaks, on a line of its own. Names of
/// tables may hold any words, so nothing else is searched for them.
fn classify(error: ToolError) -> DumpError {
    if error.stderr.starts_with("pg_dump: error: this build does not support compression with ") {
        return DumpError::NoSuchCompression(error);
    }
    let mut lines = error.stderr.lines();
    let statement = lines.find_map(|line| STATEMENT.iter().find_map(|words| line.strip_prefix(words)));
    match statement {
        Some(statement) if statement.starts_with("SET TRANSACTION SNAPSHOT ") => {
            DumpError::SnapshotGone(error)
        }
        Some(statement) if statement.starts_with("LOCK TABLE ") && !is_no_timeout(&error) => {
            DumpError::LockTimeout { tables: locked_tables(statement), error }
        }
        _ => DumpError::Failed(error),
    }
}

/// What else ends a LOCK TABLE. The server's words are in its own language; where they are not known, the timeout is
/// by far the likeliest.
fn is_no_timeout(error: &ToolError) -> bool {
    let first = error.stderr.lines().next().unwrap_or_default();
    error.reason(Reason::LockTimeout) != Reason::LockTimeout
        || ["ERROR:  relation ", "ERROR:  deadlock detected", "server closed the connection", "FATAL:  "]
            .iter()
            .any(|words| first.contains(words))
}

/// `LOCK TABLE public.a, public.b IN ACCESS SHARE MODE`: what is between, cut to what a message can hold.
fn locked_tables(statement: &str) -> String {
    let tables = statement.trim_start_matches("LOCK TABLE ");
    let mut tables =
        tables.split_once(" IN ACCESS SHARE MODE").map_or(tables, |(tables, _)| tables).to_owned();
    domain::report::cut(&mut tables, TABLES_MAX);
    tables
}

#[cfg(test)]
mod tests {
    use super::*;

    fn reason(stderr: &str) -> Reason {
        classify(ToolError::new("pg_dump", stderr)).reason()
    }

    fn failed(message: &str, statement: &str) -> String {
        format!("pg_dump: error: query failed: {message}\npg_dump: detail: Query was: {statement}\n")
    }

    #[test]
    fn a_failed_lock_is_told_from_what_else_ends_the_statement() {
        let lock = "LOCK TABLE public.goods IN ACCESS SHARE MODE";
        for (message, wanted) in [
            ("ERROR:  canceling statement due to statement timeout", Reason::LockTimeout),
            ("FEHLER:  storniere Anfrage wegen Zeitüberschreitung der Anfrage", Reason::LockTimeout),
            ("ERROR:  permission denied for table goods", Reason::MissingPrivilege),
            ("ERROR:  relation \"public.goods\" does not exist", Reason::DumpFailed),
            ("FATAL:  terminating connection due to administrator command", Reason::DumpFailed),
            (
                "ERROR:  out of shared memory\nHINT:  You might need to increase \"max_locks_per_transaction\".",
                Reason::LockTableTooSmall,
            ),
        ] {
            assert_eq!(reason(&failed(message, lock)), wanted, "{message}");
        }
    }

    #[test]
    fn a_lost_snapshot_is_told_by_the_statement_and_not_by_a_tables_name() {
        let gone = failed("ERROR:  invalid snapshot identifier", "SET TRANSACTION SNAPSHOT '00000003-1'");
        assert_eq!(reason(&gone), Reason::HoldLost);
        let named = failed(
            "ERROR:  could not read block 0 in file \"base/1/2\"",
            "COPY public.order_snapshots (id) TO stdout;",
        );
        assert_eq!(reason(&named), Reason::DumpFailed);
        let named = failed("ERROR:  invalid page", "COPY public.\"LOCK TABLE\" (id) TO stdout;");
        assert_eq!(reason(&named), Reason::DumpFailed);
    }

    #[test]
    fn a_lock_timeout_names_the_tables() {
        let statement = "LOCK TABLE public.a, public.b IN ACCESS SHARE MODE";
        let of_14 = format!(
            "pg_dump: error: query failed: ERROR:  canceling\npg_dump: error: query was: {statement}"
        );
        for stderr in [failed("ERROR:  canceling", statement), of_14] {
            let DumpError::LockTimeout { tables, .. } = classify(ToolError::new("pg_dump", &stderr)) else {
                panic!("not a timeout: {stderr}")
            };
            assert_eq!(tables, "public.a, public.b");
        }
    }
}
