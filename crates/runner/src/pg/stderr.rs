//! What a program writes to its standard error: as much of it as is worth keeping, whatever it writes.
//!
//! Programs write a line for each large object, or a warning for each table, and there may be millions. The first lines
//! and the last ones are kept: a failure is at the end, and what led to it at the front.

use std::collections::VecDeque;

use tokio::{io::AsyncReadExt as _, process::ChildStderr};

/// The most of one line that is kept, in bytes: a statement that locks every table is one line.
const LINE: usize = 16 * 1024;

/// The most that is kept of the first lines, and of the last ones, in bytes.
const ENOUGH: usize = 128 * 1024;

/// Which lines are worth keeping.
pub type Worth = fn(&str) -> bool;

/// All lines are.
pub const ALL: Worth = |_| true;

/// What was read so far.
struct Words {
    worth: Worth,
    line: Vec<u8>,
    first: Vec<String>,
    first_bytes: usize,
    last: VecDeque<String>,
    last_bytes: usize,
    left_out: u64,
}

/// Reads to the end; what could be read is all there is to say.
pub async fn words(mut stderr: ChildStderr, worth: Worth) -> String {
    let mut words = Words::new(worth);
    let mut piece = vec![0; 8 * 1024];
    while let Ok(length @ 1..) = stderr.read(&mut piece).await {
        words.push(&piece[..length]);
    }
    words.finish()
}

impl Words {
    fn new(worth: Worth) -> Self {
        Self {
            worth,
            line: Vec::new(),
            first: Vec::new(),
            first_bytes: 0,
            last: VecDeque::new(),
            last_bytes: 0,
            left_out: 0,
        }
    }

    fn push(&mut self, piece: &[u8]) {
        for part in piece.split_inclusive(|byte| *byte == b'\n') {
            let text = part.strip_suffix(b"\n").unwrap_or(part);
            let room = LINE.saturating_sub(self.line.len());
            self.line.extend_from_slice(&text[..text.len().min(room)]);
            if text.len() < part.len() {
                self.end_line();
            }
        }
    }

    fn end_line(&mut self) {
        let line = String::from_utf8_lossy(&self.line).into_owned();
        self.line.clear();
        if !(self.worth)(&line) {
            return;
        }
        // Nothing is put before the last lines once there are any.
        if self.last.is_empty() && self.first_bytes + line.len() <= ENOUGH {
            self.first_bytes += line.len() + 1;
            self.first.push(line);
            return;
        }
        self.last_bytes += line.len() + 1;
        self.last.push_back(line);
        while self.last_bytes > ENOUGH {
            let Some(dropped) = self.last.pop_front() else { break };
            self.last_bytes -= dropped.len() + 1;
            self.left_out += 1;
        }
    }

    fn finish(mut self) -> String {
        if !self.line.is_empty() {
            self.end_line();
        }
        let mut lines = self.first;
        if self.left_out > 0 {
            lines.push(format!("({} lines are left out here)", self.left_out));
        }
        lines.extend(self.last);
        lines.join("\n")
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn kept(pieces: impl IntoIterator<Item = impl AsRef<[u8]>>, worth: Worth) -> String {
        let mut words = Words::new(worth);
        for piece in pieces {
            words.push(piece.as_ref());
        }
        words.finish()
    }

    #[test]
    fn a_few_lines_are_kept_as_they_are_however_they_come() {
        let text = "one\n\n  zwölf\nthe last without an end";
        assert_eq!(kept([text], ALL), text);
        assert_eq!(kept(text.as_bytes().chunks(1), ALL), text);
        assert_eq!(kept([""; 0], ALL), "");
    }

    #[test]
    fn a_line_for_each_of_a_million_things_is_not_kept() {
        let lines = (0..1_000_000).map(|n| format!("pg_restore: processing BLOB {n}\n"));
        let lines = lines.chain(["pg_restore: error: at the end\n".to_owned()]);
        let mut words = Words::new(|line| line.contains("error:"));
        for line in lines {
            words.push(line.as_bytes());
            assert!(words.first_bytes + words.last_bytes + words.line.capacity() < 1024);
        }
        assert_eq!(words.finish(), "pg_restore: error: at the end");
    }

    #[test]
    fn of_too_many_lines_the_first_and_the_last_are_kept() {
        let lines = (0..100_000).map(|n| format!("warning {n:06}\n"));
        let text = kept(lines, ALL);
        assert!(text.len() < 2 * ENOUGH + 100, "{}", text.len());
        assert!(text.starts_with("warning 000000\nwarning 000001\n") && text.ends_with("\nwarning 099999"));
        let shown = text.lines().count() - 1;
        assert!(text.contains(&format!("\n({} lines are left out here)\n", 100_000 - shown)));
    }

    #[test]
    fn of_a_long_line_the_beginning_is_kept() {
        let text = kept([format!("LOCK TABLE {}\nnext", "t, ".repeat(1_000_000))], ALL);
        assert!(text.starts_with("LOCK TABLE t, t, ") && text.ends_with("\nnext"));
        assert_eq!(text.len(), LINE + "\nnext".len());
    }
}
