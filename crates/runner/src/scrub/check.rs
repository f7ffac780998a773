//! Reads one stored backup back, compares it with its manifest, and records the outcome beside it.

use domain::manifest::{self, Artifact, Check, CheckResult, Content, Level, Manifest};
use jiff::{SignedDuration, Timestamp};

use super::{finding::Finding, tally::Checked};
use crate::{
    pg::archive::ArchiveError,
    read_back::{self, ReadBack, VerifyError, Written},
    run,
    store::{Repository, StoreError, StoredBackup, Unreadable},
};

/// Reads a backup, and writes down what came of it. Whether corruption could be written down comes apart: it is corruption all the same.
pub async fn check_backup(
    repository: &Repository,
    backup: &StoredBackup,
) -> (Checked, Result<(), StoreError>) {
    let id = &backup.entry.id;
    let (manifest, sha256) = match repository.find_manifest(id).await {
        Ok(Some(found)) => found,
        Ok(None) => return (Checked::Removed, Ok(())),
        // What is corrupted of it says so itself: it counts for nothing, with or without a check.
        Err(why) => return (Checked::of(why.into()), Ok(())),
    };
    let wrong = match check(repository, &manifest, &sha256).await {
        Ok(read) => match write(repository, backup, CheckResult::Verified, read).await {
            Ok(()) => return (Checked::Passed(read), Ok(())),
            Err(error) => error.into(),
        },
        Err(wrong) => wrong,
    };
    let is_there = repository.find_manifest(id).await.map(|found| found.is_some());
    let checked = judged(wrong, is_there);
    let written = match &checked {
        Checked::Corrupted(wrong) if wrong.is_certain() => {
            write(repository, backup, CheckResult::Failed, ReadBack::default()).await
        }
        _ => Ok(()),
    };
    (checked, written)
}

/// What is wrong with a backup, when it was looked for again. One that was removed meanwhile is no finding; whether it was must
/// be known for sure.
pub(super) fn judged(wrong: Finding, is_there: Result<bool, Unreadable>) -> Checked {
    match is_there {
        Ok(false) => Checked::Removed,
        Err(Unreadable::Store(error)) if !error.is_corruption() => Checked::Unchecked(error.into()),
        _ => Checked::of(wrong),
    }
}

/// Reads every file of a backup, as deep as its first check went. What is wrong with one is no reason not to read the others:
/// there may be corruption among them.
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
            Err(error) => {
                let error = Finding::from(gone(error, &artifact.file));
                if error.is_corruption() {
                    return Err(error);
                }
                wrong.get_or_insert(error);
            }
        }
    }
    wrong.map_or(Ok(all.unwrap_or_default()), Err)
}

fn gone(error: VerifyError, file: &str) -> VerifyError {
    match error {
        VerifyError::Store(error) if error.is_not_found() => VerifyError::Gone { file: file.to_owned() },
        error => error,
    }
}

/// Compares the manifest and what `sha256sum -c` reads with each other: nothing else tells of a bit in the one that makes
/// it another manifest.
async fn check_sums(repository: &Repository, manifest: &Manifest, sha256: &str) -> Result<(), Finding> {
    let file = manifest::SUMS_FILE;
    let sums = match repository.read_text(&manifest.id, file).await {
        Ok(sums) => sums.ok_or(VerifyError::Gone { file: file.to_owned() })?,
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
        let what = format!("{file} has another SHA-256 of it");
        return Err(Unreadable::corrupted(manifest::FILE, &what).into());
    }
    Err(Unreadable::corrupted(file, &"it is not what the manifest says").into())
}

/// Reads a file. Where pg_restore cannot be started its bytes are compared all the same.
async fn check_file(
    repository: &Repository,
    manifest: &Manifest,
    artifact: &Artifact,
) -> Result<ReadBack, VerifyError> {
    let file = artifact.file.as_str();
    let written = Written { file, size: artifact.size_bytes, sha256: &artifact.sha256 };
    let facts = match &artifact.content {
        Content::Database(facts) if manifest.check.level != Level::Checksum => facts,
        _ => return read_back::file(repository.read(&manifest.id, file).await?, written).await,
    };
    match read_back::archive(repository.read(&manifest.id, file).await?, written, true).await {
        Ok(is) => {
            read_back::is_as_it_was(file, facts, &is)?;
            Ok(is.read)
        }
        Err(error @ VerifyError::Archive { source: ArchiveError::Start(_), .. }) => {
            read_back::file(repository.read(&manifest.id, file).await?, written).await?;
            Err(error)
        }
        Err(error) => Err(error),
    }
}

/// The newest check decides, so this one is newer than those before it, whatever the clock of their node said.
async fn write(
    repository: &Repository,
    backup: &StoredBackup,
    result: CheckResult,
    read: ReadBack,
) -> Result<(), StoreError> {
    let ReadBack { size: bytes_read, from_device: bytes_from_device } = read;
    let after = backup.checked.saturating_add(SignedDuration::from_secs(1)).unwrap_or(Timestamp::MAX);
    let time = run::now().max(after);
    let check = Check { time, level: backup.level, result, bytes_read, bytes_from_device };
    repository.write_check(&backup.entry.id, &check).await
}
