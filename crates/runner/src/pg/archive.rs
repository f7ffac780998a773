//! Reads archives with pg_restore: the stream of a dump while it is uploaded, or a stored archive.
//!
//! A pg_restore that hangs must not stop the dump. After [`STALL_TIMEOUT`] it is stopped, and the stored
//! archive is parsed later instead.

use std::{
    process::{ExitStatus, Stdio},
    sync::{
        Arc,
        atomic::{AtomicU64, Ordering},
    },
    time::Duration,
};

use archive::{
    rows::{Contents, CopyParser},
    toc::Toc,
};
use bytes::Bytes;
use domain::reason::Reason;
use tokio::{
    io::{AsyncBufReadExt, AsyncWriteExt, BufReader},
    process::{ChildStdin, Command},
    sync::mpsc,
    task::JoinHandle,
};

use super::{
    pipe::{self, Output},
    stderr,
    tool_error::ToolError,
    tools,
};

/// The number of chunks that may wait for pg_restore.
const QUEUE: usize = 8;

/// The time without progress after which pg_restore is stopped.
const STALL_TIMEOUT: Duration = Duration::from_mins(1);

/// The number of times that the progress is checked within [`STALL_TIMEOUT`].
const CHECKS: u32 = 6;

/// The reason why an archive cannot be parsed.
#[derive(Debug, thiserror::Error)]
pub enum ArchiveError {
    #[error("cannot start pg_restore: {0}")]
    Start(#[source] std::io::Error),
    /// pg_restore was ended by signal 9. Only the kernel sends it, when memory is short.
    #[error("pg_restore was killed by signal 9: the pod ran out of memory")]
    Killed,
    #[error("pg_restore cannot read the archive to its end: {0}")]
    Unreadable(#[from] ToolError),
    /// pg_restore exited with status 0, but its output is cut off within the rows of a table.
    #[error("the output of pg_restore is incomplete: it ends in the middle of a table")]
    Incomplete,
    #[error("pg_restore made no progress on the archive for {} s", STALL_TIMEOUT.as_secs())]
    Stalled,
}

impl ArchiveError {
    pub const fn reason(&self) -> Reason {
        match self {
            Self::Start(_) => Reason::InvalidConfiguration,
            Self::Killed => Reason::OutOfMemory,
            _ => Reason::ArchiveUnreadable,
        }
    }
}

/// A running pg_restore that receives an archive in chunks. Its output is parsed.
#[derive(Debug)]
pub struct ArchiveReader {
    pieces: Option<mpsc::Sender<Bytes>>,
    outcome: JoinHandle<Result<Contents, ArchiveError>>,
    /// The number of bytes that pg_restore has read and written. While it grows, pg_restore makes progress.
    progress: Arc<AtomicU64>,
    timeout: Duration,
    stalled: bool,
}

impl ArchiveReader {
    pub fn start() -> Result<Self, ArchiveError> {
        let mut command = tools::pg_restore();
        command.args(["--data-only", "--verbose", "--file=-"]);
        Self::reading(command, STALL_TIMEOUT)
    }

    fn reading(mut command: Command, timeout: Duration) -> Result<Self, ArchiveError> {
        let mut child = command.stdin(Stdio::piped()).spawn().map_err(ArchiveError::Start)?;
        let mut stdin = child.stdin.take().expect("stdin should be piped");
        pipe::enlarge_input(&stdin);
        let mut text = Output::new(child.stdout.take().expect("stdout should be piped"));
        let stderr = child.stderr.take().expect("stderr should be piped");
        let (pieces, mut queue) = mpsc::channel::<Bytes>(QUEUE);
        let progress = Arc::new(AtomicU64::new(0));
        let (taken, given) = (progress.clone(), progress.clone());
        let feed = async move {
            while let Some(piece) = queue.recv().await {
                // If this fails, pg_restore has ended. Its exit status explains why.
                if stdin.write_all(&piece).await.is_err() {
                    break;
                }
                taken.fetch_add(piece.len() as u64, Ordering::Relaxed);
            }
        };
        let parse = async move {
            let mut parser = CopyParser::default();
            while let Ok(Some(piece)) = text.next().await {
                parser.push(&piece);
                given.fetch_add(piece.len() as u64, Ordering::Relaxed);
            }
            parser.finish()
        };
        let stderr = stderr::read(stderr, stderr::PG_RESTORE_ERRORS);
        let outcome = tokio::spawn(async move {
            let ((), contents, stderr, status) = tokio::join!(feed, parse, stderr, child.wait());
            refuse(status.ok(), &stderr)?;
            contents.ok_or(ArchiveError::Incomplete)
        });
        Ok(Self { pieces: Some(pieces), outcome, progress, timeout, stalled: false })
    }

    /// Passes the next chunk of the archive to pg_restore. If pg_restore has ended or hangs, the chunk is
    /// dropped, and [`Self::finish`] returns the error.
    pub async fn push(&mut self, piece: Bytes) {
        let Some(pieces) = &self.pieces else { return };
        match tokio::time::timeout(self.timeout, pieces.send(piece)).await {
            Ok(Ok(())) => {}
            Ok(Err(_)) => self.pieces = None,
            Err(_) => {
                self.stalled = true;
                self.pieces = None;
                self.outcome.abort();
            }
        }
    }

    /// Ends the input and returns the parsed contents of the archive.
    pub async fn finish(mut self) -> Result<Contents, ArchiveError> {
        self.pieces = None;
        if self.stalled {
            return Err(ArchiveError::Stalled);
        }
        // A small archive fits into the queue and the pipe, so only here can it be seen that pg_restore
        // hangs.
        let (mut before, mut idle) = (self.progress.load(Ordering::Relaxed), 0);
        while idle < CHECKS {
            if let Ok(outcome) = tokio::time::timeout(self.timeout / CHECKS, &mut self.outcome).await {
                return outcome.unwrap_or(Err(ArchiveError::Stalled));
            }
            let now = self.progress.load(Ordering::Relaxed);
            idle = if now == before { idle + 1 } else { 0 };
            before = now;
        }
        Err(ArchiveError::Stalled)
    }
}

/// A running pg_restore that lists an archive's table of contents. The table of contents is at the beginning,
/// so pg_restore ends before it has read the whole archive.
#[derive(Debug)]
pub struct TocReader {
    stdin: Option<ChildStdin>,
    outcome: JoinHandle<Result<Toc, ArchiveError>>,
    timeout: Duration,
}

impl TocReader {
    pub fn start() -> Result<Self, ArchiveError> {
        let mut command = tools::pg_restore();
        command.arg("--list");
        Self::reading(command, STALL_TIMEOUT)
    }

    fn reading(mut command: Command, timeout: Duration) -> Result<Self, ArchiveError> {
        let mut child = command.stdin(Stdio::piped()).spawn().map_err(ArchiveError::Start)?;
        let stdin = child.stdin.take();
        let mut listing = BufReader::new(child.stdout.take().expect("stdout should be piped"));
        let stderr = child.stderr.take().expect("stderr should be piped");
        let parse = async move {
            let (mut toc, mut line) = (Toc::default(), Vec::new());
            while listing.read_until(b'\n', &mut line).await.is_ok_and(|length| length > 0) {
                toc.push(String::from_utf8_lossy(&line).trim_end());
                line.clear();
            }
            toc
        };
        let outcome = tokio::spawn(async move {
            let (toc, stderr, status) = tokio::join!(parse, stderr::read(stderr, stderr::ALL), child.wait());
            refuse(status.ok(), &stderr)?;
            Ok(toc)
        });
        Ok(Self { stdin, outcome, timeout })
    }

    /// Passes the next chunk of the archive to pg_restore. Does nothing once pg_restore has read the table of
    /// contents.
    pub async fn push(&mut self, piece: &[u8]) {
        let Some(stdin) = &mut self.stdin else { return };
        if !matches!(tokio::time::timeout(self.timeout, stdin.write_all(piece)).await, Ok(Ok(()))) {
            self.stdin = None;
        }
    }

    /// Ends the input and returns the table of contents.
    pub async fn finish(mut self) -> Result<Toc, ArchiveError> {
        self.stdin = None;
        let outcome = tokio::time::timeout(self.timeout, &mut self.outcome).await;
        outcome.ok().and_then(Result::ok).unwrap_or(Err(ArchiveError::Stalled))
    }
}

impl Drop for TocReader {
    fn drop(&mut self) {
        // Aborting the task kills pg_restore.
        self.outcome.abort();
    }
}

/// Returns an error unless pg_restore exited with status 0. An unknown status is an error.
fn refuse(status: Option<ExitStatus>, stderr: &str) -> Result<(), ArchiveError> {
    match status {
        Some(status) if status.success() => Ok(()),
        Some(status) if tools::was_killed(status) => Err(ArchiveError::Killed),
        _ => Err(ToolError::new("pg_restore", stderr).into()),
    }
}

impl Drop for ArchiveReader {
    fn drop(&mut self) {
        // Aborting the task kills pg_restore.
        self.outcome.abort();
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Returns a shell script that runs instead of pg_restore.
    fn program(script: &str) -> Command {
        let mut command = tools::offline("sh");
        command.args(["-c", script]);
        command
    }

    async fn read(script: &str, timeout: Duration) -> Result<Contents, ArchiveError> {
        let mut reader = ArchiveReader::reading(program(script), timeout)?;
        reader.push(Bytes::from_static(b"an archive")).await;
        reader.finish().await
    }

    #[tokio::test]
    async fn stalled_pg_restore_is_stopped_after_a_timeout() {
        let timeout = Duration::from_millis(200);
        let stopped = read("exec sleep 1000", timeout).await;
        assert!(matches!(stopped, Err(ArchiveError::Stalled)), "{stopped:?}");
        let mut reader = TocReader::reading(program("exec sleep 1000"), timeout).unwrap();
        reader.push(b"an archive").await;
        let stopped = reader.finish().await;
        assert!(matches!(stopped, Err(ArchiveError::Stalled)), "{stopped:?}");
    }

    #[tokio::test]
    async fn slow_pg_restore_is_not_stopped() {
        let slow = "cat > /dev/null; for n in 1 2 3 4 5 6; do seq --format='-- %.0f' 100000; sleep 0.5; done";
        let contents = read(slow, Duration::from_secs(2)).await.unwrap();
        assert!(contents.tables.is_empty());
    }

    #[tokio::test]
    async fn message_of_failed_pg_restore_is_reported() {
        let failed =
            read("cat > /dev/null; echo 'pg_restore: error: oh no' >&2; exit 1", STALL_TIMEOUT).await;
        let Err(error @ ArchiveError::Unreadable(_)) = failed else { panic!("{failed:?}") };
        assert!(error.to_string().contains("oh no"), "{error}");
    }
}
