//! Removes what the rules no longer keep, and what runs that died left behind. A failing prune never fails the
//! backup: it is reported beside it.

use domain::{
    catalog::{Catalog, CatalogSet},
    reason::Reason,
    report::PruneOutcome,
    retention::{self, PrunePlan},
};

use crate::{
    args::Config,
    run::Run,
    store::{Repository, StoreError},
};

/// Plans, removes, and puts the outcome and what is left into the run's report.
pub fn prune(run: &mut Run, config: &Config) {
    let Some(repository) = run.repository.take() else {
        return;
    };
    let mut lines = Vec::new();
    let outcome = match remove(&repository, config, &mut lines) {
        Ok(outcome) => outcome,
        Err(error) => outcome(Reason::PruneFailed, format!("old copies could not be removed: {error}")),
    };
    match catalog(&repository, config) {
        Ok(catalog) => run.report.retained = Some(catalog.retained()),
        Err(error) => lines.push(format!("what the store holds cannot be listed: {error}")),
    }
    run.repository = Some(repository);
    for line in lines {
        run.log(line);
    }
    run.report.prune = Some(outcome);
}

fn catalog(repository: &Repository, config: &Config) -> Result<Catalog, StoreError> {
    let (sets, _) = repository.list()?;
    Ok(Catalog::new(
        &config.policy.uid,
        sets.iter().map(crate::store::StoredSet::entry).collect::<Vec<CatalogSet>>(),
    ))
}

fn remove(
    repository: &Repository,
    config: &Config,
    lines: &mut Vec<String>,
) -> Result<PruneOutcome, StoreError> {
    if repository.owner != config.policy.uid {
        return Ok(outcome(
            Reason::RepositoryOwnedByOther,
            format!(
                "{} belongs to the policy with UID {:?}, this one has {}; backups are taken, nothing is removed. If that policy is gone, delete {}/repository.json to take the folder over",
                repository.folder().display(),
                repository.owner,
                config.policy.uid,
                repository.folder().display()
            ),
        ));
    }
    let leftovers = remove_leftovers(repository, lines)?;
    let plan = retention::plan(&catalog(repository, config)?, &config.rules, &config.zone);
    for set in &plan.delete {
        repository.remove_set(&set.id)?;
        lines.push(format!("{} removed: {}", set.id, set.reason));
    }
    Ok(PruneOutcome { leftovers, ..pruned(&plan, config) })
}

fn remove_leftovers(repository: &Repository, lines: &mut Vec<String>) -> Result<u32, StoreError> {
    let (_, leftovers) = repository.list()?;
    let mut removed = 0;
    for id in leftovers {
        if repository.remove_leftover(&id)? {
            removed += 1;
            lines.push(format!("{id} removed: a run left it unfinished"));
        }
    }
    Ok(removed)
}

fn pruned(plan: &PrunePlan, config: &Config) -> PruneOutcome {
    let removed = u32::try_from(plan.delete.len()).unwrap_or(u32::MAX);
    let reason = if config.rules.is_empty() { Reason::NoRules } else { Reason::Pruned };
    PruneOutcome { kept: plan.counts(), removed, ..outcome(reason, String::new()) }
}

fn outcome(reason: Reason, message: String) -> PruneOutcome {
    PruneOutcome { reason, message, kept: std::collections::BTreeMap::new(), removed: 0, leftovers: 0 }
}
