//! Compares a new backup with earlier ones.

use domain::{
    catalog::{BackupState, CatalogBackup},
    manifest::{Level, Manifest},
    report::Verification,
    suspicion::Suspicion,
    suspicion_rules::{self, Emptied},
};

use crate::{
    args::Config,
    catalog,
    store::{Listing, Repository, StoreError, Unreadable},
};

/// Returns the differences between a new backup and the newest verified backups.
pub async fn find(
    repository: &Repository,
    config: &Config,
    before: &Listing,
    new: &Manifest,
    emptied: &[Emptied],
) -> Result<Vec<Suspicion>, StoreError> {
    let catalog = catalog::catalog(repository, config, before);
    let mut verified = Vec::new();
    for backup in catalog.verified().take(suspicion_rules::COMPARED) {
        verified.extend(earlier(repository, &backup.id).await?);
    }
    let is_wanted = |database: &str| catalog::is_wanted(config, database);
    Ok(suspicion_rules::suspicions(new, &verified, emptied, is_wanted, config.options.max_shrink))
}

/// Returns the manifest of an earlier backup; `None` if it is corrupted or has a later format. An error of
/// the store is returned as an error: otherwise the new backup would count as verified without any
/// comparison.
async fn earlier(repository: &Repository, id: &str) -> Result<Option<Manifest>, StoreError> {
    match repository.find_manifest(id).await {
        Ok(found) => Ok(found.map(|(manifest, _)| manifest)),
        Err(Unreadable::Store(error)) if !error.is_corruption() => Err(error),
        Err(_) => Ok(None),
    }
}

/// Returns the result of a new backup's verification: suspicious, stored or verified. `before` describes the
/// repository without the new backup.
pub fn verification(
    repository: &Repository,
    config: &Config,
    before: &Listing,
    new: &Manifest,
) -> Verification {
    let catalog = catalog::with(repository, config, before, Some(CatalogBackup::new(new, &[], false)));
    let state = catalog.own().find(|backup| backup.id == new.id).map(|backup| backup.state);
    match (state, new.check.level) {
        (Some(BackupState::Suspicious), _) => Verification::Suspicious,
        (_, Level::Checksum) => Verification::Stored,
        _ => Verification::Verified,
    }
}

#[cfg(test)]
mod tests {
    use std::fs;

    use domain::{
        manifest::{self, PolicyIdentity},
        reason::Reason,
    };

    use super::*;
    use crate::{clock::now, store::Target};

    #[tokio::test]
    async fn store_error_at_an_earlier_backup_fails_the_comparison() {
        let id = "20260501T020003Z-1a2b3c";
        let root = tempfile::tempdir().unwrap();
        let target = Target::folder(root.path());
        let policy = PolicyIdentity { namespace: "shop".into(), name: "nightly".into(), uid: "uid-1".into() };
        let repository = Repository::open(&target, &policy, None, now()).await.unwrap();
        assert!(earlier(&repository, id).await.unwrap().is_none(), "it was removed");
        let path = root.path().join("shop/nightly").join(id).join(manifest::FILE);
        fs::create_dir_all(path.parent().unwrap()).unwrap();
        fs::write(&path, "{").unwrap();
        assert!(earlier(&repository, id).await.unwrap().is_none(), "it is corrupted");
        // Reading a folder fails even for root. It stands for a store that cannot be reached.
        fs::remove_file(&path).unwrap();
        fs::create_dir(&path).unwrap();
        assert_eq!(earlier(&repository, id).await.unwrap_err().reason(), Reason::StoreFailed);
    }
}
