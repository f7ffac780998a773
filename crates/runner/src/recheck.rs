//! `verify` and `scrub`: stored backups are read again, long after they were made, and compared with their manifests.
//!
//! How it went is written beside the backup: the newest check decides whether the backup counts.

mod finding;
mod tally;

use domain::{
    catalog::{BackupState, Catalog},
    manifest::{self, Artifact, Check, CheckResult, Content, Level, Manifest, PolicyIdentity},
    reason::Reason,
    report::Stage,
    scrub::{Queue, Scrubbable},
};
use jiff::{SignedDuration, Timestamp};

use self::tally::Checked;
pub use self::{finding::Finding, tally::Tally};
use crate::{
    args::{ScrubArgs, StoredArgs},
    pg::archive::ArchiveError,
    run::{self, Run},
    store::{Listing, Repository, StoreError, StoredBackup, Unreadable},
    verify::{self, ReadBack, VerifyError, Written},
};

/// Sets that could not be checked, or are not what they should be.
#[derive(Debug, thiserror::Error)]
pub enum RecheckError {
    /// The store failed.
    #[error(transparent)]
    Store(#[from] StoreError),
    /// There is nothing to check.
    #[error("there is no such backup in {place}")]
    NoBackup {
        /// Where was looked.
        place: String,
    },
    /// Some are not what they should be; the words are those of the first.
    #[error("corrupted: {corrupted} of {checked} that were read; {backup}: {first}{}", beside(unwritten.as_deref()))]
    Corrupted {
        /// How many.
        corrupted: usize,
        /// Of how many.
        checked: usize,
        /// The first one.
        backup: String,
        /// What is wrong with it.
        first: Box<Finding>,
        /// Why that could not be written down beside a backup, so that it counts as before.
        unwritten: Option<Box<StoreError>>,
    },
    /// Some could not be checked, and all others are what they should be.
    #[error("not checked: {unchecked} of {checked}; {backup}: {first}")]
    Unchecked {
        /// How many.
        unchecked: usize,
        /// Of how many.
        checked: usize,
        /// The first one.
        backup: String,
        /// Why it could not.
        first: Box<Finding>,
    },
}

fn beside(error: Option<&StoreError>) -> String {
    error.map(|error| format!("; not written down beside it: {error}")).unwrap_or_default()
}

impl RecheckError {
    /// The reason word.
    pub fn reason(&self) -> Reason {
        match self {
            Self::Store(error) => error.reason(),
            Self::NoBackup { .. } => Reason::InvalidConfiguration,
            Self::Corrupted { .. } => Reason::BackupCorrupted,
            Self::Unchecked { first, .. } => first.reason(),
        }
    }
}

/// Checks the backups that a person names, or the newest one.
pub async fn verify(args: &StoredArgs, ids: &[String]) -> Result<(), RecheckError> {
    let repository = Repository::open_read_only(&args.target(), &args.namespace, &args.policy)?;
    let listing = repository.list().await?;
    let counting = listing.backups.iter().filter(|backup| backup.entry.state != BackupState::Failed);
    let unreadable = listing.unreadable.iter().map(|(id, _)| id);
    let newest = || counting.map(|backup| &backup.entry.id).chain(unreadable).max();
    let chosen = match ids {
        [] => newest().cloned().into_iter().collect(),
        ids => ids.to_vec(),
    };
    if chosen.is_empty() {
        return Err(RecheckError::NoBackup { place: repository.location("") });
    }
    let Listing { backups, mut unreadable, .. } = listing;
    let mut tally = Tally::default();
    for id in chosen {
        let checked = if let Some(at) = unreadable.iter().position(|(other, _)| *other == id) {
            (Checked::of(unreadable.swap_remove(at).1.into()), Ok(()))
        } else if let Some(backup) = backups.iter().find(|backup| backup.entry.id == id) {
            check_backup(&repository, backup).await
        } else {
            return Err(RecheckError::NoBackup { place: repository.location(&id) });
        };
        tally.add(&id, checked.0);
        tally.note(checked.1);
    }
    tally.verdict()
}

/// Checks those that were not looked at for longest. What it found so far is in `run`'s report as it goes.
pub async fn scrub(run: &mut Run, args: &ScrubArgs) -> Result<(), RecheckError> {
    let StoredArgs { namespace, policy, .. } = &args.stored;
    let target = args.stored.target();
    let repository = match &args.policy_uid {
        Some(uid) => {
            let policy =
                PolicyIdentity { namespace: namespace.clone(), name: policy.clone(), uid: uid.clone() };
            Repository::open(&target, &policy, None, run::now()).await?
        }
        None => Repository::open_read_only(&target, namespace, policy)?,
    };
    let mut tally = Tally::default();
    let told = |tally: &Tally| {
        run.report.scrub = Some(tally.outcome());
        run.stage(Stage::Verify);
    };
    read_share(&repository, args.share, &mut tally, told).await?;
    if let Some(uid) = &args.policy_uid {
        let Listing { backups, unreadable, .. } = repository.list().await?;
        let backups = backups.into_iter().map(|StoredBackup { entry, .. }| entry).collect();
        let unreadable = unreadable.into_iter().map(|(id, _)| id).collect();
        let catalog = Catalog::with_unreadable(uid, backups, unreadable)
            .adopting(repository.adopted)
            .seen_at(run::now());
        run.report.retained = Some(catalog.retained());
    }
    tally.verdict()
}

/// Says which sets cannot be read at all, and reads the others, up to the share. Tells how it stands, as it goes.
pub async fn read_share(
    repository: &Repository,
    share: u8,
    tally: &mut Tally,
    mut tell: impl FnMut(&Tally),
) -> Result<(), RecheckError> {
    let Listing { backups, unreadable, .. } = repository.list().await?;
    for (id, why) in unreadable {
        tally.add(&id, Checked::of(why.into()));
    }
    tell(tally);
    let scrubbable = |backup: &StoredBackup| Scrubbable {
        id: backup.entry.id.clone(),
        size_bytes: backup.entry.size_bytes,
        checked: backup.checked,
    };
    let mut queue = Queue::new(backups.iter().map(scrubbable).collect(), share);
    while let Some(next) = queue.take() {
        let backup = backups
            .iter()
            .find(|backup| backup.entry.id == next.id)
            .expect("the queue should be of these backups");
        let (checked, written) = check_backup(repository, backup).await;
        let is_of_all = matches!(&checked, Checked::Unchecked(wrong) if wrong.is_of_all());
        if !matches!(checked, Checked::Unchecked(_)) {
            queue.count(&next);
        }
        tally.add(&next.id, checked);
        tally.note(written);
        tell(tally);
        if is_of_all {
            break;
        }
    }
    Ok(())
}

/// Reads a backup, and writes down what came of it. Whether corruption could be written down comes apart: it is corruption all the same.
async fn check_backup(repository: &Repository, backup: &StoredBackup) -> (Checked, Result<(), StoreError>) {
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
fn judged(wrong: Finding, is_there: Result<bool, Unreadable>) -> Checked {
    match is_there {
        Ok(false) => Checked::Removed,
        Err(Unreadable::Store(error)) if !error.is_corruption() => Checked::Unchecked(error.into()),
        _ => Checked::of(wrong),
    }
}

/// Reads every file of a backup, as deep as its first check went. What is wrong with one is no reason not to read the others:
/// there may be corruption among them.
async fn check(repository: &Repository, manifest: &Manifest, sha256: &str) -> Result<ReadBack, Finding> {
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
        _ => return verify::file(repository.read(&manifest.id, file).await?, written).await,
    };
    match verify::archive(repository.read(&manifest.id, file).await?, written, true).await {
        Ok(is) => {
            verify::is_as_it_was(file, facts, &is)?;
            Ok(is.read)
        }
        Err(error @ VerifyError::Archive { source: ArchiveError::Start(_), .. }) => {
            verify::file(repository.read(&manifest.id, file).await?, written).await?;
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

#[cfg(test)]
mod tests;
