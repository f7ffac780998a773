//! Reads one stored backup back, compares it with its manifest, and stores the result beside it.

use domain::{
    manifest::{self, Artifact, Check, CheckResult, Content, DatabaseFacts, Level, Manifest, TableFacts},
    message,
};
use jiff::{SignedDuration, Timestamp};

use super::{finding::Finding, tally::Checked};
use crate::{
    clock::now,
    read_back::{self, ReadBack, ReadBackError, StoredArchive},
    store::{Repository, StoreError, StoredBackup, Unreadable},
    transfer::FileSum,
};

/// The number of differences that a message lists.
const NAMED: usize = 5;

/// Checks a backup and stores the result beside it. The second value is an error if a corruption could not be
/// stored.
pub async fn check_backup(
    repository: &Repository,
    backup: &StoredBackup,
) -> (Checked, Result<(), StoreError>) {
    let id = &backup.entry.id;
    let (manifest, sha256) = match repository.find_manifest(id).await {
        Ok(Some(found)) => found,
        Ok(None) => return (Checked::Removed, Ok(())),
        // No result is stored: retention does not count a backup with an unreadable manifest in any case.
        Err(why) => return (Checked::of(why.into()), Ok(())),
    };
    let wrong = match check(repository, &manifest, &sha256).await {
        Ok(read) => match record(repository, backup, CheckResult::Verified, read).await {
            Ok(()) => return (Checked::Intact(read), Ok(())),
            Err(error) => error.into(),
        },
        Err(wrong) => wrong,
    };
    let exists = repository.find_manifest(id).await.map(|found| found.is_some());
    let checked = unless_removed(wrong, exists);
    let recorded = match &checked {
        Checked::Corrupted(wrong) if wrong.is_permanent() => {
            record(repository, backup, CheckResult::Failed, ReadBack::default()).await
        }
        _ => Ok(()),
    };
    (checked, recorded)
}

/// Checks a backup whose manifest or check files could not be read, for the cause `why`. If only a check file
/// is corrupted, the archives are read back. That result is not stored, because the corrupted check file
/// would still make the backup unreadable.
pub async fn check_unreadable(repository: &Repository, id: &str, why: Unreadable) -> Checked {
    let Some(file) = corrupted_check_file(&why) else { return Checked::of(why.into()) };
    match repository.find_manifest(id).await {
        Ok(None) => Checked::Removed,
        Ok(Some((manifest, sha256))) => match check(repository, &manifest, &sha256).await {
            Ok(_) => {
                let location = repository.location(&format!("{id}/{file}"));
                Checked::Corrupted(Finding::CheckFile { location })
            }
            Err(wrong) => Checked::of(wrong),
        },
        Err(why) => Checked::of(why.into()),
    }
}

/// Returns the name of the corrupted check file; `None` if another file is the cause.
fn corrupted_check_file(why: &Unreadable) -> Option<&str> {
    let path = match why {
        Unreadable::Corrupted { file, .. } => file,
        Unreadable::Store(StoreError::NotText { location }) => location,
        _ => return None,
    };
    let name = path.rsplit('/').next()?;
    name.starts_with("check-").then_some(name)
}

/// Returns the result of a failed check. `exists` is whether the manifest still exists: another run may have
/// removed the backup during the check.
pub(super) fn unless_removed(wrong: Finding, exists: Result<bool, Unreadable>) -> Checked {
    match exists {
        Ok(false) => Checked::Removed,
        Err(Unreadable::Store(error)) if !error.is_corruption() => Checked::Unchecked(error.into()),
        _ => Checked::of(wrong),
    }
}

/// Reads every file of a backup at the level of its first check. Returns a corruption at once; after another
/// error it continues, because a later file may be corrupted.
pub(super) async fn check(
    repository: &Repository,
    manifest: &Manifest,
    sha256: &str,
) -> Result<ReadBack, Finding> {
    check_sums(repository, manifest, sha256).await?;
    let mut all: Option<ReadBack> = None;
    let mut wrong: Option<Finding> = None;
    for artifact in &manifest.artifacts {
        match check_file(repository, manifest, artifact).await {
            Ok(read) => all = Some(all.map_or(read, |all| all.and(read))),
            Err(error) if error.is_corruption() => return Err(error),
            Err(error) => {
                wrong.get_or_insert(error);
            }
        }
    }
    wrong.map_or(Ok(all.unwrap_or_default()), Err)
}

/// Compares the manifest with `SHA256SUMS`. A flipped bit that leaves the manifest valid is found only here.
async fn check_sums(repository: &Repository, manifest: &Manifest, sha256: &str) -> Result<(), Finding> {
    let file = manifest::SUMS_FILE;
    let sums = match repository.read_text(&manifest.id, file).await {
        Ok(sums) => sums.ok_or(Finding::Missing { file: file.to_owned() })?,
        Err(error @ StoreError::NotText { .. }) => return Err(Unreadable::corrupted(file, &error).into()),
        Err(error) => return Err(error.into()),
    };
    let own = manifest::sum(sha256, manifest::FILE);
    if sums == manifest.sums() + &own {
        return Ok(());
    }
    let is_sum = |line: &str| {
        line.strip_suffix(&format!("  {}", manifest::FILE)).is_some_and(|sum| sum.len() == sha256.len())
    };
    let last = sums.lines().last().unwrap_or_default();
    if is_sum(last) && last != own.trim_end() {
        let what = format!("{file} lists another SHA-256 for this file");
        return Err(Unreadable::corrupted(manifest::FILE, &what).into());
    }
    Err(Unreadable::corrupted(file, &"it does not match manifest.json").into())
}

/// Checks one file. If pg_restore cannot be started, the checksum is still compared.
async fn check_file(
    repository: &Repository,
    manifest: &Manifest,
    artifact: &Artifact,
) -> Result<ReadBack, Finding> {
    let file = artifact.file.as_str();
    let written = FileSum { size: artifact.size_bytes, sha256: artifact.sha256.clone() };
    let failed = |error: ReadBackError| match error {
        ReadBackError::Store(error) if error.is_not_found() => Finding::Missing { file: file.to_owned() },
        error => error.into(),
    };
    let open = async || repository.read(&manifest.id, file).await.map_err(|error| failed(error.into()));
    let facts = match &artifact.content {
        Content::Database(facts) if manifest.check.level != Level::Checksum => facts,
        _ => return read_back::file(open().await?, file, &written).await.map_err(failed),
    };
    match read_back::archive(open().await?, file, &written, true).await {
        Ok(archive) => {
            compare_contents(file, facts, &archive)?;
            Ok(archive.read)
        }
        Err(error) if error.is_missing_program() => {
            read_back::file(open().await?, file, &written).await.map_err(failed)?;
            Err(error.into())
        }
        Err(error) => Err(failed(error)),
    }
}

/// Compares the archive's rows and objects, as pg_restore reads them now, with those in the manifest.
fn compare_contents(file: &str, recorded: &DatabaseFacts, archive: &StoredArchive) -> Result<(), Finding> {
    let contents = archive.contents.as_ref();
    let rows = |table: &TableFacts| {
        let rows = contents?.tables.get(&table.oid)?;
        Some((rows.count, format!("{:032x}", rows.fingerprint), &rows.columns))
    };
    let differs =
        |table: &&TableFacts| rows(table) != Some((table.rows, table.fingerprint.clone(), &table.columns));
    let tables = recorded.tables.iter().filter(differs);
    let kinds = recorded.objects.iter().filter(|(kind, count)| archive.toc.counts.get(*kind) != Some(count));
    let differences: Vec<String> = tables
        .map(|table| format!("rows of {}.{}", table.schema, table.name))
        .chain(kinds.map(|(kind, count)| format!("the number of {kind} entries, which should be {count}")))
        .collect();
    if differences.is_empty() {
        return Ok(());
    }
    let differences = message::list(differences, NAMED, "differences");
    Err(Finding::ContentDiffers { file: file.to_owned(), differences })
}

/// Stores the result of a check beside the backup. The stored time is always later than that of the previous
/// check, even if the clock of that node was ahead, because the newest check decides the backup's state.
async fn record(
    repository: &Repository,
    backup: &StoredBackup,
    result: CheckResult,
    read: ReadBack,
) -> Result<(), StoreError> {
    let after = backup.checked.saturating_add(SignedDuration::from_secs(1)).unwrap_or(Timestamp::MAX);
    let check = Check {
        time: now().max(after),
        level: backup.level,
        result,
        bytes_read: read.bytes,
        bytes_from_device: read.from_device,
    };
    repository.write_check(&backup.entry.id, &check).await
}
