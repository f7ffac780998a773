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
}

impl RecheckError {
    /// The reason word.
    pub fn reason(&self) -> Reason {
        match self {
            Self::Store(error) => error.reason(),
            Self::NoSet { .. } => Reason::InvalidConfiguration,
            Self::Failed { first, .. } => first.reason(),
        }
    }
}

/// Checks the sets that are asked for, each whatever the others gave. Prints a line for each as it goes.
pub async fn recheck(args: &StoredArgs, target: &Target, what: &What) -> Result<(), RecheckError> {
    let repository = Repository::look(target, &args.namespace, &args.policy)?;
    let listing = repository.list().await?;
    let ids = choose(&listing.sets, what);
    let no_set = || RecheckError::NoSet { place: repository.location("") };
    if ids.is_empty() {
        return Err(no_set());
    }
    let mut failures = Vec::new();
    for id in &ids {
        let (manifest, _) = repository.manifest(id).await.ok_or_else(no_set)?;
        match check(&repository, &manifest).await {
            Ok(read) => {
                write(&repository, &manifest, CheckResult::Verified, read).await?;
                println!("{id}  {}, as it was written", size::human(read.size));
            }
            // What the store did not give says nothing about the set.
            Err(VerifyError::Store(error)) => return Err(error.into()),
            Err(VerifyError::Gone { .. }) if repository.manifest(id).await.is_none() => {
                println!("{id}  was removed meanwhile");
            }
            Err(error) => {
                write(&repository, &manifest, CheckResult::Failed, ReadBack::default()).await?;
                println!("{id}  FAILED: {error}");
                failures.push(error);
            }
        }
    }
    let (failed, checked) = (failures.len(), ids.len());
    failures.into_iter().next().map_or(Ok(()), |first| Err(RecheckError::Failed { failed, checked, first }))
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

async fn write(
    repository: &Repository,
    manifest: &Manifest,
    result: CheckResult,
    read: ReadBack,
) -> Result<(), StoreError> {
    let ReadBack { size: bytes_read, from_device: bytes_from_device } = read;
    let level = manifest.check.level;
    let check = Check { time: run::now(), level, result, bytes_read, bytes_from_device };
    repository.write_check(&manifest.id, &check).await
}
