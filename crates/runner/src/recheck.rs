//! `verify` and `scrub`: stored sets are read again, long after they were made, and compared with their manifests.
//!
//! How it went is written beside the set: the newest check decides whether the set counts.

use domain::{
    catalog::SetState,
    manifest::{Artifact, Check, CheckResult, Content, Level, Manifest},
    reason::Reason,
    scrub::{self, Scrubbable},
    size,
};
use jiff::{SignedDuration, Timestamp};

use crate::{
    args::{StoredArgs, What},
    run,
    store::{Repository, StoreError, StoredSet, Target},
    verify::{self, ReadBack, VerifyError, Written},
};

/// Sets that could not be checked, or are not what they should be.
#[derive(Debug, thiserror::Error)]
pub enum RecheckError {
    /// The store failed.
    #[error(transparent)]
    Store(#[from] StoreError),
    /// There is nothing to check.
    #[error("there is no such set in {place}")]
    NoSet {
        /// Where was looked.
        place: String,
    },
    /// Some are not what they should be; the words are those of the first.
    #[error("{failed} of {checked} sets failed: {first}")]
    Failed {
        /// How many.
        failed: usize,
        /// Of how many.
        checked: usize,
        /// Why the first one did.
        first: VerifyError,
    },
    /// Some could not be checked, and all others are what they should be.
    #[error("{unchecked} of {checked} sets could not be checked: {first}")]
    Unchecked {
        /// How many.
        unchecked: usize,
        /// Of how many.
        checked: usize,
        /// Why the first one could not.
        first: VerifyError,
    },
}

impl RecheckError {
    /// The reason word.
    pub fn reason(&self) -> Reason {
        match self {
            Self::Store(error) => error.reason(),
            Self::NoSet { .. } => Reason::InvalidConfiguration,
            Self::Failed { first, .. } | Self::Unchecked { first, .. } => first.reason(),
        }
    }
}

/// Checks the sets that are asked for, each whatever the others gave. Prints a line for each as it goes.
pub async fn recheck(args: &StoredArgs, target: &Target, what: &What) -> Result<(), RecheckError> {
    let repository = Repository::look(target, &args.namespace, &args.policy)?;
    let sets = repository.list().await?.sets;
    let chosen = choose(&sets, what);
    if chosen.is_empty() {
        return Err(RecheckError::NoSet { place: repository.location("") });
    }
    let (mut failures, mut unchecked) = (Vec::new(), Vec::new());
    for id in &chosen {
        let Some(set) = sets.iter().find(|set| set.entry.id == *id) else {
            return Err(RecheckError::NoSet { place: repository.location(id) });
        };
        let checked = match repository.manifest(id).await {
            Some((manifest, _)) => check(&repository, &manifest).await.map(Some),
            None => Ok(None),
        };
        let wrong = match checked {
            Ok(Some(read)) => match write(&repository, set, CheckResult::Verified, read).await {
                Ok(()) => {
                    println!("{id}  {}, as it was written", size::human(read.size));
                    continue;
                }
                Err(error) => error.into(),
            },
            Ok(None) => {
                println!("{id}  was removed meanwhile");
                continue;
            }
            Err(error) => error,
        };
        if repository.manifest(id).await.is_none() {
            println!("{id}  was removed meanwhile");
        } else if is_damage(&wrong) {
            println!("{id}  FAILED: {wrong}");
            write(&repository, set, CheckResult::Failed, ReadBack::default()).await?;
            failures.push(wrong);
        } else {
            println!("{id}  not checked: {wrong}");
            unchecked.push(wrong);
        }
    }
    let checked = chosen.len();
    if let (failed @ 1.., Some(first)) = (failures.len(), failures.into_iter().next()) {
        return Err(RecheckError::Failed { failed, checked, first });
    }
    let count = unchecked.len();
    unchecked
        .into_iter()
        .next()
        .map_or(Ok(()), |first| Err(RecheckError::Unchecked { unchecked: count, checked, first }))
}

/// Whether the stored bytes themselves are at fault. Where they are those that were written, whatever pg_restore has against
/// them is its own (an old version, no memory): nobody may lose a copy for that. Nor for a store that does not answer.
fn is_damage(error: &VerifyError) -> bool {
    match error {
        VerifyError::Differs { .. } | VerifyError::Gone { .. } => true,
        VerifyError::Store(error) => error.is_damage(),
        VerifyError::Archive { .. } | VerifyError::Changed { .. } | VerifyError::Lacks { .. } => false,
    }
}

fn choose(sets: &[StoredSet], what: &What) -> Vec<String> {
    let id = |set: &StoredSet| set.entry.id.clone();
    match what {
        What::Newest => {
            let newest = sets.iter().rfind(|set| set.entry.state != SetState::Failed);
            newest.map(id).into_iter().collect()
        }
        What::Sets(ids) => ids.clone(),
        What::Share(share) => scrub::choose(
            sets.iter()
                .map(|set| Scrubbable { id: id(set), size_bytes: set.entry.size_bytes, checked: set.checked })
                .collect(),
            *share,
        ),
    }
}

/// Reads every file of a set, as deep as its first check went.
async fn check(repository: &Repository, manifest: &Manifest) -> Result<ReadBack, VerifyError> {
    let mut all: Option<ReadBack> = None;
    for artifact in &manifest.artifacts {
        let read = check_file(repository, manifest, artifact).await.map_err(|error| match error {
            VerifyError::Store(error) if error.is_not_found() => {
                VerifyError::Gone { file: artifact.file.clone() }
            }
            error => error,
        })?;
        all = Some(all.map_or(read, |all| all.and(read)));
    }
    Ok(all.unwrap_or_default())
}

async fn check_file(
    repository: &Repository,
    manifest: &Manifest,
    artifact: &Artifact,
) -> Result<ReadBack, VerifyError> {
    let file = artifact.file.as_str();
    let reader = repository.read(&manifest.id, file).await?;
    let written = Written { file, size: artifact.size_bytes, sha256: &artifact.sha256 };
    match &artifact.content {
        Content::Database(facts) if manifest.check.level != Level::Checksum => {
            let is = verify::archive(reader, written, true).await?;
            verify::is_as_it_was(file, facts, &is)?;
            Ok(is.read)
        }
        _ => verify::file(reader, written).await,
    }
}

/// The newest check decides, so this one is newer than those before it, whatever the clock of their node said.
async fn write(
    repository: &Repository,
    set: &StoredSet,
    result: CheckResult,
    read: ReadBack,
) -> Result<(), StoreError> {
    let ReadBack { size: bytes_read, from_device: bytes_from_device } = read;
    let after = set.checked.saturating_add(SignedDuration::from_secs(1)).unwrap_or(Timestamp::MAX);
    let time = run::now().max(after);
    let check = Check { time, level: set.level, result, bytes_read, bytes_from_device };
    repository.write_check(&set.entry.id, &check).await
}
