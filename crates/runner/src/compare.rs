//! A new backup beside those before it: whether it is suspicious, and what settles one that is.

use domain::{
    catalog::{BackupState, Catalog, CatalogBackup},
    manifest::Manifest,
    pattern::matches,
    reason::Reason,
    report::Verification,
    suspicion::{self, Emptied, Suspicion},
};

use crate::{
    args::Config,
    run::{self, Run},
    store::{Listing, Owner, Repository, StoreError, Unreadable},
};

/// What the store holds for the policy, as retention sees it.
pub fn catalog(repository: &Repository, config: &Config, listing: &Listing) -> Catalog {
    with(repository, config, listing, None)
}

/// The same, with one backup more.
fn with(repository: &Repository, config: &Config, listing: &Listing, new: Option<CatalogBackup>) -> Catalog {
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

/// Writes down what a person has settled, and what a row of backups has that the run before could not write down. Gives the
/// listing as it is then.
pub async fn acknowledge(
    run: &mut Run,
    repository: &Repository,
    config: &Config,
    listing: Listing,
) -> Result<Listing, StoreError> {
    let waits = |id: &&String| {
        listing
            .backups
            .iter()
            .any(|backup| backup.entry.id == **id && backup.entry.state == BackupState::Suspicious)
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

/// What a row of suspicious backups has settled is written down before any other copy comes after it or any of the row goes:
/// then the row no longer tells.
pub async fn settle(run: &mut Run, repository: &Repository, catalog: &Catalog) -> Result<(), StoreError> {
    for id in catalog.settled() {
        repository.acknowledge(id, "backups after it that say the same", run::now()).await?;
        run.log(format_args!("{id} counts from now on: so many backups in a row say the same"));
    }
    Ok(())
}

/// What of a new backup is not as it was in those before it.
pub async fn suspicions(
    repository: &Repository,
    config: &Config,
    before: &Listing,
    new: &Manifest,
    emptied: &[Emptied],
) -> Result<Vec<Suspicion>, StoreError> {
    let catalog = catalog(repository, config, before);
    let mut verified = Vec::new();
    for backup in catalog.verified().take(suspicion::COMPARED) {
        verified.extend(earlier(repository, &backup.id).await?);
    }
    let is_wanted = |database: &str| is_wanted(config, database);
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

/// Whether the policy wants a database: one that it leaves out by now, or calls retired, is not missed.
fn is_wanted(config: &Config, database: &str) -> bool {
    let any = |patterns: &[String]| patterns.iter().any(|pattern| matches(pattern, database));
    any(&config.include) && !any(&config.exclude) && !config.rules.retired.contains(database)
}

/// What a new backup is worth, with those before it.
pub fn verdict(repository: &Repository, config: &Config, before: &Listing, new: &Manifest) -> Verification {
    let catalog = with(repository, config, before, Some(CatalogBackup::new(new, &[], false)));
    let state = catalog.own().find(|backup| backup.id == new.id).map(|backup| backup.state);
    match (state, new.check.level) {
        (Some(BackupState::Suspicious), _) => Verification::Suspicious,
        (_, domain::manifest::Level::Checksum) => Verification::Stored,
        _ => Verification::Verified,
    }
}

#[cfg(test)]
mod tests {
    use std::fs;

    use domain::manifest::{self, PolicyIdentity};

    use super::*;
    use crate::store::Target;

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
