//! The subcommand `backup`: preflight; hold, dump and upload for each database; then verify, manifest and
//! prune.
//!
//! A folder is a backup only once it has a manifest. Therefore the manifest is written last.

mod completeness;
mod database;
mod earlier_backups;
mod error;
mod globals;
mod held_dump;
mod left_out;
mod manifest;
mod room;
mod round;
mod stored;
mod verification;

use domain::{
    catalog::BackupState,
    hash,
    invocation::variable,
    manifest::{Level, PolicyIdentity},
    pattern::is_pattern,
    reason::Reason,
    report::{BackupStage, Verification},
    suspicion::SuspicionKind,
    uri::ConnectionUri,
};

pub use self::error::BackupError;
use self::{manifest::Stored, round::Destination, stored::StoredDatabase};
use crate::{
    acknowledge,
    args::Config,
    failpoint,
    pg::{
        databases::{self, Database, SelectionError},
        preflight::{self, Requirements, Server},
        tools::Tools,
    },
    prune::{self, Removals},
    run::Run,
    store::{BackupWriter, Listing, Repository, StoredBackup},
};

/// Stores a backup and prunes old ones. Returns the result of the verification and a sentence that describes
/// the backup. `token` must be unique to this attempt.
pub async fn backup(
    run: &mut Run,
    config: &Config,
    token: &str,
) -> Result<(Verification, String), BackupError> {
    run.log(format_args!(
        "starting run {} of policy {}/{}",
        config.run.job, config.policy.namespace, config.policy.name
    ));
    failpoint::reach(BackupStage::Preflight).await;
    let repository = open(run, config).await?;
    let listing = repository.list().await?;
    let mut removals = prune::remove_leftovers(run, &repository, &listing).await;
    let listing = acknowledge::acknowledge(run, &repository, config, listing).await?;
    for (id, why) in &listing.unreadable {
        run.warn(format!("backup {id} cannot be read, so retention neither counts nor deletes it: {why}"));
    }
    let stored = match earlier_attempt(run, config, &repository, &listing).await {
        Some(stored) => stored,
        None => store(run, config, token, &repository, &listing, &mut removals).await?,
    };
    run.stage(BackupStage::Prune);
    failpoint::reach(BackupStage::Prune).await;
    prune::prune(run, config, &repository, removals).await;
    run.stage(BackupStage::Report);
    failpoint::reach(BackupStage::Report).await;
    let Stored { id, verification, suspicions, message } = stored;
    if verification == Verification::Suspicious {
        let what = suspicions.iter().map(ToString::to_string).collect();
        let PolicyIdentity { namespace, name: policy, .. } = config.policy.clone();
        let dropped = suspicions.iter().any(|one| one.kind == SuspicionKind::DatabaseMissing);
        return Err(BackupError::Suspicious { namespace, policy, id, what, dropped });
    }
    Ok((verification, message))
}

/// Opens the repository and writes the provisional record, so that a store that cannot be written fails the
/// run before the dump. A full store is no error yet, because pruning may free space.
async fn open(run: &mut Run, config: &Config) -> Result<Repository, BackupError> {
    let (owner, now) = (config.options.adopt_from.as_deref(), run.report.start_time);
    let repository = Repository::open(&config.store, &config.policy, owner, now).await?;
    run.opened(&repository);
    match run.record().await {
        Err(error) if error.reason() != Reason::NoSpace => Err(error.into()),
        _ => Ok(repository),
    }
}

/// Returns the backup of an earlier attempt of this run, if there is one: that attempt was killed after it
/// wrote the manifest.
async fn earlier_attempt(
    run: &mut Run,
    config: &Config,
    repository: &Repository,
    listing: &Listing,
) -> Option<Stored> {
    let is_of_this_run = |backup: &&StoredBackup| {
        backup.job_uid == config.run.job_uid
            && backup.entry.policy_uid == config.policy.uid
            && backup.entry.state != BackupState::Failed
    };
    let backup = listing.backups.iter().rfind(is_of_this_run)?;
    let (manifest, sha256) = repository.manifest(&backup.entry.id).await?;
    run.report.warnings.clone_from(&manifest.warnings);
    let verification = match (backup.entry.state, manifest.check.level) {
        (BackupState::Suspicious, _) => Verification::Suspicious,
        (_, Level::Checksum) => Verification::Stored,
        (_, Level::Archive | Level::Counts) => Verification::Verified,
    };
    manifest::report(run, repository, &manifest, sha256, verification);
    let message = format!("backup {} was stored by an earlier attempt of this run", manifest.id);
    Some(Stored { id: manifest.id, verification, suspicions: manifest.suspicions, message })
}

/// Runs the stages from preflight to manifest. `listing` describes the repository before the run.
async fn store(
    run: &mut Run,
    config: &Config,
    token: &str,
    repository: &Repository,
    listing: &Listing,
    removals: &mut Removals,
) -> Result<Stored, BackupError> {
    let (server, chosen) = preflight(run, config, token).await?;
    room::require(run, config, repository, &listing.backups, &chosen, removals).await?;
    let (writer, databases) = store_databases(run, config, repository, &server, chosen).await?;
    let globals = globals::store(run, &writer, &server, config.options.globals).await?;
    run.stage(BackupStage::Verify);
    let verified = verification::verify(&writer, config.options.level, databases, globals).await?;
    run.stage(BackupStage::Manifest);
    failpoint::reach(BackupStage::Manifest).await;
    manifest::write(run, config, repository, listing, server, writer, verified).await
}

/// Connects to the server, checks it, and chooses the databases.
async fn preflight(
    run: &mut Run,
    config: &Config,
    token: &str,
) -> Result<(Server, Vec<Database>), BackupError> {
    let application = format!("pgbackup/{}/{}", config.policy.name, config.run.job);
    let uri = std::env::var(variable::PGBACKUP_URI).ok().map(|uri| ConnectionUri::parse(&uri)).transpose()?;
    let tools = Tools::new(uri, application, hash::short(token, 32));
    let requirements = Requirements {
        allow_newer_client: config.options.dump.allow_newer_client,
        max_replica_lag: config.options.dump.max_replica_lag,
    };
    let (mut server, mut session) = preflight::examine(tools, requirements, &literals(config)).await?;
    let details = run.backup_details();
    details.server_version = Some(server.facts.version.clone());
    details.client_version = Some(server.client_version.clone());
    run.log(format_args!(
        "PostgreSQL server {}, client tools {}",
        server.facts.version, server.client_version
    ));
    for warning in std::mem::take(&mut server.warnings) {
        run.warn(warning);
    }
    let selection = databases::select(&mut session, &config.options.include, &config.options.exclude).await?;
    // Close the session: an idle session may be ended by the server or a firewall during the dump.
    session.close().await;
    left_out::report(run, &selection.left_out);
    Ok((server, selection.chosen))
}

/// Returns the entries of `databases.include` that are names, not patterns.
fn literals(config: &Config) -> Vec<&str> {
    config.options.include.iter().map(String::as_str).filter(|name| !is_pattern(name)).collect()
}

/// Stores all databases in a new backup. Skips a database that was dropped during the run, unless
/// `databases.include` contains its name.
async fn store_databases(
    run: &mut Run,
    config: &Config,
    repository: &Repository,
    server: &Server,
    chosen: Vec<Database>,
) -> Result<(BackupWriter, Vec<StoredDatabase>), BackupError> {
    let mut destination = Destination::New(repository);
    let mut stored = Vec::new();
    for database in chosen {
        match database::store(run, config, server, &database, &destination).await {
            Ok((database, writer)) => {
                stored.push(database);
                destination = Destination::Begun(Box::new(writer));
            }
            Err(_)
                if !literals(config).contains(&database.name.as_str())
                    && was_dropped(server, database.oid).await =>
            {
                run.warn(format!(
                    "database {:?} is not in this backup: it was dropped during the run",
                    database.name
                ));
            }
            Err(source) => {
                return Err(BackupError::Database { database: database.name, source: Box::new(source) });
            }
        }
    }
    match destination {
        Destination::Begun(writer) => Ok((*writer, stored)),
        Destination::New(_) => Err(SelectionError::AllDropped.into()),
    }
}

/// Returns whether the database with this OID no longer exists. Returns `false` if the query fails.
async fn was_dropped(server: &Server, oid: u32) -> bool {
    databases::exists(&server.tools, &server.maintenance, oid).await.is_ok_and(|exists| !exists)
}
