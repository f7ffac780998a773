//! Compares a new backup with earlier verified ones and finds what makes it suspicious.

use std::collections::BTreeMap;

use crate::{
    manifest::{Content, DatabaseFacts, Level, Manifest},
    message,
    suspicion::{Suspicion, SuspicionKind},
};

/// The maximum number of earlier backups with which a new backup is compared: the newest verified ones.
pub const COMPARED: usize = 5;

/// An emptied table makes a backup suspicious if the table had more rows than this.
pub const MANY_ROWS: u64 = 1000;

/// The default of `verification.maxShrink`: the percentage by which a database may shrink without being
/// suspicious.
pub const MAX_SHRINK: u8 = 50;

/// The number of tables that one message lists by name.
const NAMED: usize = 3;

/// A table that is empty in the backup although the server's statistics (`pg_class.reltuples`) give it rows.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Emptied {
    /// The database's name.
    pub database: String,
    /// The table's OID on the server.
    pub oid: u32,
    /// The number of rows according to the statistics.
    pub rows: u64,
}

/// Compares a new backup with earlier ones and returns the differences that make it suspicious.
///
/// - `before`: the newest verified backups, newest first. At most [`COMPARED`] of them are used.
/// - `emptied`: tables that are empty in the new backup although the server's statistics give them rows.
/// - `wanted`: returns whether the policy still selects a database.
/// - `max_shrink`: the percentage by which a database may shrink.
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
    // At level Checksum no rows are counted, so there is nothing to compare.
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
            "the server changed: its system identifier is {}, but was {} in the previous successful backup",
            new.server.system_identifier, last.server.system_identifier
        )
    } else if new.server.timeline < last.server.timeline {
        format!(
            "the server is on an earlier timeline: its timeline is {}, but was {} in the previous successful backup",
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
        message: format!("database {name:?} is missing, but the previous successful backup contains it"),
    }
}

fn shrunk(database: &DatabaseFacts, earlier: &[&DatabaseFacts], max_shrink: u8) -> Option<Suspicion> {
    let rows = |facts: &DatabaseFacts| facts.tables.iter().map(|table| table.rows).sum::<u64>();
    // An empty list of tables means that the file with the list could not be read.
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
            "database {:?} shrank from {was} to {now} {what}, compared with the median of earlier backups",
            database.name
        ),
    })
}

/// Returns whether the count `now` is below the earlier count `was` by more than `max_shrink` percent.
fn is_shrunk(now: u64, was: u64, max_shrink: u8) -> bool {
    let left = 100 - u128::from(max_shrink.min(100));
    u128::from(now) * 100 < u128::from(was) * left
}

fn median(mut values: Vec<u64>) -> Option<u64> {
    values.sort_unstable();
    // Of an even number of values the lower middle one: rounding never makes a backup suspicious.
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
        // Statistics can be outdated. They are used only if the last verified backup does not have the table.
        let by_statistics = || emptied.iter().find(|one| one.database == database.name && one.oid == oid);
        before.get(name).copied().or_else(|| Some(by_statistics()?.rows)).filter(|rows| *rows > MANY_ROWS)
    };
    let empty = database.tables.iter().filter(|table| table.rows == 0);
    let tables: Vec<String> = empty
        .filter_map(|table| {
            let name = (table.schema.clone(), table.name.clone());
            let rows = had(table.oid, &name)?;
            Some(format!("{}.{} ({rows} rows before)", table.schema, table.name))
        })
        .collect();
    if tables.is_empty() {
        return None;
    }
    Some(Suspicion {
        kind: SuspicionKind::Emptied,
        database: Some(database.name.clone()),
        message: format!(
            "database {:?} has tables that became empty: {}",
            database.name,
            message::list(tables, NAMED, "tables")
        ),
    })
}

#[cfg(test)]
mod tests;
