//! Builds the catalog of a policy's backups for retention and comparison.

use domain::{
    catalog::{BackupState, Catalog, CatalogBackup},
    pattern::matches,
};

use crate::{
    args::Config,
    clock::now,
    store::{Listing, Owner, Repository},
};

/// Returns the catalog of all backups in the repository.
pub fn catalog(repository: &Repository, config: &Config, listing: &Listing) -> Catalog {
    with(repository, config, listing, None)
}

/// Returns the catalog of all backups in the repository and of `new`.
pub fn with(
    repository: &Repository,
    config: &Config,
    listing: &Listing,
    new: Option<CatalogBackup>,
) -> Catalog {
    let mut backups: Vec<CatalogBackup> =
        listing.backups.iter().map(|backup| backup.entry.clone()).chain(new).collect();
    // An acknowledged backup counts as accepted even if a full store prevented the record of that.
    if repository.owner == Owner::ThisPolicy {
        for backup in &mut backups {
            backup.miss_only(|database| is_wanted(config, database));
            if backup.state == BackupState::Suspicious && config.options.acknowledged.contains(&backup.id) {
                backup.state = BackupState::Verified;
            }
        }
    }
    let unreadable = listing.unreadable.iter().map(|(id, _)| id.clone()).collect();
    Catalog::with_unreadable(&config.policy.uid, backups, unreadable)
        .adopting(repository.adopted.clone())
        .seen_at(now())
}

/// Returns whether the policy selects a database: it is included, not excluded and not retired. Such a
/// database must not be missing from a backup.
pub fn is_wanted(config: &Config, database: &str) -> bool {
    let any = |patterns: &[String]| patterns.iter().any(|pattern| matches(pattern, database));
    any(&config.options.include)
        && !any(&config.options.exclude)
        && !config.options.rules.retired.contains(database)
}
