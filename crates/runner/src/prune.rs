//! Removes what the rules no longer keep, and what runs that died left behind. A failing prune never fails the
//! backup: it is reported beside it.

use std::collections::BTreeMap;

use domain::{
    catalog::Catalog,
    reason::Reason,
    report::{self, PruneOutcome},
    retention,
};

use crate::{
    args::Config,
    run::Run,
    store::{Listing, Owner, Repository, StoreError, StoredSet},
};

/// How many records of runs are kept: a run every hour for more than a month.
const RECORDS: usize = 1000;

/// How many failures a message names.
const NAMED: usize = 2;

/// What was tried to be removed.
#[derive(Debug, Default)]
pub struct Removals {
    removed: u32,
    failed: Vec<StoreError>,
}

impl Removals {
    /// One that cannot be removed is no reason to leave the others.
    fn count(&mut self, removed: Result<bool, StoreError>) -> bool {
        match removed {
            Ok(removed) => {
                self.removed += u32::from(removed);
                removed
            }
            Err(error) => {
                self.failed.push(error);
                false
            }
        }
    }
}

/// Removes what runs left that died. It goes before the backup: it may fill the room that the backup needs.
pub fn leftovers(run: &mut Run, repository: &Repository, listing: &Listing) -> Removals {
    let mut removals = Removals::default();
    if repository.owner != Owner::Us {
        return removals;
    }
    for id in &listing.leftovers {
        if removals.count(repository.remove_leftover(id)) {
            run.log(format_args!("{id} removed: a run left it unfinished"));
        }
    }
    removals
}

/// Plans, removes, and puts the outcome and what is left into the run's report.
pub fn prune(run: &mut Run, config: &Config, leftovers: &Removals) {
    let Some(repository) = run.repository.take() else {
        return;
    };
    let just_made = run.report.set.as_ref().map(|set| set.id.clone());
    let mut lines = Vec::new();
    let outcome = match &repository.owner {
        Owner::Us => remove(&repository, config, just_made.as_deref(), leftovers, &mut lines),
        other => Ok(not_ours(&repository, config, other)),
    };
    run.report.prune = Some(outcome.unwrap_or_else(|error| failure(&error.to_string())));
    match catalog(&repository, config) {
        Ok(catalog) => run.report.retained = Some(catalog.retained()),
        Err(error) => lines.push(format!("what the store holds cannot be listed: {error}")),
    }
    run.repository = Some(repository);
    for line in lines {
        run.log(line);
    }
}

fn catalog(repository: &Repository, config: &Config) -> Result<Catalog, StoreError> {
    let sets = repository.list()?.sets;
    Ok(Catalog::new(&config.policy.uid, sets.into_iter().map(|StoredSet { entry, .. }| entry).collect()))
}

fn remove(
    repository: &Repository,
    config: &Config,
    just_made: Option<&str>,
    leftovers: &Removals,
    lines: &mut Vec<String>,
) -> Result<PruneOutcome, StoreError> {
    let plan = retention::plan(&catalog(repository, config)?, &config.rules, &config.zone, just_made);
    let mut sets = Removals::default();
    for set in &plan.delete {
        if sets.count(repository.remove_set(&set.id).map(|()| true)) {
            lines.push(format!("{} removed: {}", set.id, set.reason));
        }
    }
    if let Err(error) = repository.remove_old_records(RECORDS) {
        lines.push(format!("old records stay: {error}"));
    }
    let failed: Vec<&StoreError> = leftovers.failed.iter().chain(&sets.failed).collect();
    lines.extend(failed.iter().map(|error| format!("not removed: {error}")));
    let verdict = if !failed.is_empty() {
        failure(&summary(&failed, plan.delete.len() + leftovers.failed.len()))
    } else if config.rules.is_empty() {
        outcome(Reason::NoRules, String::new())
    } else {
        outcome(Reason::Pruned, String::new())
    };
    Ok(PruneOutcome { kept: plan.counts(), removed: sets.removed, leftovers: leftovers.removed, ..verdict })
}

fn summary(failed: &[&StoreError], of: usize) -> String {
    let named: Vec<String> = failed.iter().take(NAMED).map(ToString::to_string).collect();
    let more = if failed.len() > NAMED { "; ..." } else { "" };
    format!("{} of {of} could not be removed: {}{more}", failed.len(), named.join("; "))
}

fn failure(why: &str) -> PruneOutcome {
    outcome(Reason::PruneFailed, format!("old copies stay: {why}"))
}

fn not_ours(repository: &Repository, config: &Config, owner: &Owner) -> PruneOutcome {
    let folder = repository.folder().display();
    let whose = match owner {
        Owner::Other(uid) => {
            format!("belongs to the policy with UID {uid:?}, and this one has {}", config.policy.uid)
        }
        Owner::Unknown(why) => format!("belongs to nobody knows whom: {why}"),
        Owner::Us => "is ours".to_owned(),
    };
    outcome(
        Reason::RepositoryOwnedByOther,
        format!(
            "{folder} {whose}; backups are taken, nothing is removed. If no other policy needs it, delete {folder}/repository.json: from then on this policy removes its own old copies; those of others stay"
        ),
    )
}

fn outcome(reason: Reason, mut message: String) -> PruneOutcome {
    report::cut(&mut message, report::TEXT_LIMIT);
    PruneOutcome { reason, message, kept: BTreeMap::new(), removed: 0, leftovers: 0 }
}
