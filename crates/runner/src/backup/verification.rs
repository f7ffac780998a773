//! Reads every uploaded file back, and compares it with the written bytes and with the databases.

use std::collections::BTreeMap;

use archive::rows::Contents;
use domain::{
    manifest::{Artifact, Check, CheckResult, Content, Level},
    report::BackupStage,
    suspicion_rules::Emptied,
};

use super::{completeness, error::BackupError, globals::StoredGlobals, stored::StoredDatabase};
use crate::{
    clock::now,
    failpoint, pg,
    read_back::{self, ReadBack},
    store::BackupWriter,
};

/// The result of reading a backup back.
pub struct Verified {
    pub artifacts: Vec<Artifact>,
    pub check: Check,
    /// The tables that are empty in the archive but have rows according to the server's statistics.
    pub emptied: Vec<Emptied>,
}

/// Reads all files of the backup back and checks them at the given level.
pub async fn verify(
    writer: &BackupWriter,
    level: Level,
    databases: Vec<StoredDatabase>,
    globals: Option<StoredGlobals>,
) -> Result<Verified, BackupError> {
    let (mut artifacts, mut emptied, mut read) = (Vec::new(), Vec::new(), Vec::new());
    for database in databases {
        let (artifact, of_database, bytes) = verify_database(writer, level, database).await?;
        artifacts.push(artifact);
        emptied.extend(of_database);
        read.push(bytes);
    }
    if let Some(StoredGlobals { uploaded, command, passwords }) = globals {
        let file = pg::globals::FILE;
        read.push(read_back::file(writer.read(file).await?, file, &uploaded.sum).await?);
        artifacts.push(Artifact {
            file: file.to_owned(),
            size_bytes: uploaded.sum.size,
            sha256: uploaded.sum.sha256,
            content: Content::Globals { command, passwords },
        });
    }
    let read = read.into_iter().reduce(ReadBack::and).unwrap_or_default();
    let check = Check {
        time: now(),
        level,
        result: CheckResult::Verified,
        bytes_read: read.bytes,
        bytes_from_device: read.from_device,
    };
    Ok(Verified { artifacts, check, emptied })
}

/// Reads an archive back and checks it. If parsing failed during the dump, the stored archive is parsed now.
async fn verify_database(
    writer: &BackupWriter,
    level: Level,
    mut database: StoredDatabase,
) -> Result<(Artifact, Vec<Emptied>, ReadBack), BackupError> {
    let (file, sum) = (database.file.clone(), database.archive.file.sum.clone());
    let reader = writer.read(&file).await?;
    let (read, contents, objects, emptied) = if level == Level::Checksum {
        let read = read_back::file(reader, &file, &sum).await?;
        failpoint::reach(BackupStage::Verify).await;
        (read, Contents::default(), BTreeMap::new(), Vec::new())
    } else {
        let parsed = std::mem::replace(&mut database.archive.contents, Ok(Contents::default()));
        if let Err(error) = &parsed {
            tracing::warn!(
                "archive {file:?} could not be checked during the dump, checking the stored archive instead: {error}"
            );
        }
        let stored = read_back::archive(reader, &file, &sum, parsed.is_err()).await?;
        failpoint::reach(BackupStage::Verify).await;
        let contents = stored.contents.or(parsed.ok()).unwrap_or_default();
        completeness::require_all(&file, &database.source, &stored.toc, &contents)?;
        let emptied = database.emptied(&contents);
        (stored.read, contents, stored.toc.counts, emptied)
    };
    let content = Content::Database(Box::new(database.facts(&contents, objects)));
    Ok((Artifact { file, size_bytes: sum.size, sha256: sum.sha256, content }, emptied, read))
}
