//! pg_restore beside the dump: the same bytes that go into the store are read to their end and counted.
//!
//! One reader of archives, fed by the dump's stream or by a stored file. A reader that stops reading must not
//! stop the dump: after [`STALLED`] it is given up, and the stored copy is parsed later instead.

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
    error::ToolError,
    pipe::{self, Output},
    stderr, tools,
};

/// Pieces under way between the stream and pg_restore.
const QUEUE: usize = 8;

/// How long a reader may take nothing before it is given up.
const STALLED: Duration = Duration::from_mins(1);

/// How often it is looked at within that time.
const LOOKS: u32 = 6;

/// An archive that cannot be read to its end.
#[derive(Debug, thiserror::Error)]
pub enum ArchiveError {
    /// pg_restore could not be started.
    #[error("pg_restore could not be started: {0}")]
    Start(#[source] std::io::Error),
    /// The kernel, short of memory, ended pg_restore: nobody else uses signal 9 on it.
    #[error("pg_restore was killed by signal 9: the pod ran out of memory")]
    Killed,
    /// pg_restore refused the archive.
    #[error("the archive cannot be read to its end: {0}")]
    Unreadable(#[from] ToolError),
    /// pg_restore was content, but its text ended in the middle of something.
    #[error("the archive's text ends in the middle of a table's rows")]
    Incomplete,
    /// pg_restore took nothing more.
    #[error("pg_restore stopped reading the archive for {} s", STALLED.as_secs())]
    Stalled,
}

impl ArchiveError {
    /// The reason word.
    pub const fn reason(&self) -> Reason {
        match self {
            Self::Start(_) => Reason::InvalidConfiguration,
            Self::Killed => Reason::OutOfMemory,
            _ => Reason::ArchiveUnreadable,
        }
    }
}

/// A reader that takes an archive piece by piece.
#[derive(Debug)]
pub struct ArchiveReader {
    pieces: Option<mpsc::Sender<Bytes>>,
    outcome: JoinHandle<Result<Contents, ArchiveError>>,
    /// The bytes that pg_restore took and gave: as long as they grow, it is at work.
    progress: Arc<AtomicU64>,
    patience: Duration,
    stalled: bool,
}

impl ArchiveReader {
    /// Starts pg_restore.
    pub fn start() -> Result<Self, ArchiveError> {
        let mut command = tools::pg_restore();
        command.args(["--data-only", "--verbose", "--file=-"]);
        Self::reading(command, STALLED)
    }

    fn reading(mut command: Command, patience: Duration) -> Result<Self, ArchiveError> {
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
                // pg_restore that ended early says why by its exit status; the rest is of no use to it.
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
        let words = stderr::read(stderr, is_error);
        let outcome = tokio::spawn(async move {
            let ((), contents, words, status) = tokio::join!(feed, parse, words, child.wait());
            refuse(status.ok(), &words)?;
            contents.ok_or(ArchiveError::Incomplete)
        });
        Ok(Self { pieces: Some(pieces), outcome, progress, patience, stalled: false })
    }

    /// Gives the next piece. A reader that has ended or stalled takes nothing, silently: [`Self::finish`] says so.
    pub async fn push(&mut self, piece: Bytes) {
        let Some(pieces) = &self.pieces else { return };
        match tokio::time::timeout(self.patience, pieces.send(piece)).await {
            Ok(Ok(())) => {}
            Ok(Err(_)) => self.pieces = None,
            Err(_) => {
                self.stalled = true;
                self.pieces = None;
                self.outcome.abort();
            }
        }
    }

    /// The end of the archive; what was in it.
    pub async fn finish(mut self) -> Result<Contents, ArchiveError> {
        self.pieces = None;
        if self.stalled {
            return Err(ArchiveError::Stalled);
        }
        // What fits into the queue and the pipe is taken from a reader that has stopped, too: it is here that it shows.
        let (mut before, mut idle) = (self.progress.load(Ordering::Relaxed), 0);
        while idle < LOOKS {
            if let Ok(outcome) = tokio::time::timeout(self.patience / LOOKS, &mut self.outcome).await {
                return outcome.unwrap_or(Err(ArchiveError::Stalled));
            }
            let now = self.progress.load(Ordering::Relaxed);
            idle = if now == before { idle + 1 } else { 0 };
            before = now;
        }
        Err(ArchiveError::Stalled)
    }
}

/// pg_restore that lists what an archive holds. The table of contents is at its front: it ends long before the archive
/// does.
#[derive(Debug)]
pub struct TocReader {
    stdin: Option<ChildStdin>,
    outcome: JoinHandle<Result<Toc, ArchiveError>>,
    patience: Duration,
}

impl TocReader {
    /// Starts pg_restore.
    pub fn start() -> Result<Self, ArchiveError> {
        let mut command = tools::pg_restore();
        command.arg("--list");
        Self::reading(command, STALLED)
    }

    fn reading(mut command: Command, patience: Duration) -> Result<Self, ArchiveError> {
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
            let (toc, words, status) = tokio::join!(parse, stderr::read(stderr, stderr::ALL), child.wait());
            refuse(status.ok(), &words)?;
            Ok(toc)
        });
        Ok(Self { stdin, outcome, patience })
    }

    /// Gives the next piece. Once it has what it wants it takes nothing more.
    pub async fn push(&mut self, piece: &[u8]) {
        let Some(stdin) = &mut self.stdin else { return };
        if !matches!(tokio::time::timeout(self.patience, stdin.write_all(piece)).await, Ok(Ok(()))) {
            self.stdin = None;
        }
    }

    /// The table of contents.
    pub async fn finish(mut self) -> Result<Toc, ArchiveError> {
        self.stdin = None;
        // All that it reads is in memory by now.
        let outcome = tokio::time::timeout(self.patience, &mut self.outcome).await;
        outcome.ok().and_then(Result::ok).unwrap_or(Err(ArchiveError::Stalled))
    }
}

impl Drop for TocReader {
    fn drop(&mut self) {
        // pg_restore goes with its task.
        self.outcome.abort();
    }
}

/// Why pg_restore ended, if not well. No status: it is not known, so not well.
fn refuse(status: Option<ExitStatus>, words: &str) -> Result<(), ArchiveError> {
    match status {
        Some(status) if status.success() => Ok(()),
        Some(status) if tools::was_killed(status) => Err(ArchiveError::Killed),
        _ => Err(ToolError::new("pg_restore", words).into()),
    }
}

impl Drop for ArchiveReader {
    fn drop(&mut self) {
        // pg_restore goes with its task.
        self.outcome.abort();
    }
}

/// `--verbose` says much on the standard error; only errors are worth keeping.
fn is_error(line: &str) -> bool {
    line.contains("error:") || line.contains("detail:")
}

#[cfg(test)]
mod tests {
    use super::*;

    /// A program in place of pg_restore.
    fn program(script: &str) -> Command {
        let mut command = tools::offline("sh");
        command.args(["-c", script]);
        command
    }

    async fn read(script: &str, patience: Duration) -> Result<Contents, ArchiveError> {
        let mut reader = ArchiveReader::reading(program(script), patience)?;
        reader.push(Bytes::from_static(b"an archive")).await;
        reader.finish().await
    }

    #[tokio::test]
    async fn a_reader_that_stops_is_given_up_though_all_was_taken_from_the_queue() {
        let patience = Duration::from_millis(200);
        let stopped = read("exec sleep 1000", patience).await;
        assert!(matches!(stopped, Err(ArchiveError::Stalled)), "{stopped:?}");
        let mut reader = TocReader::reading(program("exec sleep 1000"), patience).unwrap();
        reader.push(b"an archive").await;
        let stopped = reader.finish().await;
        assert!(matches!(stopped, Err(ArchiveError::Stalled)), "{stopped:?}");
    }

    #[tokio::test]
    async fn a_reader_that_is_slow_and_goes_on_is_waited_for() {
        let slow = "cat > /dev/null; for n in 1 2 3 4 5 6; do seq --format='-- %.0f' 100000; sleep 0.5; done";
        let contents = read(slow, Duration::from_secs(2)).await.unwrap();
        assert!(contents.tables.is_empty());
    }

    #[tokio::test]
    async fn a_reader_that_fails_is_told_by_its_words() {
        let failed = read("cat > /dev/null; echo 'pg_restore: error: oh no' >&2; exit 1", STALLED).await;
        let Err(error @ ArchiveError::Unreadable(_)) = failed else { panic!("{failed:?}") };
        assert!(error.to_string().contains("oh no"), "{error}");
    }
}
