//! `verify` and `scrub`: stored sets are read again, long after they were made, and compared with their manifests.
//!
//! How it went is written beside the set: the newest check decides whether the set counts.

use domain::{
    catalog::{Catalog, SetState},
    manifest::{Artifact, Check, CheckResult, Content, Level, Manifest, PolicyIdentity},
    reason::Reason,
    report::{self, ScrubOutcome, Stage},
    scrub::{self, Scrubbable},
    size,
};
use jiff::{SignedDuration, Timestamp};

use crate::{
    args::{ScrubArgs, StoredArgs},
    run::{self, Run},
    store::{Repository, StoreError, StoredSet},
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
    #[error("damaged: {damaged} of {checked} that were read; {set}: {first}")]
    Damaged {
        /// How many.
        damaged: usize,
        /// Of how many.
        checked: usize,
        /// The first one.
        set: String,
        /// What is wrong with it.
        first: Box<VerifyError>,
    },
    /// Some could not be checked, and all others are what they should be.
    #[error("not checked: {unchecked} of {checked}; {set}: {first}")]
    Unchecked {
        /// How many.
        unchecked: usize,
        /// Of how many.
        checked: usize,
        /// The first one.
        set: String,
        /// Why it could not.
        first: Box<VerifyError>,
    },
}

impl RecheckError {
    /// The reason word.
    pub fn reason(&self) -> Reason {
        match self {
            Self::Store(error) => error.reason(),
            Self::NoSet { .. } => Reason::InvalidConfiguration,
            Self::Damaged { .. } => Reason::CopyDamaged,
            Self::Unchecked { first, .. } => first.reason(),
        }
    }
}

/// How the sets stand that were read.
#[derive(Debug, Default)]
pub struct Tally {
    passed: usize,
    damaged: Vec<(String, VerifyError)>,
    unchecked: Vec<(String, VerifyError)>,
    bytes_read: u64,
}

impl Tally {
    /// What a report says of it.
    pub fn outcome(&self) -> ScrubOutcome {
        let count = |sets: usize| u32::try_from(sets).unwrap_or(u32::MAX);
        ScrubOutcome {
            passed: count(self.passed),
            damaged: self.damaged.iter().map(|(set, _)| set.clone()).take(report::DAMAGED_LIMIT).collect(),
            unchecked: count(self.unchecked.len()),
            bytes_read: self.bytes_read,
        }
    }

    /// Whether all is well.
    pub fn verdict(self) -> Result<(), RecheckError> {
        let (damaged, unchecked) = (self.damaged.len(), self.unchecked.len());
        let checked = self.passed + damaged + unchecked;
        if let Some((set, first)) = self.damaged.into_iter().next() {
            return Err(RecheckError::Damaged { damaged, checked, set, first: first.into() });
        }
        match self.unchecked.into_iter().next() {
            Some((set, first)) => {
                Err(RecheckError::Unchecked { unchecked, checked, set, first: first.into() })
            }
            None => Ok(()),
        }
    }
}

/// Checks the sets that a person names, or the newest one.
pub async fn verify(args: &StoredArgs, ids: &[String]) -> Result<(), RecheckError> {
    let repository = Repository::look(&args.target(), &args.namespace, &args.policy)?;
    let sets = repository.list().await?.sets;
    let newest = || sets.iter().rfind(|set| set.entry.state != SetState::Failed);
    let chosen = match ids {
        [] => newest().map(|set| set.entry.id.clone()).into_iter().collect(),
        ids => ids.to_vec(),
    };
    if chosen.is_empty() {
        return Err(RecheckError::NoSet { place: repository.location("") });
    }
    let mut tally = Tally::default();
    check_all(&repository, &sets, &chosen, &mut tally, |_| ()).await?;
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
        None => Repository::look(&target, namespace, policy)?,
    };
    let sets = repository.list().await?.sets;
    let scrubbable = |set: &StoredSet| Scrubbable {
        id: set.entry.id.clone(),
        size_bytes: set.entry.size_bytes,
        checked: set.checked,
    };
    let chosen = scrub::choose(sets.iter().map(scrubbable).collect(), args.share);
    let mut tally = Tally::default();
    let told = |tally: &Tally| {
        run.report.scrub = Some(tally.outcome());
        run.stage(Stage::Verify);
    };
    check_all(&repository, &sets, &chosen, &mut tally, told).await?;
    if let Some(uid) = &args.policy_uid {
        let sets = repository.list().await?.sets.into_iter().map(|StoredSet { entry, .. }| entry).collect();
        let catalog = Catalog::new(uid, sets).adopting(repository.adopted).seen_at(run::now());
        run.report.retained = Some(catalog.retained());
    }
    tally.verdict()
}

/// Checks sets, each whatever the others gave. Prints a line for each, and tells, as it goes.
async fn check_all(
    repository: &Repository,
    sets: &[StoredSet],
    chosen: &[String],
    tally: &mut Tally,
    mut tell: impl FnMut(&Tally),
) -> Result<(), RecheckError> {
    tell(tally);
    for id in chosen {
        let Some(set) = sets.iter().find(|set| set.entry.id == *id) else {
            return Err(RecheckError::NoSet { place: repository.location(id) });
        };
        match check_set(repository, set).await? {
            Checked::Passed(read) => {
                println!("{id}  {}, as it was written", size::human(read.size));
                tally.passed += 1;
                tally.bytes_read += read.size;
            }
            Checked::Removed => println!("{id}  was removed meanwhile"),
            Checked::Damaged(wrong) => {
                println!("{id}  FAILED: {wrong}");
                tally.damaged.push((id.clone(), wrong));
            }
            Checked::Unchecked(wrong) => {
                println!("{id}  not checked: {wrong}");
                tally.unchecked.push((id.clone(), wrong));
            }
        }
        tell(tally);
    }
    Ok(())
}

/// How a set stands.
enum Checked {
    /// As it was written.
    Passed(ReadBack),
    /// Another run removed it meanwhile.
    Removed,
    /// Its bytes are not those that were written.
    Damaged(VerifyError),
    /// That could not be found out.
    Unchecked(VerifyError),
}

/// Reads a set, and writes down what came of it.
async fn check_set(repository: &Repository, set: &StoredSet) -> Result<Checked, StoreError> {
    let id = &set.entry.id;
    let Some((manifest, _)) = repository.manifest(id).await else { return Ok(Checked::Removed) };
    let wrong = match check(repository, &manifest).await {
        Ok(read) => match write(repository, set, CheckResult::Verified, read).await {
            Ok(()) => return Ok(Checked::Passed(read)),
            Err(error) => error.into(),
        },
        Err(error) => error,
    };
    if repository.manifest(id).await.is_none() {
        return Ok(Checked::Removed);
    }
    if !is_damage(&wrong) {
        return Ok(Checked::Unchecked(wrong));
    }
    write(repository, set, CheckResult::Failed, ReadBack::default()).await?;
    Ok(Checked::Damaged(wrong))
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
