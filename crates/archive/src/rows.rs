//! Parses the SQL text of `pg_restore --data-only --verbose`, and computes the number and the fingerprint of
//! each table's rows.
//!
//! The parser follows quotes, not lines, because a name may contain line breaks and a line that looks like
//! `COPY ...`. With `--data-only`, names and rows are the only text that users choose. A table's OID comes
//! from the comment before its COPY command (`-- TOC entry 3349 (class 0 OID 16385)`), which pg_restore
//! writes without line breaks.

use std::collections::BTreeMap;

use memchr::{memchr, memchr2, memchr3};
use twox_hash::XxHash3_128;

/// The maximum length of a COPY command, in bytes. 1,600 columns with the longest names take about 200 kB.
const HEAD_MAX: usize = 1 << 20;

/// The number of bytes that the parser keeps of a comment, or of a statement other than COPY.
const START_MAX: usize = 128;

/// The parsed data of an archive.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Contents {
    /// The rows of each table, by the table's OID on the server.
    pub tables: BTreeMap<u32, Rows>,
    /// The number of large objects.
    pub large_objects: u64,
    /// The size of all rows in bytes, including line breaks.
    pub data_bytes: u64,
}

/// The number and the fingerprint of a table's rows.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Rows {
    /// The column list of the COPY command, without parentheses.
    pub columns: String,
    /// The number of rows.
    pub count: u64,
    /// The sum modulo 2^128 of the XXH3-128 (seed 0) of each row's line, without its line break.
    pub fingerprint: u128,
}

/// A parser of an archive's SQL text, which arrives in chunks.
#[derive(Debug, Default)]
pub struct CopyParser {
    state: State,
    contents: Contents,
    oid: u32,
}

#[derive(Debug, Default)]
enum State {
    /// The parser is between two statements.
    #[default]
    Between,
    /// The parser is in a comment or a `\` command, which ends with the line. The value is its beginning.
    Line(Vec<u8>),
    /// The parser is in a statement. `head` is its beginning; `quote` is the open quote, if any.
    Statement { head: Vec<u8>, quote: Option<u8> },
    /// The parser is after `COPY ... FROM stdin;`, before the line break.
    CopyStart(Box<Rows>),
    /// The parser is in the rows of a table. `line` is the beginning of an incomplete line from earlier
    /// chunks.
    Copy { rows: Box<Rows>, line: Option<Box<PartialLine>> },
}

/// A line of which only the beginning has arrived. It is hashed as it arrives, so that a field of a gigabyte
/// takes no memory.
struct PartialLine {
    hasher: twox_hash::xxhash3_128::Hasher,
    start: Vec<u8>,
    length: usize,
}

impl CopyParser {
    /// Parses the next chunk of the text.
    pub fn push(&mut self, mut bytes: &[u8]) {
        while !bytes.is_empty() {
            bytes = match std::mem::take(&mut self.state) {
                State::Between => self.between(bytes),
                State::Line(start) => self.line(start, bytes),
                State::Statement { head, quote } => self.statement(head, quote, bytes),
                State::CopyStart(rows) => self.copy_start(rows, bytes),
                State::Copy { rows, line } => self.copy(rows, line, bytes),
            };
        }
    }

    /// Returns the parsed data; `None` if the text ended within a statement or within the rows of a table.
    pub fn finish(self) -> Option<Contents> {
        match self.state {
            State::Between | State::Line(_) => Some(self.contents),
            _ => None,
        }
    }

    fn between<'a>(&mut self, bytes: &'a [u8]) -> &'a [u8] {
        let Some(at) = bytes.iter().position(|byte| !byte.is_ascii_whitespace()) else {
            return &[];
        };
        self.state = match bytes[at] {
            b'-' | b'\\' => State::Line(Vec::new()),
            _ => State::Statement { head: Vec::new(), quote: None },
        };
        &bytes[at..]
    }

    fn line<'a>(&mut self, mut start: Vec<u8>, bytes: &'a [u8]) -> &'a [u8] {
        let end = memchr(b'\n', bytes);
        keep(&mut start, &bytes[..end.unwrap_or(bytes.len())], START_MAX);
        let Some(end) = end else {
            self.state = State::Line(start);
            return &[];
        };
        if let Some(oid) = toc_entry_oid(&start) {
            self.oid = oid;
        }
        &bytes[end + 1..]
    }

    fn statement<'a>(&mut self, mut head: Vec<u8>, mut quote: Option<u8>, bytes: &'a [u8]) -> &'a [u8] {
        let mut at = 0;
        loop {
            let rest = &bytes[at..];
            let found = match quote {
                Some(open) => memchr(open, rest),
                None => memchr3(b';', b'"', b'\'', rest),
            };
            let Some(found) = found else {
                keep_head(&mut head, bytes);
                self.state = State::Statement { head, quote };
                return &[];
            };
            at += found + 1;
            match (quote, rest[found]) {
                (Some(_), _) => quote = None,
                (None, b';') => break,
                (None, open) => quote = Some(open),
            }
        }
        keep_head(&mut head, &bytes[..at - 1]);
        if head.starts_with(b"SELECT pg_catalog.lo_open(") {
            self.contents.large_objects += 1;
        } else if let Some(columns) = copy_columns(&head) {
            self.state = State::CopyStart(Box::new(Rows { columns, ..Rows::default() }));
        }
        &bytes[at..]
    }

    fn copy_start<'a>(&mut self, rows: Box<Rows>, bytes: &'a [u8]) -> &'a [u8] {
        let Some(end) = memchr(b'\n', bytes) else {
            self.state = State::CopyStart(rows);
            return &[];
        };
        self.state = State::Copy { rows, line: None };
        &bytes[end + 1..]
    }

    fn copy<'a>(
        &mut self,
        mut rows: Box<Rows>,
        line: Option<Box<PartialLine>>,
        mut bytes: &'a [u8],
    ) -> &'a [u8] {
        if let Some(mut partial) = line {
            let Some(end) = memchr(b'\n', bytes) else {
                partial.push(bytes);
                self.state = State::Copy { rows, line: Some(partial) };
                return &[];
            };
            partial.push(&bytes[..end]);
            bytes = &bytes[end + 1..];
            if partial.is_end() {
                self.close(*rows);
                return bytes;
            }
            self.contents.data_bytes += partial.length as u64 + 1;
            rows.add(partial.hasher.finish_128());
        }
        while let Some(end) = memchr(b'\n', bytes) {
            let line = &bytes[..end];
            bytes = &bytes[end + 1..];
            if line == b"\\." {
                self.close(*rows);
                return bytes;
            }
            self.contents.data_bytes += line.len() as u64 + 1;
            rows.add(XxHash3_128::oneshot(line));
        }
        let line = (!bytes.is_empty()).then(|| Box::new(PartialLine::new(bytes)));
        self.state = State::Copy { rows, line };
        &[]
    }

    fn close(&mut self, rows: Rows) {
        self.contents.tables.insert(self.oid, rows);
        self.state = State::Between;
    }
}

impl Rows {
    fn add(&mut self, hash: u128) {
        self.count += 1;
        self.fingerprint = self.fingerprint.wrapping_add(hash);
    }
}

impl std::fmt::Debug for PartialLine {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("PartialLine").field("length", &self.length).finish_non_exhaustive()
    }
}

impl PartialLine {
    fn new(bytes: &[u8]) -> Self {
        let mut line = Self { hasher: twox_hash::xxhash3_128::Hasher::new(), start: Vec::new(), length: 0 };
        line.push(bytes);
        line
    }

    fn push(&mut self, bytes: &[u8]) {
        self.hasher.write(bytes);
        self.length += bytes.len();
        keep(&mut self.start, bytes, 2);
    }

    fn is_end(&self) -> bool {
        self.length == 2 && self.start == b"\\."
    }
}

/// Appends `bytes` to `start`, which is limited to `limit` bytes.
fn keep(start: &mut Vec<u8>, bytes: &[u8], limit: usize) {
    let room = limit.saturating_sub(start.len()).min(bytes.len());
    start.extend_from_slice(&bytes[..room]);
}

/// Appends `bytes` to the kept part of a statement: all of a COPY command, and the beginning of any other
/// statement.
fn keep_head(head: &mut Vec<u8>, bytes: &[u8]) {
    let start = [&head[..], &bytes[..bytes.len().min(5)]].concat();
    keep(head, bytes, if start.starts_with(b"COPY ") { HEAD_MAX } else { START_MAX });
}

fn toc_entry_oid(line: &[u8]) -> Option<u32> {
    let line = std::str::from_utf8(line).ok()?;
    let (_, oid) = line.strip_prefix("-- TOC entry ")?.split_once(" OID ")?;
    oid.strip_suffix(')')?.parse().ok()
}

/// Returns the column list of a statement such as `COPY public.t (a, b) FROM stdin`; `None` for other
/// statements.
fn copy_columns(head: &[u8]) -> Option<String> {
    let head = head.strip_prefix(b"COPY ")?.strip_suffix(b" FROM stdin")?;
    // The column list is the last pair of parentheses outside quotes. A table without columns has none.
    let (mut at, mut open) = (0, None);
    while let Some(found) = memchr2(b'"', b'(', &head[at..]) {
        let here = at + found;
        if head[here] == b'(' {
            open = Some(here);
            break;
        }
        at = here + 1 + memchr(b'"', &head[here + 1..])? + 1;
    }
    let columns = open.map_or(&b""[..], |open| head[open + 1..].strip_suffix(b")").unwrap_or_default());
    Some(String::from_utf8_lossy(columns).into_owned())
}

#[cfg(test)]
mod tests {
    use super::*;

    const TEXT: &str = concat!(
        "--\n-- PostgreSQL database dump\n--\n\n\\restrict X91; COPY\n\nSET standard_conforming_strings = on;\n",
        "SELECT pg_catalog.set_config('search_path', '', false);\n\n",
        "--\n-- TOC entry 3349 (class 0 OID 16385)\n-- Dependencies: 214\n-- Data for Name: t; Type: TABLE DATA\n--\n\n",
        "COPY public.t (a, \"b)\"\"(c\") FROM stdin;\n1\tx\n2\t\\N\n\\\\.\n\\.\n\n\n",
        "--\n-- TOC entry 3350 (class 0 OID 16392)\n--\n\nCOPY public.e  FROM stdin;\n\n\n\\.\n\n\n",
        "--\n-- TOC entry 3351 (class 0 OID 16395)\n--\n\n",
        "COPY public.\"we;ird\nCOPY public.fake (a) FROM stdin;\n\" (c) FROM stdin;\n\\.\n\n\n",
        "BEGIN;\n\nSELECT pg_catalog.lo_open('16398', 131072);\nSELECT pg_catalog.lowrite(0, '\\x3b27');\n",
        "SELECT pg_catalog.lo_close(0);\n\nCOMMIT;\n\n-- Completed\n\n\\unrestrict X91\n",
    );

    fn read(pieces: &[&[u8]]) -> Option<Contents> {
        let mut parser = CopyParser::default();
        for piece in pieces {
            parser.push(piece);
        }
        parser.finish()
    }

    #[test]
    fn rows_are_counted_whatever_names_and_values_they_have() {
        let contents = read(&[TEXT.as_bytes()]).unwrap();
        let rows: Vec<_> =
            contents.tables.iter().map(|(oid, t)| (*oid, t.columns.as_str(), t.count)).collect();
        assert_eq!(rows, [(16385, "a, \"b)\"\"(c\"", 3), (16392, "", 2), (16395, "c", 0)]);
        assert_eq!(contents.large_objects, 1);
    }

    #[test]
    fn row_count_does_not_depend_on_the_chunk_size() {
        let whole = read(&[TEXT.as_bytes()]).unwrap();
        for at in 0..TEXT.len() {
            let (a, b) = TEXT.as_bytes().split_at(at);
            assert_eq!(read(&[a, b]).as_ref(), Some(&whole), "cut at {at}");
        }
        let bytes: Vec<&[u8]> = TEXT.as_bytes().chunks(1).collect();
        assert_eq!(read(&bytes), Some(whole));
    }

    #[test]
    fn truncated_table_rows_make_an_archive_incomplete() {
        let end = TEXT.find("2\t").unwrap();
        assert_eq!(read(&[&TEXT.as_bytes()[..end]]), None);
    }

    #[test]
    fn table_fingerprint_depends_on_rows_but_not_their_order() {
        let print = |rows: &str| {
            let text = format!("-- TOC entry 1 (class 0 OID 7)\nCOPY t (a) FROM stdin;\n{rows}\\.\n");
            read(&[text.as_bytes()]).unwrap().tables[&7].fingerprint
        };
        assert_eq!(print("1\n2\n"), print("2\n1\n"));
        assert_ne!(print("1\n2\n"), print("1\n3\n"));
        assert_ne!(print("1\n1\n"), print("2\n2\n"));
        assert_ne!(print(""), print("\n"));
    }
}
