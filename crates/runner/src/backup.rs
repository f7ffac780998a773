//! The backup: preflight, then for each database hold, dump and upload; then verify, manifest, prune.
//!
//! A set exists when its manifest does, and the manifest is written last.

mod database;
mod globals;
mod manifest;
mod suspicion;

use archive::rows::Contents;
use domain::{
    catalog::BackupState,
    hash,
    manifest::{Artifact, Check, CheckResult, Content, Level},
    pattern::is_pattern,
    reason::Reason,
    report::{Stage, Verification},
    size,
    suspicion::{Emptied, Suspicion},
    uri::{ConnectionUri, UriError},
};

use self::{database::StoredDatabase, globals::StoredGlobals};
use crate::{
    acknowledge,
    args::Config,
    failpoint,
    pg::{
        self,
        compression::CompressionError,
        databases::{self, Database, LeftOut, SelectionError},
        hold::HoldError,
        inspect::InspectError,
        preflight::{self, PreflightError, Requirements, Server},
        tools::{self, Tools},
    },
    prune::{self, Removals},
    read_back::{self, ReadBack, VerifyError, Written},
    run::{self, Run},
    store::{Listing, Repository, StoreError, StoredBackup},
    transfer::{TransferError, Uploaded},
};

/// A backup that left no verified backup.
#[derive(Debug, thiserror::Error)]
pub enum BackupError {
    /// The store failed.
    #[error(transparent)]
    Store(#[from] StoreError),
    /// Less room is left than the last backups took.
    #[error(
        "the store has {} left, and the last backups of these databases took {}; nothing was dumped",
        size::human(*free),
        size::human(*needed)
    )]
    NoSpace {
        /// The bytes that are left.
        free: u64,
        /// The bytes that the last backups took.
        needed: u64,
    },
    /// The connection URI cannot be used.
    #[error("the connection URI cannot be used: {0}")]
    Uri(#[from] UriError),
    /// The server cannot be backed up.
    #[error(transparent)]
    Preflight(#[from] PreflightError),
    /// The databases cannot be chosen.
    #[error(transparent)]
    Selection(#[from] SelectionError),
    /// Something in the database stands against a dump.
    #[error(transparent)]
    Inspect(InspectError),
    /// The client tools cannot compress so.
    #[error(transparent)]
    Compression(CompressionError),
    /// The tables cannot be held.
    #[error(transparent)]
    Hold(#[from] HoldError),
    /// The dump failed.
    #[error(transparent)]
    Transfer(#[from] TransferError),
    /// What is stored is not good.
    #[error(transparent)]
    Verify(#[from] VerifyError),
    /// The set is stored and whole, and not like those before it.
    #[error("{backup} is stored and whole, but not like the backups before it: it {}", what.join("; it "))]
    Suspicious {
        /// The set.
        backup: String,
        /// What is not as it was.
        what: Vec<String>,
    },
    /// One database could not be stored; its name is in the message.
    #[error("database {database:?}: {source}")]
    Database {
        /// The database.
        database: String,
        /// What happened.
        source: Box<BackupError>,
    },
}

impl BackupError {
    /// The reason word.
    pub fn reason(&self) -> Reason {
        match self {
            Self::Store(error) => error.reason(),
            Self::NoSpace { .. } => Reason::NoSpace,
            Self::Uri(_) | Self::Compression(_) => Reason::InvalidConfiguration,
            Self::Preflight(error) => error.reason(),
            Self::Selection(error) => error.reason(),
            Self::Inspect(error) => error.reason(),
            Self::Hold(error) => error.reason(),
            Self::Transfer(error) => error.reason(),
            Self::Verify(error) => error.reason(),
            Self::Suspicious { .. } => Reason::Suspicious,
            Self::Database { source, .. } => source.reason(),
        }
    }
}

/// Takes a backup; gives a sentence about it. `token` is a text that no other run has.
pub async fn backup(run: &mut Run, config: &Config, token: &str) -> Result<String, BackupError> {
    run.log(format_args!(
        "run {} of policy {}/{}",
        config.run.job, config.policy.namespace, config.policy.name
    ));
    failpoint::reach(Stage::Preflight).await;
    let (owner, now) = (config.adopt_from.as_deref(), run.report.start_time);
    let opened = Repository::open(&config.store, &config.policy, owner, now).await?;
    let repository = run.repository.insert(opened).clone();
    // A store that cannot be written is found out here, and a run that is killed will have left a word.
    // A full one can: there may be backups that the rules do not keep.
    if let Err(error) = run.record().await
        && error.reason() != Reason::NoSpace
    {
        return Err(error.into());
    }
    let listing = repository.list().await?;
    let mut removals = prune::leftovers(run, &repository, &listing).await;
    let listing = acknowledge::acknowledge(run, &repository, config, listing).await?;
    for (id, why) in &listing.unreadable {
        run.warn(format!("backup {id} is left alone and counts for nothing, since it cannot be read: {why}"));
    }
    let earlier_try = listing.backups.iter().rfind(|backup| is_of_this_job(backup, config));
    let earlier_try = match earlier_try {
        Some(backup) => repository.manifest(&backup.entry.id).await.map(|found| (backup.entry.state, found)),
        None => None,
    };

    let (message, suspicions) = if let Some((state, (manifest, sha256))) = earlier_try {
        run.report.warnings.clone_from(&manifest.warnings);
        let verdict = match (state, manifest.check.level) {
            (BackupState::Suspicious, _) => Verification::Suspicious,
            (_, Level::Checksum) => Verification::Stored,
            (_, Level::Archive | Level::Counts) => Verification::Verified,
        };
        let message = format!("backup {} was stored by an earlier try of this run", manifest.id);
        manifest::summarize(run, &manifest, sha256, verdict);
        (message, manifest.suspicions)
    } else {
        take(run, config, token, &listing, &mut removals).await?
    };

    run.stage(Stage::Prune);
    failpoint::reach(Stage::Prune).await;
    prune::prune(run, config, removals).await;
    run.stage(Stage::Report);
    failpoint::reach(Stage::Report).await;
    match &run.report.backup {
        Some(backup) if backup.verification == Verification::Suspicious => {
            let what = suspicions.iter().map(ToString::to_string).collect();
            Err(BackupError::Suspicious { backup: backup.id.clone(), what })
        }
        _ => Ok(message),
    }
}

/// A retry whose predecessor was killed after its manifest has nothing left to dump.
fn is_of_this_job(backup: &StoredBackup, config: &Config) -> bool {
    backup.job_uid == config.run.job_uid
        && backup.entry.policy_uid == config.policy.uid
        && backup.entry.state != BackupState::Failed
}

/// From preflight to manifest. `listing` is what the store has already, `removals` what goes of it.
async fn take(
    run: &mut Run,
    config: &Config,
    token: &str,
    listing: &Listing,
    removals: &mut Removals,
) -> Result<(String, Vec<Suspicion>), BackupError> {
    let literals: Vec<&str> =
        config.include.iter().map(String::as_str).filter(|name| !is_pattern(name)).collect();
    let application = format!("pgbackup/{}/{}", config.policy.name, config.run.job);
    let uri = std::env::var(tools::URI).ok().map(|uri| ConnectionUri::parse(&uri)).transpose()?;
    let tools = Tools::new(uri, application, hash::short(token, 32));
    let requirements = Requirements {
        allow_newer_client: config.allow_newer_client,
        max_replica_lag: config.max_replica_lag,
    };
    let (mut server, mut session) = preflight::examine(tools, requirements, &literals).await?;
    run.report.server_version = Some(server.facts.version.clone());
    run.report.client_version = Some(server.client_version.clone());
    run.log(format_args!("server {}, client {}", server.facts.version, server.client_version));
    for warning in std::mem::take(&mut server.warnings) {
        run.warn(warning);
    }
    let selection = databases::select(&mut session, &config.include, &config.exclude).await?;
    // An idle session for the length of a dump is a session that somebody ends.
    session.close().await;
    for LeftOut { name, why, missed } in &selection.left_out {
        let line = format!("database {name:?} is not in this backup: it {why}");
        if *missed { run.warn(line) } else { run.log(line) }
    }
    require_room(run, config, &listing.backups, &selection.chosen, removals).await?;

    let mut stored = Vec::new();
    for database in selection.chosen {
        let (name, oid) = (database.name.clone(), database.oid);
        let first = stored.is_empty();
        match database::store(run, config, &server, database, first).await {
            Ok(one) => stored.push(one),
            Err(_) if !literals.contains(&name.as_str()) && was_dropped(&server, oid).await => {
                run.warn(format!("database {name:?} is not in this backup: it was dropped during the run"));
            }
            Err(source) => return Err(BackupError::Database { database: name, source: Box::new(source) }),
        }
    }
    if stored.is_empty() {
        return Err(SelectionError::AllDropped.into());
    }
    let globals = globals::store(run, &server, config.globals).await?;

    run.stage(Stage::Verify);
    let checked = verify_all(run, config, stored, globals).await?;
    run.stage(Stage::Manifest);
    failpoint::reach(Stage::Manifest).await;
    manifest::commit(run, config, server, checked, listing).await
}

/// What cannot be known has not happened.
async fn was_dropped(server: &Server, oid: u32) -> bool {
    databases::exists(&server.tools, &server.maintenance, oid).await.is_ok_and(|there| !there)
}

/// Refuses to begin what cannot fit: the newest backups of the same databases tell how much it will be. The rules are
/// applied first where there is no room without: a full store must not stay full for want of a backup.
async fn require_room(
    run: &mut Run,
    config: &Config,
    backups: &[StoredBackup],
    chosen: &[Database],
    removals: &mut Removals,
) -> Result<(), BackupError> {
    let repository = run.repository.clone().expect("the store should be open before the first dump");
    let last_size =
        |database: &Database| backups.iter().rev().find_map(|backup| backup.sizes.get(&database.name));
    let needed = chosen.iter().filter_map(last_size).copied().fold(0, u64::saturating_add);
    let is_short = |free: &u64| *free < needed;
    if repository.free_bytes()?.is_some_and(|free| is_short(&free)) {
        run.log("there is no room for a new backup: old ones that the rules do not keep go before it");
        prune::make_room(run, config, removals).await;
    }
    let free = repository.free_bytes()?.filter(is_short);
    free.map_or(Ok(()), |free| Err(BackupError::NoSpace { free, needed }))
}

/// What was read back.
pub struct Checked {
    pub artifacts: Vec<Artifact>,
    pub check: Check,
    pub emptied: Vec<Emptied>,
}

/// Reads everything back and compares.
async fn verify_all(
    run: &mut Run,
    config: &Config,
    stored: Vec<StoredDatabase>,
    globals: Option<StoredGlobals>,
) -> Result<Checked, BackupError> {
    let backup = run.backup.as_ref().expect("the databases should have made the backup");
    let mut read: Option<ReadBack> = None;
    let mut add = |one: ReadBack| read = Some(read.map_or(one, |read| read.and(one)));
    let (mut artifacts, mut emptied) = (Vec::new(), Vec::new());
    for mut database in stored {
        let file = database.file.clone();
        let (size_bytes, sha256) = (database.dumped.file.size, database.dumped.file.sha256.clone());
        let written = Written { file: &file, size: size_bytes, sha256: &sha256 };
        let (contents, objects) = if config.level == Level::Checksum {
            add(read_back::file(backup.read(&file).await?, written).await?);
            failpoint::reach(Stage::Verify).await;
            Default::default()
        } else {
            let parsed = std::mem::replace(&mut database.dumped.contents, Ok(Contents::default()));
            if let Err(error) = &parsed {
                tracing::warn!("{file}: {error}; parsing the stored backup");
            }
            let stored = read_back::archive(backup.read(&file).await?, written, parsed.is_err()).await?;
            add(stored.read);
            failpoint::reach(Stage::Verify).await;
            let contents = stored.contents.or(parsed.ok()).unwrap_or_default();
            read_back::holds_everything(&file, &database.source, &stored.toc, &contents)?;
            emptied.extend(database.emptied(&contents));
            (contents, stored.toc.counts)
        };
        let facts = database.facts(&contents, objects);
        artifacts.push(Artifact { file, size_bytes, sha256, content: Content::Database(Box::new(facts)) });
    }
    if let Some(StoredGlobals { uploaded: Uploaded { size, sha256, .. }, command, passwords }) = globals {
        let written = Written { file: pg::globals::FILE, size, sha256: &sha256 };
        add(read_back::file(backup.read(pg::globals::FILE).await?, written).await?);
        artifacts.push(Artifact {
            file: pg::globals::FILE.to_owned(),
            size_bytes: size,
            sha256,
            content: Content::Globals { command, passwords },
        });
    }
    let ReadBack { size: bytes_read, from_device: bytes_from_device } = read.unwrap_or_default();
    let check = Check {
        time: run::now(),
        level: config.level,
        result: CheckResult::Verified,
        bytes_read,
        bytes_from_device,
    };
    Ok(Checked { artifacts, check, emptied })
}
