//! What makes a backup suspicious: it is whole, and not like those before it.
//!
//! A suspicious backup is kept with its manifest. It counts for no rule and no floor until a person acknowledges it, or,
//! where that can be told from the backups themselves, until [`ALIKE`] in a row say the same: then it is how things are.

use std::{collections::BTreeMap, fmt};

use serde::{Deserialize, Serialize};

use crate::manifest::{Content, DatabaseFacts, Level, Manifest};

/// So many suspicious backups in a row that say the same are how things are: the first, and three that follow it.
pub const ALIKE: usize = 4;

/// With how many verified backups a new one is compared.
pub const COMPARED: usize = 5;

/// A table that had more rows than this does not become empty in silence.
pub const MANY_ROWS: u64 = 1000;

/// How much less than before a backup may hold, if the policy does not say, in percent.
pub const MAX_SHRINK: u8 = 50;

/// How many tables a finding names.
const NAMED: usize = 3;

/// Something about a backup that is not as it was.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Suspicion {
    /// What it is.
    pub kind: SuspicionKind,
    /// Of which database; absent where it is the server's.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub database: Option<String>,
    /// For a person: to be read after "it".
    pub message: String,
}

/// What is not as it was.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub enum SuspicionKind {
    /// Another server, by its system identifier, or the same on a timeline before that of the last backup.
    ServerChanged,
    /// A database of the last backup is not in this one, and is not retired.
    DatabaseMissing,
    /// A database holds far fewer rows or bytes than before.
    Shrunk,
    /// A table that held many rows holds none.
    Emptied,
}

impl SuspicionKind {
    /// Whether backups that say the same again and again settle it. Another server and a database that is gone are for
    /// a person to settle.
    pub const fn settles_by_itself(self) -> bool {
        matches!(self, Self::Shrunk | Self::Emptied)
    }
}

/// What makes suspicions alike: kind and database, not the figures.
pub type Key = (SuspicionKind, Option<String>);

impl Suspicion {
    /// What it has in common with the like.
    pub fn key(&self) -> Key {
        (self.kind, self.database.clone())
    }
}

impl fmt::Display for Suspicion {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.message)
    }
}

/// A table without rows that the server's statistics know with rows: `pg_class.reltuples`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Emptied {
    /// Its database.
    pub database: String,
    /// Its OID.
    pub oid: u32,
    /// How many rows the statistics have.
    pub rows: u64,
}

/// Compares a new backup with the newest verified ones before it, newest first; at most [`COMPARED`] of them count.
/// `emptied` are its tables without rows that had some by the server's statistics; `wanted` tells which databases the policy
/// still wants, and so are missed; `max_shrink` is a percentage.
pub fn suspicions(
    new: &Manifest,
    before: &[Manifest],
    emptied: &[Emptied],
    wanted: impl Fn(&str) -> bool,
    max_shrink: u8,
) -> Vec<Suspicion> {
    let mut found = Vec::new();
    let before = &before[..before.len().min(COMPARED)];
    found.extend(before.first().and_then(|last| server_changed(new, last)));
    if let Some(last) = before.first() {
        let missing = last.databases().filter(|name| wanted(name) && !new.databases().any(|n| n == *name));
        found.extend(missing.map(database_missing));
    }
    // Backups that were only stored know nothing of rows.
    let read = |manifest: &&Manifest| manifest.check.level != Level::Checksum;
    for database in databases(new).filter(|_| read(&new)) {
        let earlier: Vec<&DatabaseFacts> = before
            .iter()
            .filter(read)
            .filter_map(|manifest| databases(manifest).find(|facts| facts.name == database.name))
            .collect();
        found.extend(shrunk(database, &earlier, max_shrink));
        found.extend(emptied_tables(database, earlier.first().copied(), emptied));
    }
    found
}

fn databases(manifest: &Manifest) -> impl Iterator<Item = &DatabaseFacts> {
    manifest.artifacts.iter().filter_map(|artifact| match &artifact.content {
        Content::Database(facts) => Some(&**facts),
        _ => None,
    })
}

fn server_changed(new: &Manifest, last: &Manifest) -> Option<Suspicion> {
    let message = if new.server.system_identifier != last.server.system_identifier {
        format!(
            "is of another server: system identifier {}, {} in the last verified backup",
            new.server.system_identifier, last.server.system_identifier
        )
    } else if new.server.timeline < last.server.timeline {
        format!(
            "is of a server that went back: timeline {}, {} in the last verified backup",
            new.server.timeline, last.server.timeline
        )
    } else {
        return None;
    };
    Some(Suspicion { kind: SuspicionKind::ServerChanged, database: None, message })
}

fn database_missing(name: &str) -> Suspicion {
    Suspicion {
        kind: SuspicionKind::DatabaseMissing,
        database: Some(name.to_owned()),
        message: format!(
            "lacks database {name:?}, which the last verified backup has (gone for good? list it in databases.retired)"
        ),
    }
}

fn shrunk(database: &DatabaseFacts, earlier: &[&DatabaseFacts], max_shrink: u8) -> Option<Suspicion> {
    let rows = |facts: &DatabaseFacts| facts.tables.iter().map(|table| table.rows).sum::<u64>();
    // A list of tables that cannot be read any more says nothing either.
    let earlier = || earlier.iter().filter(|facts| !facts.tables.is_empty());
    let counts = [
        ("rows", rows(database), median(earlier().map(|facts| rows(facts)).collect())),
        ("bytes of data", database.data_bytes, median(earlier().map(|facts| facts.data_bytes).collect())),
    ];
    let (what, now, was) = counts.into_iter().find_map(|(what, now, was)| {
        was.filter(|was| is_shrunk(now, *was, max_shrink)).map(|was| (what, now, was))
    })?;
    Some(Suspicion {
        kind: SuspicionKind::Shrunk,
        database: Some(database.name.clone()),
        message: format!(
            "has {now} {what} of database {:?}, where verified backups had {was}",
            database.name
        ),
    })
}

/// Whether `now` is less than what is left of `was` when so many percent of it are gone.
fn is_shrunk(now: u64, was: u64, max_shrink: u8) -> bool {
    let left = 100 - u128::from(max_shrink.min(100));
    u128::from(now) * 100 < u128::from(was) * left
}

fn median(mut values: Vec<u64>) -> Option<u64> {
    values.sort_unstable();
    // Of an even number the lower one: a backup is not called suspicious for want of half a row.
    values.get(values.len().checked_sub(1)? / 2).copied()
}

fn emptied_tables(
    database: &DatabaseFacts,
    last: Option<&DatabaseFacts>,
    emptied: &[Emptied],
) -> Option<Suspicion> {
    let by_name = |facts: &DatabaseFacts| -> BTreeMap<(String, String), u64> {
        facts.tables.iter().map(|t| ((t.schema.clone(), t.name.clone()), t.rows)).collect()
    };
    let before = last.map(by_name).unwrap_or_default();
    let had = |oid: u32, name: &(String, String)| {
        // Statistics may be of long ago: they speak only where no backup knows the table.
        let by_statistics = || emptied.iter().find(|one| one.database == database.name && one.oid == oid);
        before.get(name).copied().or_else(|| Some(by_statistics()?.rows)).filter(|rows| *rows > MANY_ROWS)
    };
    let empty = database.tables.iter().filter(|table| table.rows == 0);
    let mut tables: Vec<String> = empty
        .filter_map(|table| {
            let name = (table.schema.clone(), table.name.clone());
            let rows = had(table.oid, &name)?;
            Some(format!("{}.{} ({rows} before)", table.schema, table.name))
        })
        .collect();
    if tables.is_empty() {
        return None;
    }
    let more = tables.len().saturating_sub(NAMED);
    tables.truncate(NAMED);
    let more = if more > 0 { format!(" and {more} more tables") } else { String::new() };
    Some(Suspicion {
        kind: SuspicionKind::Emptied,
        database: Some(database.name.clone()),
        message: format!("has no rows of {}{more} of database {:?}", tables.join(", "), database.name),
    })
}

#[cfg(test)]
mod tests;
