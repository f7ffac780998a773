//! Reads a program's standard error with limited memory.
//!
//! Programs may write millions of lines, for example one for each large object or a warning for each table.
//! The first and the last lines are kept: the error is at the end, and its cause is often at the beginning.

use std::collections::VecDeque;

use tokio::{io::AsyncReadExt as _, process::ChildStderr};

/// The maximum length of a kept line, in bytes. A statement that locks every table is one line.
const LINE_MAX: usize = 16 * 1024;

/// The maximum size of the first lines that are kept, and likewise of the last lines, in bytes.
const HALF_MAX: usize = 128 * 1024;

/// A function that returns whether to keep a line.
pub type LineFilter = fn(&str) -> bool;

pub const ALL: LineFilter = |_| true;

/// Accepts only the lines of pg_restore that report errors. `--verbose` prints many other lines, which
/// are harmless.
pub const PG_RESTORE_ERRORS: LineFilter = |line| line.contains("error:") || line.contains("detail:");

struct Kept {
    filter: LineFilter,
    line: Vec<u8>,
    first: Vec<String>,
    first_bytes: usize,
    last: VecDeque<String>,
    last_bytes: usize,
    omitted: u64,
}

/// Reads to the end, or until a read fails. Returns the kept lines.
pub async fn read(mut stderr: ChildStderr, is_kept: LineFilter) -> String {
    let mut kept = Kept::new(is_kept);
    let mut piece = vec![0; 8 * 1024];
    while let Ok(length @ 1..) = stderr.read(&mut piece).await {
        kept.push(&piece[..length]);
    }
    kept.finish()
}

impl Kept {
    fn new(is_kept: LineFilter) -> Self {
        Self {
            filter: is_kept,
            line: Vec::new(),
            first: Vec::new(),
            first_bytes: 0,
            last: VecDeque::new(),
            last_bytes: 0,
            omitted: 0,
        }
    }

    fn push(&mut self, piece: &[u8]) {
        for part in piece.split_inclusive(|byte| *byte == b'\n') {
            let text = part.strip_suffix(b"\n").unwrap_or(part);
            let room = LINE_MAX.saturating_sub(self.line.len());
            self.line.extend_from_slice(&text[..text.len().min(room)]);
            if text.len() < part.len() {
                self.end_line();
            }
        }
    }

    fn end_line(&mut self) {
        let line = String::from_utf8_lossy(&self.line).into_owned();
        self.line.clear();
        if !(self.filter)(&line) {
            return;
        }
        // The first line that does not fit belongs to the last lines, and so do all lines after it.
        if self.last.is_empty() && self.first_bytes + line.len() <= HALF_MAX {
            self.first_bytes += line.len() + 1;
            self.first.push(line);
            return;
        }
        self.last_bytes += line.len() + 1;
        self.last.push_back(line);
        while self.last_bytes > HALF_MAX {
            let Some(dropped) = self.last.pop_front() else { break };
            self.last_bytes -= dropped.len() + 1;
            self.omitted += 1;
        }
    }

    fn finish(mut self) -> String {
        if !self.line.is_empty() {
            self.end_line();
        }
        let mut lines = self.first;
        if self.omitted > 0 {
            lines.push(format!("({} lines omitted)", self.omitted));
        }
        lines.extend(self.last);
        lines.join("\n")
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn kept(pieces: impl IntoIterator<Item = impl AsRef<[u8]>>, is_kept: LineFilter) -> String {
        let mut kept = Kept::new(is_kept);
        for piece in pieces {
            kept.push(piece.as_ref());
        }
        kept.finish()
    }

    #[test]
    fn short_stderr_is_kept_unchanged() {
        let text = "one\n\n  zwölf\nthe last without an end";
        assert_eq!(kept([text], ALL), text);
        assert_eq!(kept(text.as_bytes().chunks(1), ALL), text);
        assert_eq!(kept([""; 0], ALL), "");
    }

    #[test]
    fn filtered_out_stderr_lines_use_no_memory() {
        let lines = (0..1_000_000).map(|n| format!("pg_restore: processing BLOB {n}\n"));
        let lines = lines.chain(["pg_restore: error: at the end\n".to_owned()]);
        let mut kept = Kept::new(|line| line.contains("error:"));
        for line in lines {
            kept.push(line.as_bytes());
            assert!(kept.first_bytes + kept.last_bytes + kept.line.capacity() < 1024);
        }
        assert_eq!(kept.finish(), "pg_restore: error: at the end");
    }

    #[test]
    fn long_stderr_keeps_its_first_and_last_lines() {
        let lines = (0..100_000).map(|n| format!("warning {n:06}\n"));
        let text = kept(lines, ALL);
        assert!(text.len() < 2 * HALF_MAX + 100, "{}", text.len());
        assert!(text.starts_with("warning 000000\nwarning 000001\n") && text.ends_with("\nwarning 099999"));
        let shown = text.lines().count() - 1;
        assert!(text.contains(&format!("\n({} lines omitted)\n", 100_000 - shown)));
    }

    #[test]
    fn long_stderr_line_is_cut_at_its_end() {
        let text = kept([format!("LOCK TABLE {}\nnext", "t, ".repeat(1_000_000))], ALL);
        assert!(text.starts_with("LOCK TABLE t, t, ") && text.ends_with("\nnext"));
        assert_eq!(text.len(), LINE_MAX + "\nnext".len());
    }
}
