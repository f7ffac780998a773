//! A new copy beside those before it: whether it is suspicious, and what settles one that is.

use domain::{
    catalog::{Catalog, CatalogSet, SetState},
    manifest::Manifest,
    pattern::matches,
    reason::Reason,
    report::Verdict,
    suspicion::{self, Emptied, Suspicion},
};

use crate::{
    args::Config,
    run::{self, Run},
    store::{Listing, Owner, Repository, StoreError},
};

/// What the store holds for the policy, as retention sees it.
pub fn catalog(repository: &Repository, config: &Config, listing: &Listing) -> Catalog {
    with(repository, config, listing, None)
}

/// The same, with one set more.
fn with(repository: &Repository, config: &Config, listing: &Listing, new: Option<CatalogSet>) -> Catalog {
    let mut sets: Vec<CatalogSet> = listing.sets.iter().map(|set| set.entry.clone()).chain(new).collect();
    // What a person has settled counts, also where there was no room to write it down.
    if repository.owner == Owner::Us {
        for set in &mut sets {
            set.miss_only(|database| is_wanted(config, database));
            if set.state == SetState::Suspicious && config.acknowledged.contains(&set.id) {
                set.state = SetState::Verified;
            }
        }
    }
    let unreadable = listing.unreadable.iter().map(|(id, _)| id.clone()).collect();
    Catalog::beside(&config.policy.uid, sets, unreadable)
        .adopting(repository.adopted.clone())
        .seen_at(run::now())
}

/// Writes down what a person has settled, and what a row of copies has that the run before could not write down. Gives the
/// listing as it is then.
pub async fn acknowledge(
    run: &mut Run,
    repository: &Repository,
    config: &Config,
    listing: Listing,
) -> Result<Listing, StoreError> {
    let waits = |id: &&String| {
        listing.sets.iter().any(|set| set.entry.id == **id && set.entry.state == SetState::Suspicious)
    };
    let settled: Vec<&String> = config.acknowledged.iter().filter(waits).collect();
    let catalog = catalog(repository, config, &listing);
    if (settled.is_empty() && catalog.settled().is_empty()) || repository.owner != Owner::Us {
        return Ok(listing);
    }
    let written = async {
        for id in settled {
            repository.acknowledge(id, "the policy's annotation", run::now()).await?;
            run.log(format_args!(
                "{id} counts from now on: the policy's annotation says that it is as it should be"
            ));
        }
        settle(run, repository, &catalog).await
    };
    match written.await {
        // Room may be made by this very run, which takes them for settled already.
        Err(error) if error.reason() == Reason::NoSpace => {
            run.log(format_args!("what is settled could not be written down: {error}"));
            Ok(listing)
        }
        Err(error) => Err(error),
        Ok(()) => repository.list().await,
    }
}

/// What a row of suspicious copies has settled is written down before any other copy comes after it or any of the row goes:
/// then the row no longer tells.
pub async fn settle(run: &mut Run, repository: &Repository, catalog: &Catalog) -> Result<(), StoreError> {
    for id in catalog.settled() {
        repository.acknowledge(id, "copies after it that say the same", run::now()).await?;
        run.log(format_args!("{id} counts from now on: so many copies in a row say the same"));
    }
    Ok(())
}

/// What of a new copy is not as it was in those before it.
pub async fn suspicions(
    repository: &Repository,
    config: &Config,
    before: &Listing,
    new: &Manifest,
    emptied: &[Emptied],
) -> Vec<Suspicion> {
    let catalog = catalog(repository, config, before);
    let mut verified = Vec::new();
    for set in catalog.verified().take(suspicion::COMPARED) {
        // One that cannot be read any more says nothing.
        verified.extend(repository.manifest(&set.id).await.map(|(manifest, _)| manifest));
    }
    suspicion::suspicions(new, &verified, emptied, |database| is_wanted(config, database), config.max_shrink)
}

/// Whether the policy wants a database: one that it leaves out by now, or calls retired, is not missed.
fn is_wanted(config: &Config, database: &str) -> bool {
    let any = |patterns: &[String]| patterns.iter().any(|pattern| matches(pattern, database));
    any(&config.include) && !any(&config.exclude) && !config.rules.retired.contains(database)
}

/// What a new copy is worth, with those before it.
pub fn verdict(repository: &Repository, config: &Config, before: &Listing, new: &Manifest) -> Verdict {
    let catalog = with(repository, config, before, Some(CatalogSet::new(new, &[], false)));
    let state = catalog.own().find(|set| set.id == new.id).map(|set| set.state);
    match (state, new.check.level) {
        (Some(SetState::Suspicious), _) => Verdict::Suspicious,
        (_, domain::manifest::Level::Checksum) => Verdict::Stored,
        _ => Verdict::Verified,
    }
}
