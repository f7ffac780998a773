//! One database into the backup: hold, dump, make durable; again, after a pause, when locks are in the way.

use std::{collections::BTreeMap, time::Duration};

use archive::rows::Contents;
use domain::{
    manifest::{DatabaseFacts, Level, TableFacts},
    name,
    pattern::matches,
    reason::Reason,
    report::Stage,
    size,
    suspicion::Emptied,
};
use jiff::Timestamp;
use tokio::sync::oneshot;

use crate::{
    args::Config,
    backup::BackupError,
    failpoint,
    pg::{
        blocker::{self, Blocker},
        compression::Compression,
        count,
        databases::Database,
        dump::DumpOptions,
        dump_error::DumpError,
        hold::{self, HoldError, Relation},
        inspect,
        preflight::Server,
        session::Session,
        source::{self, Source},
    },
    run::Run,
    transfer::{self, TransferError, UploadedArchive},
};

/// How often a database is tried when locks are in the way or the snapshot is lost.
const TRIES: u32 = 5;

/// Above this, vacuum's not being able to clean behind the snapshot is worth a word.
const LONG_SNAPSHOT: Duration = Duration::from_hours(1);

/// A database that is stored and not yet read back.
#[derive(Debug)]
pub struct StoredDatabase {
    /// The file in the backup.
    pub file: String,
    /// What went into it.
    pub dumped: UploadedArchive,
    /// What the source had in the snapshot.
    pub source: Source,
    database: Database,
    snapshot_time: Timestamp,
    snapshot_lsn: String,
    held: Duration,
    compression: String,
    excluded: Vec<String>,
}

/// Stores `database` in the run's set, which the first one makes.
pub async fn store(
    run: &mut Run,
    config: &Config,
    server: &Server,
    database: Database,
    first: bool,
) -> Result<StoredDatabase, BackupError> {
    run.stage(Stage::Hold);
    let inspected = inspect::inspect(&server.tools, &database.name, config.dump.strict_extensions).await;
    for warning in inspected.map_err(BackupError::Inspect)? {
        run.warn(format!("{:?}: {warning}", database.name));
    }
    let mut compression = config.dump.compression.unwrap_or(Compression::best(server.client_major));
    for left in (0..TRIES).rev() {
        let error = match try_once(run, config, server, &database, compression, first).await {
            Ok(stored) => return Ok(stored),
            Err(error) => error,
        };
        if config.dump.compression.is_none() && compression != Compression::GZIP && lacks_method(&error) {
            run.log(format_args!("{:?}: {error}; {} instead", database.name, Compression::GZIP));
            compression = Compression::GZIP;
            continue;
        }
        if left == 0 || !matches!(error.reason(), Reason::LockTimeout | Reason::HoldLost) {
            return Err(error);
        }
        let pause = pause(config.dump.retry_wait);
        run.log(format_args!(
            "{:?}: {error}; {left} more tries, the next in {} s",
            database.name,
            pause.as_secs()
        ));
        tokio::time::sleep(pause).await;
    }
    unreachable!("the last try should have returned")
}

/// Up to a third longer than `least`, at random, so that two runs that block each other do not collide again.
fn pause(least: Duration) -> Duration {
    least + least * fastrand::u32(..1000) / 3000
}

/// Whether pg_dump was built without the method of compression, which its version alone does not tell.
const fn lacks_method(error: &BackupError) -> bool {
    matches!(error, BackupError::Transfer(TransferError::Dump(DumpError::NoSuchCompression(_))))
}

async fn try_once(
    run: &mut Run,
    config: &Config,
    server: &Server,
    database: &Database,
    compression: Compression,
    first: bool,
) -> Result<StoredDatabase, BackupError> {
    run.stage(Stage::Hold);
    let hold = hold::take(&server.tools, &database.name, config.dump.lock_timeout).await?;
    failpoint::reach(Stage::Hold).await;
    if first {
        // The set is named after its first snapshot: a new try makes a new one.
        if let Some(stale) = run.backup.take() {
            stale.abandon().await?;
        }
        let repository = run.repository.as_ref().expect("the store should be open before the first dump");
        run.backup =
            Some(repository.create_backup(&name::backup_id(hold.time, server.tools.session_token())).await?);
    }
    run.stage(Stage::Dump);
    let backup = run.backup.as_ref().expect("the first database should have made the backup");
    let file = name::archive_file(&database.name);
    let mut partial = backup.upload(&file, false, hold.database_bytes).await?;
    let compress = compression.option(server.client_major).map_err(BackupError::Compression)?;
    let excluded = hold.relations.iter().filter(|relation| {
        config.dump.exclude_table_data.iter().any(|pattern| matches(pattern, &relation.name))
    });
    let (excluded_oids, excluded): (Vec<u32>, Vec<String>) =
        excluded.map(|relation| (relation.oid, relation.quoted.clone())).unzip();
    let options = DumpOptions {
        database: &database.name,
        encoding: &database.definition.encoding,
        snapshot: &hold.snapshot,
        lock_timeout: config.dump.lock_timeout,
        compression: &compress,
        without_data: &excluded,
    };
    let to_count: Vec<Relation> = match config.level {
        Level::Counts => {
            hold.relations.iter().filter(|table| !excluded_oids.contains(&table.oid)).cloned().collect()
        }
        _ => Vec::new(),
    };
    let (locked, has_locks) = oneshot::channel();
    let (snapshot_time, snapshot_lsn) = (hold.time, hold.lsn.clone());
    let both = {
        let parse = config.level != Level::Checksum;
        let dumping = transfer::dump(&server.tools, options, parse, &mut partial, locked);
        let attending = attend(hold.session, has_locks, async |source| {
            if config.level != Level::Counts {
                return Ok(None);
            }
            let tables: Vec<&Relation> =
                to_count.iter().filter(|table| source.tables.contains_key(&table.oid)).collect();
            count::count(&server.tools, &database.name, &hold.snapshot, &tables).await.map(Some)
        });
        side_by_side(dumping, attending).await
    };
    let outcome = outcome(config, both, &excluded_oids);
    // pg_dump's own transaction has kept the snapshot until now.
    let held = hold.since.elapsed();
    let (dumped, source) = match outcome {
        Ok(all) => all,
        Err(error) => {
            if let Err(stays) = partial.discard().await {
                run.log(format_args!("a part stays behind: {stays}"));
            }
            return Err(error);
        }
    };
    let in_archive = |oid: &u32| dumped.contents.as_ref().is_ok_and(|all| all.tables.contains_key(oid));
    let (there, excluded): (Vec<_>, Vec<_>) =
        excluded_oids.iter().zip(excluded).partition(|(oid, _)| in_archive(oid));
    for (_, table) in there {
        run.warn(format!(
            "{:?}: the rows of {table} are in the backup though excludeTableData names it: pg_dump does not know it by this name",
            database.name
        ));
    }
    run.stage(Stage::Upload);
    partial.finish().await?;
    failpoint::reach(Stage::Upload).await;
    run.log(format_args!(
        "{:?}: {}, snapshot of {snapshot_time} held for {:.1} s",
        database.name,
        size::human(dumped.file.size),
        held.as_secs_f64()
    ));
    for warning in warnings(&dumped.file.warnings, held) {
        run.warn(format!("{:?}: {warning}", database.name));
    }
    Ok(StoredDatabase {
        file,
        dumped,
        source,
        database: database.clone(),
        snapshot_time,
        snapshot_lsn,
        held,
        compression: compression.to_string(),
        excluded: excluded.into_iter().map(|(_, table)| table).collect(),
    })
}

/// Waits for both: for the dump no longer than the tables are held, and for the counting beside it no longer than there may
/// be a dump. Only of a table that pg_dump could not lock the holder tells more.
async fn side_by_side(
    dumping: impl Future<Output = Result<UploadedArchive, TransferError>>,
    attending: impl Future<Output = Result<Attended, HoldError>>,
) -> Result<(Result<UploadedArchive, TransferError>, Attended), HoldError> {
    tokio::pin!(dumping, attending);
    tokio::select! {
        attended = &mut attending => {
            let attended = attended?;
            Ok((dumping.await, attended))
        }
        dumped = &mut dumping => match dumped {
            Err(error) if !matches!(error, TransferError::Dump(DumpError::LockTimeout { .. })) => {
                Ok((Err(error), Attended::NothingDumped { blocker: None }))
            }
            dumped => attending.await.map(|attended| (dumped, attended)),
        },
    }
}

/// What came of a dump and of the hold beside it.
fn outcome(
    config: &Config,
    both: Result<(Result<UploadedArchive, TransferError>, Attended), HoldError>,
    excluded: &[u32],
) -> Result<(UploadedArchive, Source), BackupError> {
    match both {
        Ok((Ok(dumped), Attended::Released(mut source))) => {
            // pg_dump says nothing of a name that it does not find, in a database of another encoding for one.
            let in_archive =
                |oid: &&u32| dumped.contents.as_ref().is_ok_and(|contents| contents.tables.contains_key(oid));
            let left_out: Vec<u32> = excluded.iter().filter(|oid| !in_archive(oid)).copied().collect();
            source.without_data(&left_out);
            Ok((dumped, *source))
        }
        Ok((Err(TransferError::Dump(DumpError::LockTimeout { tables, error })), attended)) => {
            tracing::info!("{error}");
            let blocker = attended.blocker();
            Err(HoldError::LockTimeout { what: tables, wait: config.dump.lock_timeout, blocker }.into())
        }
        Ok((Err(error), _)) => Err(error.into()),
        Ok((Ok(_), Attended::NothingDumped { .. })) => Err(TransferError::from(DumpError::Empty).into()),
        Err(error) => Err(BackupError::from(error)),
    }
}

/// What of a dump belongs into the report and the manifest.
fn warnings(lines: &[String], held: Duration) -> Vec<String> {
    let long = (held > LONG_SNAPSHOT).then(|| {
        format!(
            "its snapshot was held for {} min; vacuum could not clean behind it meanwhile",
            held.as_secs() / 60
        )
    });
    lines.iter().cloned().chain(long).collect()
}

/// How the holder's work ended.
#[derive(Debug)]
enum Attended {
    /// pg_dump had its own locks; what the snapshot holds.
    Released(Box<Source>),
    /// pg_dump ended before it had them.
    NothingDumped {
        /// Who held or awaited a table at that moment.
        blocker: Option<Blocker>,
    },
}

impl Attended {
    fn blocker(self) -> Option<Box<Blocker>> {
        match self {
            Self::Released(_) => None,
            Self::NothingDumped { blocker } => blocker.map(Box::new),
        }
    }
}

/// Keeps the tables held until pg_dump has its own locks, and ends at once if it cannot have them: others wait behind
/// ours. Only then it asks what the snapshot holds, and lets the rows be counted. A session that was lost before that has protected nothing: the
/// dump does not count.
async fn attend(
    mut session: Session,
    has_locks: oneshot::Receiver<()>,
    count: impl AsyncFnOnce(&Source) -> Result<Option<BTreeMap<u32, u64>>, HoldError>,
) -> Result<Attended, HoldError> {
    if has_locks.await.is_err() {
        let blocker = blocker::seen_by(&mut session).await;
        session.close().await;
        return Ok(Attended::NothingDumped { blocker });
    }
    let mut source = source::describe(&mut session).await.map_err(HoldError::while_holding)?;
    source.counts = count(&source).await?;
    session.execute("COMMIT").await.map_err(HoldError::while_holding)?;
    session.close().await;
    Ok(Attended::Released(Box::new(source)))
}

impl StoredDatabase {
    /// What the manifest says of it, with the `contents` of its archive and the counts of its table of contents.
    pub fn facts(self, contents: &Contents, objects: BTreeMap<String, u64>) -> DatabaseFacts {
        let tables = self.source.tables.into_iter().filter_map(|(oid, (schema, name))| {
            let rows = contents.tables.get(&oid)?;
            let (columns, fingerprint) = (rows.columns.clone(), format!("{:032x}", rows.fingerprint));
            Some(TableFacts { oid, schema, name, columns, rows: rows.count, fingerprint })
        });
        DatabaseFacts {
            name: self.database.name,
            oid: self.database.oid,
            snapshot_time: self.snapshot_time,
            snapshot_lsn: self.snapshot_lsn,
            held_seconds: (self.held.as_secs_f64() * 1000.0).round() / 1000.0,
            compression: self.compression,
            excluded_table_data: self.excluded,
            command: self.dumped.command,
            definition: self.database.definition,
            extensions: self.source.extensions,
            objects,
            data_bytes: contents.data_bytes,
            tables: tables.collect(),
        }
    }

    /// Its tables without a row of which the server's statistics know many.
    pub fn emptied(&self, contents: &Contents) -> Vec<Emptied> {
        let empty = contents.tables.iter().filter(|(_, rows)| rows.count == 0);
        let known = empty.filter_map(|(oid, _)| Some((*oid, *self.source.estimates.get(oid)?)));
        let emptied = known.map(|(oid, rows)| Emptied { database: self.database.name.clone(), oid, rows });
        emptied.collect()
    }
}

#[cfg(test)]
mod tests {
    use std::future::{pending, ready};

    use super::*;
    use crate::pg::error::ToolError;

    #[tokio::test]
    async fn a_dump_that_failed_waits_for_no_count() {
        let failed = || Err(DumpError::Failed(ToolError::new("pg_dump", "oh no")).into());
        let (dumped, _) = side_by_side(ready(failed()), pending()).await.unwrap();
        assert!(matches!(dumped, Err(TransferError::Dump(DumpError::Failed(_)))));

        // Of a lock the holder tells who has it.
        let error = ToolError::new("pg_dump", "canceling statement");
        let late = Err(DumpError::LockTimeout { tables: "t".into(), error }.into());
        let blocker = async {
            tokio::task::yield_now().await;
            let blocker = r#"{"who": "process 7", "table": "t", "seconds": 9, "query": null}"#;
            Ok(Attended::NothingDumped { blocker: Some(serde_json::from_str(blocker).unwrap()) })
        };
        let (_, attended) = side_by_side(ready(late), blocker).await.unwrap();
        assert!(attended.blocker().is_some());
    }

    #[tokio::test]
    async fn a_dump_whose_tables_are_not_held_any_more_goes_on_no_longer() {
        let lost = HoldError::Lost(Box::new(ToolError::new("psql", "FATAL:  57P01: terminating").into()));
        let error = side_by_side(pending(), ready(Err(lost))).await.unwrap_err();
        assert_eq!(error.reason(), Reason::HoldLost);
    }

    #[test]
    fn a_snapshot_that_was_held_for_more_than_an_hour_is_told() {
        let lines = ["pg_dump: warning: there are circular foreign-key constraints".to_owned()];
        assert_eq!(warnings(&lines, Duration::from_hours(1)), lines);
        let told = warnings(&lines, Duration::from_mins(75));
        assert_eq!(told[..1], lines);
        assert!(told.len() == 2 && told[1].contains("75 min") && told[1].contains("vacuum"), "{told:?}");
    }
}
