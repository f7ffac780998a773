//! Removes backups that retention does not keep, and unfinished backups of killed runs. If that fails, the
//! report says so, but the backup run does not fail.

use std::collections::BTreeMap;

use domain::{
    catalog::Catalog,
    message::{self, Message},
    reason::Reason,
    report::{self, PruneOutcome},
    retention::{self, PrunePlan},
};

use crate::{
    acknowledge,
    args::Config,
    catalog,
    run::Run,
    store::{Listing, Owner, Repository, StoreError},
};

/// The number of records of runs that are kept: more than a month of hourly runs.
const RECORDS: usize = 1000;

/// The number of failures that a message describes.
const NAMED: usize = 2;

/// The backups that a run has removed so far, and those that it could not remove.
#[derive(Debug, Default)]
pub struct Removals {
    backups: u32,
    leftovers: u32,
    tried: usize,
    failed: Vec<StoreError>,
    /// For each backup that the store keeps locked: the end of the lock.
    locked: Vec<String>,
}

impl Removals {
    fn not_removed(&mut self, error: StoreError) {
        match error {
            StoreError::Locked { until, .. } => self.locked.push(until),
            error => self.failed.push(error),
        }
    }
}

/// Removes unfinished backups of killed runs. Runs before the backup, which may need their space.
pub async fn remove_leftovers(run: &mut Run, repository: &Repository, listing: &Listing) -> Removals {
    let mut removals = Removals::default();
    if repository.owner != Owner::ThisPolicy {
        return removals;
    }
    for id in &listing.leftovers {
        removals.tried += 1;
        match repository.remove_leftover(id).await {
            Ok(true) => {
                removals.leftovers += 1;
                run.log(format_args!("removed unfinished backup {id} of a killed run"));
            }
            Ok(false) => {}
            Err(error) => removals.not_removed(error),
        }
    }
    removals
}

/// Prunes before the backup, because the store has too little space for it. Failures are only logged: the
/// pruning after the backup tries again and reports them.
pub async fn make_room(run: &mut Run, config: &Config, repository: &Repository, removals: &mut Removals) {
    if repository.owner != Owner::ThisPolicy {
        return;
    }
    let mut early = Removals::default();
    if let Err(error) = remove_expired(run, repository, config, &mut early).await {
        run.log(format_args!(
            "the store is nearly full, and removing expired backups before the backup failed: {error}"
        ));
    }
    removals.backups += early.backups;
}

/// Removes the backups that retention does not keep. Adds the result and the remaining backups to the report.
pub async fn prune(run: &mut Run, config: &Config, repository: &Repository, removals: Removals) {
    let outcome = match &repository.owner {
        Owner::ThisPolicy => remove(run, repository, config, removals).await,
        other => Ok(not_ours(repository, other)),
    };
    run.backup_details().prune =
        Some(outcome.unwrap_or_else(|error| failure(&error.to_string(), error.hint().as_deref())));
    match catalog(repository, config).await {
        Ok(catalog) => run.report.retained = Some(catalog.retained()),
        Err(error) => run.log(format_args!("cannot list the repository after pruning: {error}")),
    }
}

async fn catalog(repository: &Repository, config: &Config) -> Result<Catalog, StoreError> {
    Ok(catalog::catalog(repository, config, &repository.list().await?))
}

async fn remove(
    run: &mut Run,
    repository: &Repository,
    config: &Config,
    mut removals: Removals,
) -> Result<PruneOutcome, StoreError> {
    let plan = remove_expired(run, repository, config, &mut removals).await?;
    if config.options.dry_run {
        let kept = plan.counts();
        return Ok(PruneOutcome { kept, leftovers: removals.leftovers, ..dry_run(&plan) });
    }
    if let Err(error) = repository.remove_old_records(RECORDS).await {
        run.log(format_args!("cannot remove old records of runs: {error}"));
    }
    let Removals { backups, leftovers, tried, failed, locked } = removals;
    for error in &failed {
        run.log(format_args!("cannot remove a backup: {error}"));
    }
    let verdict = if !failed.is_empty() {
        failure(&summary(&failed, tried), failed.iter().find_map(StoreError::hint).as_deref())
    } else if config.options.rules.is_empty() {
        outcome(Reason::NoRules, Message::default())
    } else {
        outcome(Reason::Pruned, locks(locked))
    };
    Ok(PruneOutcome { kept: plan.counts(), removed: backups, leftovers, ..verdict })
}

/// Removes the backups that the plan deletes, or logs them in a dry run. Continues with the next backup after
/// a failure. Returns the plan.
async fn remove_expired(
    run: &mut Run,
    repository: &Repository,
    config: &Config,
    removals: &mut Removals,
) -> Result<PrunePlan, StoreError> {
    let just_made = run.report.backup().map(|backup| backup.id.clone());
    let catalog = catalog(repository, config).await?;
    // Suspicious backups that are accepted because they differ alike must be recorded as accepted before one
    // of them is removed. Those that could not be recorded are not removed.
    let unwritten = match acknowledge::accept_alike(run, repository, &catalog).await {
        Ok(()) => &[][..],
        Err(error) if error.reason() == Reason::NoSpace => catalog.accepted(),
        Err(error) => return Err(error),
    };
    let plan = retention::plan(&catalog, &config.options.rules, &config.zone, just_made.as_deref());
    for backup in plan.delete.iter().filter(|backup| !unwritten.contains(&backup.id)) {
        if config.options.dry_run {
            run.log(format_args!("dry run: backup {} would be removed: {}", backup.id, backup.reason));
            continue;
        }
        removals.tried += 1;
        match repository.remove_backup(&backup.id).await {
            Ok(()) => {
                removals.backups += 1;
                run.log(format_args!("removed backup {}: {}", backup.id, backup.reason));
            }
            Err(error) => removals.not_removed(error),
        }
    }
    Ok(plan)
}

fn summary(failed: &[StoreError], of: usize) -> String {
    let errors = message::list(failed, NAMED, "errors");
    format!("{} of {of} backups could not be removed: {errors}", failed.len())
}

/// Returns a sentence about the backups that the store keeps locked, without an error: locks are configured
/// in the store. `until` contains the end of each lock.
fn locks(mut until: Vec<String>) -> String {
    until.sort_unstable();
    match until.as_slice() {
        [] => String::new(),
        [until] => format!("1 expired backup was not removed: the store locks it until {until}"),
        [first, .., last] => format!(
            "{} expired backups were not removed: the store locks the first until {first}, the last until {last}",
            until.len()
        ),
    }
}

fn dry_run(plan: &PrunePlan) -> PruneOutcome {
    let ids: Vec<&str> = plan.delete.iter().map(|backup| backup.id.as_str()).collect();
    let message = match ids.len() {
        0 => "dry run: retention would remove no backup".to_owned(),
        1 => format!("dry run: retention would remove 1 backup: {}", ids[0]),
        n => format!("dry run: retention would remove {n} backups: {}", ids.join(", ")),
    };
    outcome(Reason::DryRun, message)
}

fn failure(why: &str, hint: Option<&str>) -> PruneOutcome {
    let message = Message::new("expired backups were not removed").detail(why);
    outcome(Reason::PruneFailed, message.or_hint(hint))
}

fn not_ours(repository: &Repository, owner: &Owner) -> PruneOutcome {
    let message = match owner {
        Owner::OtherPolicy(uid) => {
            Message::new("the repository belongs to another policy, so nothing is removed").hint(format!(
                "If that policy no longer exists, take the repository over with storage.adoptFrom: {uid}."
            ))
        }
        Owner::Unknown(why) => {
            let file = repository.location("repository.json");
            Message::new("the owner of the repository is unknown, so nothing is removed")
                .detail(format_args!("\"{file}\": {why}"))
                .hint(format!("If no other policy uses the repository, delete {file}: the next backup run writes it again."))
        }
        Owner::ThisPolicy => Message::default(),
    };
    outcome(Reason::RepositoryOwnedByOther, message)
}

fn outcome(reason: Reason, message: impl Into<Message>) -> PruneOutcome {
    let mut message = message.into();
    message.cut(report::TEXT_LIMIT, report::HINT_LIMIT);
    PruneOutcome { reason, message, kept: BTreeMap::new(), removed: 0, leftovers: 0 }
}
