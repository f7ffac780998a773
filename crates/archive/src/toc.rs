//! Parses the output of `pg_restore --list`, an archive's table of contents, and finds the server's objects
//! that the archive lacks.

use std::collections::{BTreeMap, BTreeSet};

use serde::Deserialize;

/// The kinds of entries that the manifest counts. If one kind begins with another, the longer one comes
/// first.
const KINDS: [&str; 24] = [
    "TABLE DATA",
    "TABLE ATTACH",
    "TABLE",
    "MATERIALIZED VIEW DATA",
    "MATERIALIZED VIEW",
    "INDEX ATTACH",
    "INDEX",
    "FK CONSTRAINT",
    "CHECK CONSTRAINT",
    "CONSTRAINT",
    "SEQUENCE SET",
    "SEQUENCE OWNED BY",
    "SEQUENCE",
    "VIEW",
    "FUNCTION",
    "PROCEDURE",
    "AGGREGATE",
    "TRIGGER",
    "POLICY",
    "TYPE",
    "DOMAIN",
    "SCHEMA",
    "EXTENSION",
    "RULE",
];

/// An object on the server, identified as in the table of contents.
#[derive(Clone, Debug, PartialEq, Eq, Deserialize)]
pub struct SourceObject {
    /// The OID of the catalog that contains the object; 0 for the rows of a table.
    pub class: u32,
    /// The object's OID.
    pub oid: u32,
    /// The kind as in the table of contents: `TABLE`, `TABLE DATA`, `INDEX` and so on.
    pub kind: String,
    /// The object's name, for messages.
    pub name: String,
}

/// An archive's table of contents.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Toc {
    entries: BTreeSet<(u32, u32)>,
    /// The number of entries of each kind.
    pub counts: BTreeMap<String, u64>,
}

impl Toc {
    /// Parses the whole listing. Its lines have the form `214; 1259 16385 TABLE public t postgres`: dump id,
    /// OID of the catalog (0 for data), OID, kind, schema, name, owner. Schema and name are not parsed.
    pub fn parse(listing: &str) -> Self {
        let mut toc = Self::default();
        listing.lines().for_each(|line| toc.push(line));
        toc
    }

    /// Parses the next line of the listing. Ignores comments and other lines.
    pub fn push(&mut self, line: &str) {
        let Some((class, oid, rest)) = entry(line).filter(|_| !line.starts_with(';')) else {
            return;
        };
        // A schema may be named DATA or SET. Only entries with catalog 0 are data.
        let is_kind = |kind: &&&str| {
            let plain = class == 0 || !(kind.ends_with(" DATA") || kind.ends_with(" SET"));
            plain && rest.strip_prefix(**kind).is_some_and(|rest| rest.starts_with(' '))
        };
        if let Some(kind) = KINDS.iter().find(is_kind) {
            *self.counts.entry((*kind).to_owned()).or_default() += 1;
        }
        // Catalog 0 also includes the data of sequences and materialized views, which are not compared. Large
        // objects are compared by their number instead; before PostgreSQL 17 each has an entry, and there may
        // be millions.
        let is_wanted = if class == 0 { rest.starts_with("TABLE DATA ") } else { !rest.starts_with("BLOB ") };
        if is_wanted {
            self.entries.insert((class, oid));
        }
    }

    /// Returns the objects of the server's snapshot that the archive lacks.
    pub fn missing<'a>(&self, source: &'a [SourceObject]) -> Vec<&'a SourceObject> {
        source.iter().filter(|object| !self.entries.contains(&(object.class, object.oid))).collect()
    }
}

fn entry(line: &str) -> Option<(u32, u32, &str)> {
    let (_, rest) = line.split_once("; ")?;
    let (class, rest) = rest.split_once(' ')?;
    let (oid, rest) = rest.split_once(' ')?;
    Some((class.parse().ok()?, oid.parse().ok()?, rest))
}

#[cfg(test)]
mod tests {
    use super::*;

    const LISTING: &str = "\
;
; Archive created at 2026-11-23 00:43:47 UTC
;     TOC Entries: 16
;
217; 1255 16401 FUNCTION public f() postgres
214; 1259 16385 TABLE public t postgres
216; 1259 16395 TABLE public we;ird COPY x postgres
3349; 0 16385 TABLE DATA public t postgres
3350; 0 16395 SEQUENCE SET public s postgres
3355; 0 0 BLOBS - BLOBS 
3206; 2606 16391 CONSTRAINT public t t_pkey postgres
3207; 2606 16392 FK CONSTRAINT public t t_fkey postgres
";

    fn object(class: u32, oid: u32) -> SourceObject {
        SourceObject { class, oid, kind: "TABLE".into(), name: "public.t".into() }
    }

    #[test]
    fn archive_toc_entries_are_counted_by_kind() {
        let toc = Toc::parse(LISTING);
        let count = |kind| toc.counts.get(kind).copied().unwrap_or_default();
        assert_eq!(
            (count("TABLE"), count("TABLE DATA"), count("CONSTRAINT"), count("FK CONSTRAINT")),
            (2, 1, 1, 1)
        );
    }

    #[test]
    fn archive_toc_parser_skips_large_objects() {
        let listing: String =
            (1..=1000).map(|n| format!("{n}; 2613 {} BLOB - {n} postgres\n", 16384 + n)).collect();
        assert_eq!(Toc::parse(&listing), Toc::default());
    }

    #[test]
    fn archive_toc_parser_accepts_a_schema_named_data() {
        let toc =
            Toc::parse("214; 1259 16385 TABLE DATA t postgres\n3349; 0 16385 TABLE DATA DATA t postgres\n");
        assert_eq!(toc.missing(&[object(1259, 16385), object(0, 16385)]), Vec::<&SourceObject>::new());
        assert_eq!(toc.counts.get("TABLE"), Some(&1));
        assert_eq!(toc.counts.get("TABLE DATA"), Some(&1));
    }

    #[test]
    fn object_missing_from_an_archive_is_found_by_oid() {
        let toc = Toc::parse(LISTING);
        let source = [object(1259, 16385), object(0, 16385), object(1259, 99), object(0, 16395)];
        let missing: Vec<_> = toc.missing(&source).iter().map(|o| (o.class, o.oid)).collect();
        assert_eq!(missing, [(1259, 99), (0, 16395)]);
    }
}
