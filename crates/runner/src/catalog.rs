//! The policy's backups as retention and suspicion see them.

use domain::{
    catalog::{BackupState, Catalog, CatalogBackup},
    pattern::matches,
};

use crate::{
    args::Config,
    clock::now,
    store::{Listing, Owner, Repository},
};

/// All backups of the policy.
pub fn catalog(repository: &Repository, config: &Config, listing: &Listing) -> Catalog {
    with(repository, config, listing, None)
}

/// All backups of the policy, and a new one.
pub fn with(
    repository: &Repository,
    config: &Config,
    listing: &Listing,
    new: Option<CatalogBackup>,
) -> Catalog {
    let mut backups: Vec<CatalogBackup> =
        listing.backups.iter().map(|backup| backup.entry.clone()).chain(new).collect();
    // An acknowledged backup is accepted even if there was no room to record that.
    if repository.owner == Owner::ThisPolicy {
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
        .seen_at(now())
}

/// Whether the policy includes a database now. One that it excludes or calls retired is not missing.
pub fn is_wanted(config: &Config, database: &str) -> bool {
    let any = |patterns: &[String]| patterns.iter().any(|pattern| matches(pattern, database));
    any(&config.include) && !any(&config.exclude) && !config.rules.retired.contains(database)
}
