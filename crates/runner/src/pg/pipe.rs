//! Much data through the pipes of client programs, for little of the kernel's time.
//!
//! These programs write 4 KiB at a time (glibc's buffer for a pipe), and whoever waits at the other end is woken for each.
//! Waiting for more to gather saves 3 % of a backup's CPU and of its time.

use std::{io, os::fd::AsFd, time::Duration};

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
}

impl Output {
    /// Takes a program's standard output.
    pub fn new(stdout: ChildStdout) -> Self {
        let roomy = enlarge(&stdout);
        Self { stdout, roomy }
    }

    /// The next piece, of 128 KiB unless it is the last; `None` at the end.
    pub async fn next(&mut self) -> io::Result<Option<Bytes>> {
        let mut piece = BytesMut::with_capacity(PIECE);
        while self.stdout.read_buf(&mut piece).await? > 0 && piece.len() < PIECE {
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
