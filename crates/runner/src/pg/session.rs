//! One psql that stays open and is driven through its standard input.
//!
//! Each statement is followed by an echoed marker, so the end of its output is known without a guess. Results
//! come as JSON that the server makes: whatever stands in a name cannot break the framing. A statement that fails
//! ends the session (`ON_ERROR_STOP`).

use std::{process::Stdio, time::Duration};

use serde::de::DeserializeOwned;
use tokio::{
    io::{AsyncBufReadExt, AsyncWriteExt, BufReader},
    process::{Child, ChildStdin, ChildStdout},
    task::JoinHandle,
};

use super::{
    error::ToolError,
    stderr,
    tools::{self, Tools},
};

/// No single statement of ours takes longer on a healthy server; those that wait for locks are bounded by the
/// server itself. A server that went away is noticed earlier, by the keepalives.
const PATIENCE: Duration = Duration::from_mins(5);

/// psql that is asked to end, or that closed its output, has this long to do so.
const FAREWELL: Duration = Duration::from_secs(5);

/// An open session.
#[derive(Debug)]
pub struct Session {
    child: Child,
    stdin: ChildStdin,
    stdout: BufReader<ChildStdout>,
    stderr: JoinHandle<String>,
    marker: String,
}

/// A session that cannot go on.
#[derive(Debug, thiserror::Error)]
pub enum SessionError {
    /// psql could not be started.
    #[error("psql could not be started: {0}")]
    Start(#[source] std::io::Error),
    /// The server, or psql, refused.
    #[error(transparent)]
    Failed(#[from] ToolError),
    /// Nothing came back in time.
    #[error("the server did not answer a query within {} s", PATIENCE.as_secs())]
    Silent,
    /// The kernel, short of memory, ended psql: nobody else uses signal 9 on it.
    #[error("psql was killed by signal 9: the pod ran out of memory")]
    Killed,
    /// What came back was not what was asked for.
    #[error("the answer to a query cannot be read: {0}")]
    Answer(#[source] serde_json::Error),
}

impl SessionError {
    /// The SQLSTATE of a failed statement.
    pub fn sqlstate(&self) -> Option<&str> {
        match self {
            Self::Failed(error) => error.sqlstate(),
            _ => None,
        }
    }

    /// The reason word; `otherwise` for a failed statement that says nothing more precise.
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
    /// Connects to `database`. The first query tells whether it worked.
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

    /// Runs `sql`, one or more statements of which the last gives one JSON value. The server converts to UTF-8 or
    /// fails; what it lets through unconverted, from catalogs that databases of all encodings share, becomes U+FFFD.
    pub async fn query<T: DeserializeOwned>(&mut self, sql: &str) -> Result<T, SessionError> {
        let answer = self.run(sql).await?;
        serde_json::from_str(&String::from_utf8_lossy(&answer)).map_err(SessionError::Answer)
    }

    /// The same for a statement that reads as much as a table has: it may take hours. A server that went away is noticed
    /// by the keepalives.
    pub async fn long_query<T: DeserializeOwned>(&mut self, sql: &str) -> Result<T, SessionError> {
        let answer = self.exchange(&self.script(sql)).await;
        match answer {
            Some(answer) => {
                serde_json::from_str(&String::from_utf8_lossy(&answer)).map_err(SessionError::Answer)
            }
            None => Err(self.failure().await),
        }
    }

    /// Runs `query` and gives all its rows.
    pub async fn rows<T: DeserializeOwned>(&mut self, query: &str) -> Result<Vec<T>, SessionError> {
        self.query(&format!("SELECT coalesce(json_agg(to_json(q)), '[]') FROM ({query}) q")).await
    }

    /// Runs `sql`, statements that give nothing back.
    pub async fn execute(&mut self, sql: &str) -> Result<(), SessionError> {
        self.run(sql).await.map(drop)
    }

    /// Ends the session and waits until psql is gone, and with it every lock.
    pub async fn close(self) {
        let Self { mut child, stdin, stderr, .. } = self;
        drop(stdin);
        if tokio::time::timeout(FAREWELL, child.wait()).await.is_err() {
            // Nothing is left to save in it; the end of the process ends the session.
            let _ = child.kill().await;
        }
        stderr.abort();
    }

    async fn run(&mut self, sql: &str) -> Result<Vec<u8>, SessionError> {
        let script = self.script(sql);
        match tokio::time::timeout(PATIENCE, self.exchange(&script)).await {
            Err(_) => Err(SessionError::Silent),
            Ok(Some(answer)) => Ok(answer),
            Ok(None) => Err(self.failure().await),
        }
    }

    fn script(&self, sql: &str) -> String {
        format!("{sql}\n;\n\\echo '{}'\n", self.marker)
    }

    /// Everything up to the marker; `None` when psql ended before it.
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
        // psql has closed its output, so it is ending, and its words are complete when it has.
        let Ok(ended) = tokio::time::timeout(FAREWELL, self.child.wait()).await else {
            return SessionError::Silent;
        };
        if ended.is_ok_and(tools::was_killed) {
            return SessionError::Killed;
        }
        let stderr = (&mut self.stderr).await.unwrap_or_default();
        ToolError::new("psql", &stderr).into()
    }
}
