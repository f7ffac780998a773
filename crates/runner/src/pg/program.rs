//! A running client program whose standard output is read in chunks.

use bytes::Bytes;
use tokio::{
    process::{Child, Command},
    task::JoinHandle,
};

use super::{dump_error::DumpError, pipe::Output, stderr};

/// A running client program. Dropping this value kills the program.
#[derive(Debug)]
pub struct Program {
    name: &'static str,
    child: Child,
    output: Output,
    stderr: JoinHandle<String>,
}

impl Program {
    /// Starts `command`, whose pipes were set up by [`super::tools`].
    pub fn start(command: &mut Command, name: &'static str) -> Result<Self, DumpError> {
        let mut child = command.spawn().map_err(|source| DumpError::Start { program: name, source })?;
        let output = Output::new(child.stdout.take().expect("stdout should be piped"));
        let stderr = child.stderr.take().expect("stderr should be piped");
        let stderr = tokio::spawn(stderr::read(stderr, stderr::ALL));
        Ok(Self { name, child, output, stderr })
    }

    /// Returns the next chunk of the output; `None` at its end. The end does not mean that the program
    /// succeeded: call [`Self::finish`].
    pub async fn next(&mut self) -> Result<Option<Bytes>, DumpError> {
        self.output.next().await.map_err(|source| DumpError::Read { program: self.name, source })
    }

    /// Waits until the program exits, and returns the lines of its standard error. Returns an error unless
    /// the exit status is 0.
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
