//! A session: a psql process that runs statements from its standard input.
//!
//! After each statement psql echoes a marker, which ends the statement's output. The server returns every
//! result as JSON, so no name in a result can imitate the marker. A failed statement ends the session
//! (`ON_ERROR_STOP`).

use std::{process::Stdio, time::Duration};

use serde::de::DeserializeOwned;
use tokio::{
    io::{AsyncBufReadExt, AsyncWriteExt, BufReader},
    process::{Child, ChildStdin, ChildStdout},
    task::JoinHandle,
};

use super::{
    stderr,
    tool_error::ToolError,
    tools::{self, Tools},
};

/// The time limit of a statement. On a healthy server no statement takes as long, and the server itself
/// limits statements that wait for locks. If the server disappears, keepalives detect that earlier.
const STATEMENT_TIMEOUT: Duration = Duration::from_mins(5);

/// The maximum time for psql to exit.
const EXIT_TIMEOUT: Duration = Duration::from_secs(5);

/// An open session on one database.
#[derive(Debug)]
pub struct Session {
    child: Child,
    stdin: ChildStdin,
    stdout: BufReader<ChildStdout>,
    stderr: JoinHandle<String>,
    marker: String,
}

/// The error of a session. After an error the session cannot be used again.
#[derive(Debug, thiserror::Error)]
pub enum SessionError {
    #[error("cannot start psql: {0}")]
    Start(#[source] std::io::Error),
    /// A statement or the connection failed.
    #[error(transparent)]
    Failed(#[from] ToolError),
    #[error("the server did not answer a query within {} s", STATEMENT_TIMEOUT.as_secs())]
    Silent,
    /// psql was ended by signal 9. Only the kernel sends it, when memory is short.
    #[error("psql was killed by signal 9: the pod ran out of memory")]
    Killed,
    #[error("cannot parse the answer to a query: {0}")]
    Answer(#[source] serde_json::Error),
}

impl SessionError {
    /// Returns a hint if the role lacks a privilege. `role` is the role's quoted name.
    pub fn hint(&self, role: &str) -> Option<String> {
        match self {
            Self::Failed(error) => error.hint(role),
            _ => None,
        }
    }

    /// Returns the SQLSTATE of a failed statement; `None` for other errors.
    pub fn sqlstate(&self) -> Option<&str> {
        match self {
            Self::Failed(error) => error.sqlstate(),
            _ => None,
        }
    }

    /// Returns the reason of the error; `otherwise` for a failed statement with an unknown SQLSTATE.
    pub fn reason(&self, otherwise: domain::reason::Reason) -> domain::reason::Reason {
        use domain::reason::Reason;
        match self {
            Self::Start(_) => Reason::InvalidConfiguration,
            Self::Failed(error) => error.reason(otherwise),
            Self::Silent => Reason::Unreachable,
            Self::Killed => Reason::OutOfMemory,
            Self::Answer(_) => Reason::InternalError,
        }
    }
}

impl Session {
    /// Starts psql on `database`. Does not wait for the connection: if it fails, the first statement returns
    /// the error.
    pub fn open(tools: &Tools, database: &str) -> Result<Self, SessionError> {
        let mut command = tools.psql(database);
        command
            .args(["--no-psqlrc", "--quiet", "--no-align", "--tuples-only"])
            .args(["--set=ON_ERROR_STOP=1", "--set=VERBOSITY=verbose", "--set=SHOW_CONTEXT=never"])
            .stdin(Stdio::piped());
        let mut child = command.spawn().map_err(SessionError::Start)?;
        let stdin = child.stdin.take().expect("stdin should be piped");
        let stdout = child.stdout.take().expect("stdout should be piped");
        let stderr = child.stderr.take().expect("stderr should be piped");
        let stderr = tokio::spawn(stderr::read(stderr, stderr::ALL));
        let marker = format!("-- end of {} --", tools.session_token());
        Ok(Self { child, stdin, stdout: BufReader::new(stdout), stderr, marker })
    }

    /// Runs `sql`, which is one or more statements of which the last returns one JSON value, and parses the
    /// value. The server converts text to UTF-8; if it cannot, the statement fails. Names in the catalogs
    /// that all databases share are not converted: in them, U+FFFD replaces bytes that are not UTF-8.
    pub async fn query<T: DeserializeOwned>(&mut self, sql: &str) -> Result<T, SessionError> {
        let answer = self.run(sql).await?;
        serde_json::from_str(&String::from_utf8_lossy(&answer)).map_err(SessionError::Answer)
    }

    /// Runs `sql` like [`Self::query`], but without a time limit: a statement that reads a whole table may
    /// take hours. If the server disappears, keepalives detect that.
    pub async fn long_query<T: DeserializeOwned>(&mut self, sql: &str) -> Result<T, SessionError> {
        let answer = self.exchange(&self.script(sql)).await;
        match answer {
            Some(answer) => {
                serde_json::from_str(&String::from_utf8_lossy(&answer)).map_err(SessionError::Answer)
            }
            None => Err(self.failure().await),
        }
    }

    /// Runs `query` and returns all of its rows.
    pub async fn rows<T: DeserializeOwned>(&mut self, query: &str) -> Result<Vec<T>, SessionError> {
        self.query(&format!("SELECT coalesce(json_agg(to_json(q)), '[]') FROM ({query}) q")).await
    }

    /// Runs `sql`, one or more statements without a result.
    pub async fn execute(&mut self, sql: &str) -> Result<(), SessionError> {
        self.run(sql).await.map(drop)
    }

    /// Ends the session and waits until psql has exited, which releases all locks.
    pub async fn close(self) {
        let Self { mut child, stdin, stderr, .. } = self;
        drop(stdin);
        if tokio::time::timeout(EXIT_TIMEOUT, child.wait()).await.is_err() {
            // Killing psql also ends the session.
            let _ = child.kill().await;
        }
        stderr.abort();
    }

    async fn run(&mut self, sql: &str) -> Result<Vec<u8>, SessionError> {
        let script = self.script(sql);
        match tokio::time::timeout(STATEMENT_TIMEOUT, self.exchange(&script)).await {
            Err(_) => Err(SessionError::Silent),
            Ok(Some(answer)) => Ok(answer),
            Ok(None) => Err(self.failure().await),
        }
    }

    fn script(&self, sql: &str) -> String {
        format!("{sql}\n;\n\\echo '{}'\n", self.marker)
    }

    /// Sends the script and returns the output before the marker; `None` if psql exits before it prints the
    /// marker.
    async fn exchange(&mut self, script: &str) -> Option<Vec<u8>> {
        self.stdin.write_all(script.as_bytes()).await.ok()?;
        self.stdin.flush().await.ok()?;
        let mut answer = Vec::new();
        loop {
            let start = answer.len();
            if self.stdout.read_until(b'\n', &mut answer).await.ok()? == 0 {
                return None;
            }
            if answer[start..].trim_ascii_end() == self.marker.as_bytes() {
                answer.truncate(start);
                return Some(answer);
            }
        }
    }

    async fn failure(&mut self) -> SessionError {
        // psql has closed its output, so it is about to exit. Wait for that: then its standard error is
        // complete.
        let Ok(ended) = tokio::time::timeout(EXIT_TIMEOUT, self.child.wait()).await else {
            return SessionError::Silent;
        };
        if ended.is_ok_and(tools::was_killed) {
            return SessionError::Killed;
        }
        let stderr = (&mut self.stderr).await.unwrap_or_default();
        ToolError::new("psql", &stderr).into()
    }
}
