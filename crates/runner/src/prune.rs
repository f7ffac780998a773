//! Removes what the rules no longer keep, and what runs that died left behind. A failing prune never fails the
//! backup: it is reported beside it.

use std::collections::BTreeMap;

use domain::{
    catalog::Catalog,
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

/// How many records of runs are kept: a run every hour for more than a month.
const RECORDS: usize = 1000;

/// How many failures a message names.
const NAMED: usize = 2;

/// What a run has removed so far, and what it could not.
#[derive(Debug, Default)]
pub struct Removals {
    backups: u32,
    leftovers: u32,
    tried: usize,
    failed: Vec<StoreError>,
    /// Until when each backup is locked that the store does not let go.
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

/// Removes what runs left that died. It goes before the backup: it may fill the room that the backup needs.
pub async fn leftovers(run: &mut Run, repository: &Repository, listing: &Listing) -> Removals {
    let mut removals = Removals::default();
    if repository.owner != Owner::Us {
        return removals;
    }
    for id in &listing.leftovers {
        removals.tried += 1;
        match repository.remove_leftover(id).await {
            Ok(true) => {
                removals.leftovers += 1;
                run.log(format_args!("{id} removed: a run left it unfinished"));
            }
            Ok(false) => {}
            Err(error) => removals.not_removed(error),
        }
    }
    removals
}

/// Removes before the backup what the rules would remove after it: there is no room for a new backup. What cannot be
/// removed is tried again, and told, after the backup.
pub async fn make_room(run: &mut Run, config: &Config, removals: &mut Removals) {
    let Some(repository) = run.repository.clone().filter(|repository| repository.owner == Owner::Us) else {
        return;
    };
    let mut early = Removals::default();
    if let Err(error) = expired(run, &repository, config, &mut early).await {
        run.log(format_args!("what the store holds cannot be listed: {error}"));
    }
    removals.backups += early.backups;
}

/// Plans, removes, and puts the outcome and what is left into the run's report.
pub async fn prune(run: &mut Run, config: &Config, removals: Removals) {
    let Some(repository) = run.repository.clone() else {
        return;
    };
    let outcome = match &repository.owner {
        Owner::Us => remove(run, &repository, config, removals).await,
        other => Ok(not_ours(&repository, other)),
    };
    run.report.prune = Some(outcome.unwrap_or_else(|error| failure(&error.to_string())));
    match catalog(&repository, config).await {
        Ok(catalog) => run.report.retained = Some(catalog.retained()),
        Err(error) => run.log(format_args!("what the store holds cannot be listed: {error}")),
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
    let plan = expired(run, repository, config, &mut removals).await?;
    if config.dry_run {
        let kept = plan.counts();
        return Ok(PruneOutcome { kept, leftovers: removals.leftovers, ..dry_run(&plan) });
    }
    if let Err(error) = repository.remove_old_records(RECORDS).await {
        run.log(format_args!("old records stay: {error}"));
    }
    let Removals { backups, leftovers, tried, failed, locked } = removals;
    for error in &failed {
        run.log(format_args!("not removed: {error}"));
    }
    let verdict = if !failed.is_empty() {
        failure(&summary(&failed, tried))
    } else if config.rules.is_empty() {
        outcome(Reason::NoRules, String::new())
    } else {
        outcome(Reason::Pruned, locks(locked))
    };
    Ok(PruneOutcome { kept: plan.counts(), removed: backups, leftovers, ..verdict })
}

/// Removes what the plan says, unless it is to be a dry run. One that cannot be removed is no reason to leave the others.
async fn expired(
    run: &mut Run,
    repository: &Repository,
    config: &Config,
    removals: &mut Removals,
) -> Result<PrunePlan, StoreError> {
    let just_made = run.report.backup.as_ref().map(|backup| backup.id.clone());
    let catalog = catalog(repository, config).await?;
    // What settles a row must not go before that is written down.
    let unwritten = match acknowledge::settle(run, repository, &catalog).await {
        Ok(()) => &[][..],
        Err(error) if error.reason() == Reason::NoSpace => catalog.settled(),
        Err(error) => return Err(error),
    };
    let plan = retention::plan(&catalog, &config.rules, &config.zone, just_made.as_deref());
    for backup in plan.delete.iter().filter(|backup| !unwritten.contains(&backup.id)) {
        if config.dry_run {
            run.log(format_args!("{} would be removed: {}", backup.id, backup.reason));
            continue;
        }
        removals.tried += 1;
        match repository.remove_backup(&backup.id).await {
            Ok(()) => {
                removals.backups += 1;
                run.log(format_args!("{} removed: {}", backup.id, backup.reason));
            }
            Err(error) => removals.not_removed(error),
        }
    }
    Ok(plan)
}

fn summary(failed: &[StoreError], of: usize) -> String {
    let named: Vec<String> = failed.iter().take(NAMED).map(ToString::to_string).collect();
    let more = if failed.len() > NAMED { "; ..." } else { "" };
    format!("{} of {of} could not be removed: {}{more}", failed.len(), named.join("; "))
}

/// A lock is what somebody asked the store for, and no failure.
fn locks(mut until: Vec<String>) -> String {
    until.sort_unstable();
    match until.as_slice() {
        [] => String::new(),
        [until] => format!("1 copy that no rule keeps stays: it is locked until {until}"),
        [first, .., last] => format!(
            "{} backups that no rule keeps stay: they are locked, the first until {first}, the last until {last}",
            until.len()
        ),
    }
}

fn dry_run(plan: &PrunePlan) -> PruneOutcome {
    let ids: Vec<&str> = plan.delete.iter().map(|backup| backup.id.as_str()).collect();
    let message = match ids.len() {
        0 => "dry run: the rules would remove nothing".to_owned(),
        1 => format!("dry run: the rules would remove 1 copy: {}", ids[0]),
        n => format!("dry run: the rules would remove {n} backups: {}", ids.join(", ")),
    };
    outcome(Reason::DryRun, message)
}

fn failure(why: &str) -> PruneOutcome {
    outcome(Reason::PruneFailed, format!("old backups stay: {why}"))
}

/// What to do comes early: a status has room for some 200 characters.
fn not_ours(repository: &Repository, owner: &Owner) -> PruneOutcome {
    let message = match owner {
        Owner::Other(uid) => format!(
            "nothing is removed: the folder belongs to another policy; if that one is gone, take it over with storage.adoptFrom: {uid}"
        ),
        Owner::Unknown(why) => format!(
            "nothing is removed: {} does not tell whose folder it is; if no other policy uses it, delete that file ({why})",
            repository.location("repository.json"),
        ),
        Owner::Us => String::new(),
    };
    outcome(Reason::RepositoryOwnedByOther, message)
}

fn outcome(reason: Reason, mut message: String) -> PruneOutcome {
    report::cut(&mut message, report::TEXT_LIMIT);
    PruneOutcome { reason, message, kept: BTreeMap::new(), removed: 0, leftovers: 0 }
}
