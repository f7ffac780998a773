//! The policy's backups as retention and suspicion see them.

use domain::{
    catalog::{BackupState, Catalog, CatalogBackup},
    pattern::matches,
};

use crate::{
    args::Config,
    run,
    store::{Listing, Owner, Repository},
};

/// What the store holds for the policy, as retention sees it.
pub fn catalog(repository: &Repository, config: &Config, listing: &Listing) -> Catalog {
    with(repository, config, listing, None)
}

/// The same, with one backup more.
pub fn with(
    repository: &Repository,
    config: &Config,
    listing: &Listing,
    new: Option<CatalogBackup>,
) -> Catalog {
    let mut backups: Vec<CatalogBackup> =
        listing.backups.iter().map(|backup| backup.entry.clone()).chain(new).collect();
    // What a person has settled counts, also where there was no room to write it down.
    if repository.owner == Owner::Us {
        for backup in &mut backups {
            backup.miss_only(|database| is_wanted(config, database));
            if backup.state == BackupState::Suspicious && config.acknowledged.contains(&backup.id) {
                backup.state = BackupState::Verified;
            }
        }
    }
    let unreadable = listing.unreadable.iter().map(|(id, _)| id.clone()).collect();
    Catalog::with_unreadable(&config.policy.uid, backups, unreadable)
        .adopting(repository.adopted.clone())
        .seen_at(run::now())
}

/// Whether the policy wants a database: one that it leaves out by now, or calls retired, is not missed.
pub fn is_wanted(config: &Config, database: &str) -> bool {
    let any = |patterns: &[String]| patterns.iter().any(|pattern| matches(pattern, database));
    any(&config.include) && !any(&config.exclude) && !config.rules.retired.contains(database)
}
