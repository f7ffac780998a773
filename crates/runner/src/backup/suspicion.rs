//! Compares a new backup with those before it.

use domain::{
    catalog::{BackupState, CatalogBackup},
    manifest::{Level, Manifest},
    report::Verification,
    suspicion::{self, Emptied, Suspicion},
};

use crate::{
    args::Config,
    catalog,
    store::{Listing, Repository, StoreError, Unreadable},
};

/// What of a new backup is not as it was in those before it.
pub async fn suspicions(
    repository: &Repository,
    config: &Config,
    before: &Listing,
    new: &Manifest,
    emptied: &[Emptied],
) -> Result<Vec<Suspicion>, StoreError> {
    let catalog = catalog::catalog(repository, config, before);
    let mut verified = Vec::new();
    for backup in catalog.verified().take(suspicion::COMPARED) {
        verified.extend(earlier(repository, &backup.id).await?);
    }
    let is_wanted = |database: &str| catalog::is_wanted(config, database);
    Ok(suspicion::suspicions(new, &verified, emptied, is_wanted, config.max_shrink))
}

/// The manifest of an earlier set. One that is corrupted by now, or of a later version, says nothing; a store that does not
/// answer must not make a backup pass that was compared with nothing.
async fn earlier(repository: &Repository, id: &str) -> Result<Option<Manifest>, StoreError> {
    match repository.find_manifest(id).await {
        Ok(found) => Ok(found.map(|(manifest, _)| manifest)),
        Err(Unreadable::Store(error)) if !error.is_corruption() => Err(error),
        Err(_) => Ok(None),
    }
}

/// What a new backup is worth, with those before it.
pub fn verdict(repository: &Repository, config: &Config, before: &Listing, new: &Manifest) -> Verification {
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
    use crate::{run, store::Target};

    #[tokio::test]
    async fn an_earlier_backup_that_the_store_does_not_give_makes_the_run_fail() {
        let id = "20260501T020003Z-1a2b3c";
        let root = tempfile::tempdir().unwrap();
        let target = Target::folder(root.path());
        let policy = PolicyIdentity { namespace: "shop".into(), name: "nightly".into(), uid: "uid-1".into() };
        let repository = Repository::open(&target, &policy, None, run::now()).await.unwrap();
        assert!(earlier(&repository, id).await.unwrap().is_none(), "one that was removed says nothing");
        let path = root.path().join("shop/nightly").join(id).join(manifest::FILE);
        fs::create_dir_all(path.parent().unwrap()).unwrap();
        fs::write(&path, "{").unwrap();
        assert!(earlier(&repository, id).await.unwrap().is_none(), "nor does one that is corrupted");
        // Reading a folder fails even for root, as a store does that is away.
        fs::remove_file(&path).unwrap();
        fs::create_dir(&path).unwrap();
        assert_eq!(earlier(&repository, id).await.unwrap_err().reason(), Reason::StoreFailed);
    }
}
