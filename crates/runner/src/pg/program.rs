//! A running client program whose standard output is read piece by piece.

use bytes::Bytes;
use tokio::{
    process::{Child, Command},
    task::JoinHandle,
};

use super::{dump_error::DumpError, pipe::Output, stderr};

/// A running program. Dropping it kills the program.
#[derive(Debug)]
pub struct Program {
    name: &'static str,
    child: Child,
    output: Output,
    stderr: JoinHandle<String>,
}

impl Program {
    /// Starts `command`, whose pipes [`super::tools`] has set up.
    pub fn start(command: &mut Command, name: &'static str) -> Result<Self, DumpError> {
        let mut child = command.spawn().map_err(|source| DumpError::Start { program: name, source })?;
        let output = Output::new(child.stdout.take().expect("stdout should be piped"));
        let stderr = child.stderr.take().expect("stderr should be piped");
        let stderr = tokio::spawn(stderr::read(stderr, stderr::ALL));
        Ok(Self { name, child, output, stderr })
    }

    /// The next piece of the output; `None` at its end, which does not mean that the program succeeded.
    pub async fn next(&mut self) -> Result<Option<Bytes>, DumpError> {
        self.output.next().await.map_err(|source| DumpError::Read { program: self.name, source })
    }

    /// Waits until the program exits and returns the lines of its standard error. Only exit status 0 is success.
    pub async fn finish(mut self) -> Result<Vec<String>, DumpError> {
        let status = self.child.wait().await;
        let status = status.map_err(|source| DumpError::Read { program: self.name, source })?;
        let stderr = self.stderr.await.unwrap_or_default();
        if !status.success() {
            return Err(DumpError::of_exit(self.name, &stderr, status));
        }
        let lines = stderr.lines().map(str::trim).filter(|line| !line.is_empty());
        Ok(lines.map(str::to_owned).collect())
    }
}
