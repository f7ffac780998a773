//! One round: lock the tables of a database, take a snapshot, dump it and upload the archive.

use std::time::Duration;

use domain::{invocation::Compression, manifest::Level, name, pattern::matches, report::BackupStage, size};
use jiff::Timestamp;
use tokio::sync::oneshot;

use super::{
    error::BackupError,
    held_dump::{self, hold_until_locked, side_by_side},
    stored::{Snapshot, StoredDatabase},
};
use crate::{
    args::Config,
    failpoint,
    pg::{
        compression, count,
        databases::Database,
        dump::DumpOptions,
        hold::{self, Hold, Relation},
        preflight::Server,
        source::Source,
    },
    run::Run,
    store::{BackupWriter, Repository, StoreError, Upload},
    transfer::{self, UploadedArchive},
};

/// The duration of a held snapshot above which the run warns: vacuum cannot remove rows that the snapshot
/// sees.
const LONG_SNAPSHOT: Duration = Duration::from_hours(1);

/// The backup into which a database's archive is uploaded.
pub enum Destination<'a> {
    /// A new backup in this repository, named after the database's snapshot time. If the dump is repeated,
    /// each round (lock, snapshot, dump) creates another backup.
    New(&'a Repository),
    /// The backup that the first database of this run created.
    Begun(Box<BackupWriter>),
}

impl Destination<'_> {
    async fn writer(
        &self,
        run: &mut Run,
        snapshot: Timestamp,
        token: &str,
    ) -> Result<BackupWriter, StoreError> {
        match self {
            Self::New(repository) => run.begin(repository, &name::backup_id(snapshot, token)).await,
            Self::Begun(writer) => Ok(BackupWriter::clone(writer)),
        }
    }
}

/// The inputs of one round: what is dumped, and how.
#[derive(Clone, Copy)]
pub struct Round<'a> {
    pub config: &'a Config,
    pub server: &'a Server,
    pub database: &'a Database,
    pub compression: Compression,
}

impl Round<'_> {
    /// Runs the round. Returns the database, uploaded but not yet read back, and the writer of its backup.
    pub async fn run(
        &self,
        run: &mut Run,
        destination: &Destination<'_>,
    ) -> Result<(StoredDatabase, BackupWriter), BackupError> {
        let Self { config, server, database, compression } = *self;
        run.stage(BackupStage::Hold);
        let hold = hold::take(&server.tools, &database.name, config.options.dump.lock_timeout).await?;
        failpoint::reach(BackupStage::Hold).await;
        let writer = destination.writer(run, hold.time, server.tools.session_token()).await?;
        run.stage(BackupStage::Dump);
        let file = name::archive_file(&database.name);
        let mut upload = writer.upload(&file, false, hold.database_bytes).await?;
        let excluded = Excluded::new(&hold.relations, &config.options.dump.exclude_table_data);
        let (time, lsn, since) = (hold.time, hold.lsn.clone(), hold.since);
        let dumped = self.dump(hold, &excluded, &mut upload).await;
        // The transaction of pg_dump held the snapshot until now.
        let snapshot = Snapshot { time, lsn, held: since.elapsed() };
        let (archive, mut source) = match dumped {
            Ok(dumped) => dumped,
            Err(error) => {
                if let Err(error) = upload.discard().await {
                    run.log(format_args!("cannot remove the unfinished archive {file:?}: {error}"));
                }
                return Err(error);
            }
        };
        let (excluded, not_excluded) = excluded.split(&archive);
        source.without_data(&excluded.oids);
        run.stage(BackupStage::Upload);
        upload.finish().await?;
        failpoint::reach(BackupStage::Upload).await;
        run.log(format_args!(
            "database {:?}: archive of {} uploaded; its snapshot of {time} was open for {:.1} s",
            database.name,
            size::human(archive.file.sum.size),
            snapshot.held.as_secs_f64()
        ));
        for warning in not_excluded.warnings().chain(warnings(&archive.file.warnings, snapshot.held)) {
            run.warn(format!("database {:?}: {warning}", database.name));
        }
        let stored = StoredDatabase {
            file,
            archive,
            source,
            database: database.clone(),
            snapshot,
            compression: compression.to_string(),
            excluded: excluded.names,
        };
        Ok((stored, writer))
    }

    async fn dump(
        &self,
        hold: Hold,
        excluded: &Excluded,
        upload: &mut Upload,
    ) -> Result<(UploadedArchive, Source), BackupError> {
        let Self { config, server, database, compression } = *self;
        let Hold { session, snapshot, relations, .. } = hold;
        let options = DumpOptions {
            database: &database.name,
            encoding: &database.definition.encoding,
            snapshot: &snapshot,
            lock_timeout: config.options.dump.lock_timeout,
            compression: &compression::option(compression, server.client_major)?,
            without_data: &excluded.names,
        };
        let parse = config.options.level != Level::Checksum;
        let (locked, has_locks) = oneshot::channel();
        let dumping = transfer::dump(&server.tools, options, parse, upload, locked);
        let holding = hold_until_locked(session, has_locks, async |source| {
            if config.options.level != Level::Counts {
                return Ok(None);
            }
            let has_data = |table: &&Relation| {
                source.tables.contains_key(&table.oid) && !excluded.oids.contains(&table.oid)
            };
            let tables: Vec<&Relation> = relations.iter().filter(has_data).collect();
            count::count(&server.tools, &database.name, &snapshot, &tables).await.map(Some)
        });
        held_dump::result(side_by_side(dumping, holding).await, config.options.dump.lock_timeout)
    }
}

/// The tables whose rows the policy excludes.
#[derive(Debug, Default)]
struct Excluded {
    oids: Vec<u32>,
    /// The tables' names, quoted by the server.
    names: Vec<String>,
}

impl Excluded {
    fn new(relations: &[Relation], patterns: &[String]) -> Self {
        let excluded = relations
            .iter()
            .filter(|relation| patterns.iter().any(|pattern| matches(pattern, &relation.name)));
        let (oids, names) = excluded.map(|relation| (relation.oid, relation.quoted.clone())).unzip();
        Self { oids, names }
    }

    /// Splits the tables into those without rows in the archive and those with rows. pg_dump silently ignores
    /// a name that it does not find, for example in a database with another encoding.
    fn split(self, archive: &UploadedArchive) -> (Self, Self) {
        let is_stored =
            |oid: &u32| archive.contents.as_ref().is_ok_and(|contents| contents.tables.contains_key(oid));
        let (mut excluded, mut stored) = (Self::default(), Self::default());
        for (oid, name) in self.oids.into_iter().zip(self.names) {
            let list = if is_stored(&oid) { &mut stored } else { &mut excluded };
            list.oids.push(oid);
            list.names.push(name);
        }
        (excluded, stored)
    }

    fn warnings(&self) -> impl Iterator<Item = String> {
        self.names.iter().map(|table| {
            format!("the archive contains the rows of {table}, which excludeTableData excludes: pg_dump does not find a table of this name")
        })
    }
}

/// Returns pg_dump's warnings, and a warning if the snapshot was held for long.
fn warnings(lines: &[String], held: Duration) -> impl Iterator<Item = String> {
    let long = (held > LONG_SNAPSHOT).then(|| {
        format!(
            "the snapshot was open for {} min, and VACUUM could not remove rows that were deleted during this time",
            held.as_secs() / 60
        )
    });
    lines.iter().cloned().chain(long)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn snapshot_held_for_over_an_hour_causes_a_warning() {
        let lines = ["pg_dump: warning: there are circular foreign-key constraints".to_owned()];
        assert!(warnings(&lines, Duration::from_hours(1)).eq(lines.clone()));
        let all: Vec<String> = warnings(&lines, Duration::from_mins(75)).collect();
        assert_eq!(all[..1], lines);
        assert!(all.len() == 2 && all[1].contains("75 min") && all[1].contains("VACUUM"), "{all:?}");
    }
}
