//! A database that is uploaded, and the facts about it for the manifest.

use std::{collections::BTreeMap, time::Duration};

use archive::rows::Contents;
use domain::{
    manifest::{DatabaseFacts, TableFacts},
    report::seconds,
    suspicion_rules::Emptied,
};
use jiff::{SignedDuration, Timestamp};

use crate::{
    pg::{databases::Database, source::Source},
    transfer::UploadedArchive,
};

/// A database that is uploaded but not yet read back.
#[derive(Debug)]
pub struct StoredDatabase {
    /// The file name of the archive in the backup's folder.
    pub file: String,
    pub archive: UploadedArchive,
    /// The database's contents in the snapshot.
    pub source: Source,
    pub database: Database,
    pub snapshot: Snapshot,
    pub compression: String,
    /// The tables whose rows are not in the archive.
    pub excluded: Vec<String>,
}

/// The snapshot of one database.
#[derive(Debug)]
pub struct Snapshot {
    pub time: Timestamp,
    pub lsn: String,
    /// The time for which the snapshot was held.
    pub held: Duration,
}

impl StoredDatabase {
    /// Returns the facts for the manifest. `contents` are the rows of the archive; `objects` are the counts
    /// of its table of contents.
    pub fn facts(self, contents: &Contents, objects: BTreeMap<String, u64>) -> DatabaseFacts {
        let tables = self.source.tables.into_iter().filter_map(|(oid, (schema, name))| {
            let rows = contents.tables.get(&oid)?;
            let (columns, fingerprint) = (rows.columns.clone(), format!("{:032x}", rows.fingerprint));
            Some(TableFacts { oid, schema, name, columns, rows: rows.count, fingerprint })
        });
        DatabaseFacts {
            name: self.database.name,
            oid: self.database.oid,
            snapshot_time: self.snapshot.time,
            snapshot_lsn: self.snapshot.lsn,
            held_seconds: seconds(
                SignedDuration::try_from(self.snapshot.held).unwrap_or(SignedDuration::MAX),
            ),
            compression: self.compression,
            excluded_table_data: self.excluded,
            command: self.archive.command,
            definition: self.database.definition,
            extensions: self.source.extensions,
            objects,
            data_bytes: contents.data_bytes,
            tables: tables.collect(),
        }
    }

    /// Returns the tables that are empty in the archive but have rows according to the server's statistics.
    pub fn emptied(&self, contents: &Contents) -> Vec<Emptied> {
        let empty = contents.tables.iter().filter(|(_, rows)| rows.count == 0);
        let known = empty.filter_map(|(oid, _)| Some((*oid, *self.source.estimates.get(oid)?)));
        let emptied = known.map(|(oid, rows)| Emptied { database: self.database.name.clone(), oid, rows });
        emptied.collect()
    }
}
