//! Much data through the pipes of client programs, for little of the kernel's time.
//!
//! These programs write 4 KiB at a time (glibc's buffer for a pipe), and whoever waits at the other end is woken for each.
//! Waiting for more to gather saves 3 % of a backup's CPU and of its time.

use std::{io, mem, os::fd::AsFd, time::Duration};

use bytes::{Bytes, BytesMut};
use rustix::pipe::fcntl_setpipe_size;
use tokio::{
    io::AsyncReadExt as _,
    process::{ChildStdin, ChildStdout},
};

/// What is read at a time.
const PIECE: usize = 128 * 1024;

/// The most that the kernel gives to everybody (pipe(7)). 16 times the usual: what comes within a millisecond finds room.
const CAPACITY: usize = 1024 * 1024;

/// How long a reader lets data gather that came in a trickle.
const GATHER: Duration = Duration::from_millis(1);

/// What a program writes to its standard output.
#[derive(Debug)]
pub struct Output {
    stdout: ChildStdout,
    /// Whether the pipe has room for what comes while nobody reads.
    roomy: bool,
    /// Whether anything has come yet.
    begun: bool,
}

impl Output {
    /// Takes a program's standard output.
    pub fn new(stdout: ChildStdout) -> Self {
        let roomy = enlarge(&stdout);
        Self { stdout, roomy, begun: false }
    }

    /// The next piece; `None` at the end. The first one is what comes at first, at once: that a program has begun may be all
    /// that somebody waits for. The others have 128 KiB, unless it is the last.
    pub async fn next(&mut self) -> io::Result<Option<Bytes>> {
        let mut piece = BytesMut::with_capacity(PIECE);
        while self.stdout.read_buf(&mut piece).await? > 0 && mem::replace(&mut self.begun, true) {
            if piece.len() >= PIECE {
                break;
            }
            if self.roomy {
                tokio::time::sleep(GATHER).await;
            }
        }
        Ok((!piece.is_empty()).then(|| piece.freeze()))
    }
}

/// Gives the pipe to a program's standard input as much room, so that a piece is written at once.
pub fn enlarge_input(stdin: &ChildStdin) {
    enlarge(stdin);
}

/// Where the kernel refuses (a user has too many large pipes), the usual size stays: slower, and nothing else.
fn enlarge(pipe: impl AsFd) -> bool {
    fcntl_setpipe_size(pipe, CAPACITY).is_ok()
}

#[cfg(test)]
mod tests {
    use std::process::Stdio;

    use tokio::process::Command;

    use super::*;

    #[tokio::test]
    async fn the_beginning_is_told_at_once_and_nothing_is_lost() {
        let mut child = Command::new("sh")
            .args(["-c", "printf PGDMP; cat"])
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .spawn()
            .unwrap();
        let mut output = Output::new(child.stdout.take().unwrap());
        // The program ends when its input does: until then there is nothing to gather.
        assert_eq!(output.next().await.unwrap().unwrap(), "PGDMP");
        drop(child.stdin.take());
        assert_eq!(output.next().await.unwrap(), None);
    }
}
