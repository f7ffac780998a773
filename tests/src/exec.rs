//! Runs commands in containers like `kubectl exec`, without a kubectl process for each.

use anyhow::{Context, Result, bail};
use k8s_openapi::{api::core::v1::Pod, apimachinery::pkg::apis::meta::v1::Status};
use kube::{Api, api::AttachParams};
use tokio::{
    io::{AsyncBufReadExt, AsyncRead, AsyncReadExt, AsyncWriteExt, BufReader, Lines},
    time,
};

use crate::wait::DEADLINE;

/// The result of a command: its exit code and its output.
#[derive(Debug)]
pub struct Output {
    pub code: i32,
    pub stdout: String,
    pub stderr: String,
}

/// Runs a command and waits for its end.
pub async fn output(
    pods: &Api<Pod>,
    pod: &str,
    container: &str,
    command: &[&str],
    input: &str,
) -> Result<Output> {
    time::timeout(DEADLINE, run(pods, pod, container, command, input))
        .await
        .with_context(|| format!("{command:?} in {pod} did not end in {DEADLINE:?}"))?
        .with_context(|| format!("running {command:?} in {pod}"))
}

/// Runs a command and returns its standard output without the last line break. Fails unless the exit code is
/// 0.
pub async fn stdout(
    pods: &Api<Pod>,
    pod: &str,
    container: &str,
    command: &[&str],
    input: &str,
) -> Result<String> {
    let output = output(pods, pod, container, command, input).await?;
    if output.code != 0 {
        bail!("{command:?} in {pod} ended with {}: {}\n{}{input}", output.code, output.stderr, output.stdout);
    }
    Ok(output.stdout.trim_end_matches('\n').to_owned())
}

async fn run(pods: &Api<Pod>, pod: &str, container: &str, command: &[&str], input: &str) -> Result<Output> {
    let params =
        AttachParams::default().container(container).stdin(!input.is_empty()).max_stdout_buf_size(1 << 16);
    let mut process = pods.exec(pod, command.iter().copied(), &params).await?;
    let status = process.take_status().context("a new process should have a status")?;
    let stdout = process.stdout().context("a new process should have a standard output")?;
    let stderr = process.stderr().context("a new process should have a standard error")?;
    let stdin = process.stdin();
    let feed = async {
        if let Some(mut stdin) = stdin {
            // If a command ends before it has read all input, its status reports the cause.
            let _ = stdin.write_all(input.as_bytes()).await;
            let _ = stdin.shutdown().await;
        }
    };
    let ((), stdout, stderr, status) = tokio::join!(feed, text(stdout), text(stderr), status);
    Ok(Output {
        code: exit_code(&status.context("the connection was lost")?)?,
        stdout: stdout?,
        stderr: stderr?,
    })
}

async fn text(mut from: impl AsyncRead + Unpin) -> Result<String> {
    let mut bytes = Vec::new();
    from.read_to_end(&mut bytes).await?;
    Ok(String::from_utf8_lossy(&bytes).into_owned())
}

fn exit_code(status: &Status) -> Result<i32> {
    if status.status.as_deref() == Some("Success") {
        return Ok(0);
    }
    let causes = status.details.as_ref().and_then(|details| details.causes.as_deref());
    causes
        .unwrap_or_default()
        .iter()
        .find(|cause| cause.reason.as_deref() == Some("ExitCode"))
        .and_then(|cause| cause.message.as_deref()?.parse().ok())
        .with_context(|| format!("the command could not be run: {:?}", status.message))
}

/// An interactive command, to which lines are written and from which lines are read.
pub struct Dialogue {
    stdin: Box<dyn tokio::io::AsyncWrite + Send + Unpin>,
    stdout: Lines<BufReader<Box<dyn AsyncRead + Send + Unpin>>>,
    // Dropped last, because this ends the connection.
    _process: kube::api::AttachedProcess,
}

impl Dialogue {
    /// Starts the command. Standard error is not read, so redirect it to standard output. Unread output is limited to 1 MiB.
    pub async fn start(pods: &Api<Pod>, pod: &str, container: &str, command: &[&str]) -> Result<Self> {
        let params = AttachParams::default()
            .container(container)
            .stdin(true)
            .stderr(false)
            .max_stdin_buf_size(1 << 20)
            .max_stdout_buf_size(1 << 20);
        let mut process = pods.exec(pod, command.iter().copied(), &params).await?;
        let stdin = process.stdin().context("a new process should have a standard input")?;
        let stdout = process.stdout().context("a new process should have a standard output")?;
        let stdout: Box<dyn AsyncRead + Send + Unpin> = Box::new(stdout);
        Ok(Self { stdin: Box::new(stdin), stdout: BufReader::new(stdout).lines(), _process: process })
    }

    /// Writes a line to the command.
    pub async fn write(&mut self, line: &str) -> Result<()> {
        self.stdin.write_all(format!("{line}\n").as_bytes()).await?;
        Ok(())
    }

    /// Reads lines until a line equals `mark`. Returns the lines before it.
    pub async fn read_to(&mut self, mark: &str) -> Result<String> {
        let mut lines = Vec::new();
        let read = async {
            while let Some(line) = self.stdout.next_line().await? {
                if line == mark {
                    return Ok(true);
                }
                lines.push(line);
            }
            anyhow::Ok(false)
        };
        let marked =
            time::timeout(DEADLINE, read).await.with_context(|| format!("no answer in {DEADLINE:?}"))??;
        let text = lines.join("\n");
        if marked { Ok(text) } else { bail!("the session ended: {text}") }
    }
}
