//! Compares an archive with the database's contents in the snapshot.

use archive::{rows::Contents, toc::Toc};
use domain::message;

use super::error::BackupError;
use crate::pg::source::Source;

/// The number of missing objects that a message lists.
const NAMED: usize = 5;

/// Returns an error if the archive lacks an object, a row or a large object that `source` has.
pub fn require_all(file: &str, source: &Source, toc: &Toc, contents: &Contents) -> Result<(), BackupError> {
    let mut missing: Vec<String> = toc
        .missing(&source.objects)
        .iter()
        .map(|object| format!("{} {}", object.kind, object.name))
        .collect();
    let without_rows = source.tables.iter().filter(|(oid, _)| !contents.tables.contains_key(oid));
    missing.extend(without_rows.map(|(_, (schema, name))| format!("rows of {schema}.{name}")));
    let counts = source.counts.iter().flatten();
    missing.extend(counts.filter_map(|(oid, counted)| {
        let (schema, name) = source.tables.get(oid)?;
        let stored = contents.tables.get(oid)?.count;
        (stored != *counted)
            .then(|| format!("rows of {schema}.{name} (archive: {stored}, database: {counted})"))
    }));
    if contents.large_objects != source.large_objects {
        missing.push(format!(
            "large objects (archive: {}, database: {})",
            contents.large_objects, source.large_objects
        ));
    }
    if missing.is_empty() {
        return Ok(());
    }
    Err(BackupError::Incomplete { file: file.to_owned(), missing: message::list(missing, NAMED, "objects") })
}
