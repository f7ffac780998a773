//! Records which suspicious backups are accepted: those that a person acknowledged, and those with several
//! consecutive backups that differ alike.

use domain::{
    catalog::{BackupState, Catalog},
    reason::Reason,
};

use crate::{
    args::Config,
    catalog,
    clock::now,
    run::Run,
    store::{Listing, Owner, Repository, StoreError},
};

/// Records which suspicious backups are accepted: those that the policy's annotation acknowledges, and those
/// that an earlier run accepted but could not record. Returns the listing as it is afterwards.
pub async fn acknowledge(
    run: &mut Run,
    repository: &Repository,
    config: &Config,
    listing: Listing,
) -> Result<Listing, StoreError> {
    let is_suspicious = |id: &&String| {
        listing
            .backups
            .iter()
            .any(|backup| backup.entry.id == **id && backup.entry.state == BackupState::Suspicious)
    };
    let by_person: Vec<&String> = config.options.acknowledged.iter().filter(is_suspicious).collect();
    let catalog = catalog::catalog(repository, config, &listing);
    if (by_person.is_empty() && catalog.accepted().is_empty()) || repository.owner != Owner::ThisPolicy {
        return Ok(listing);
    }
    let recorded = async {
        for id in by_person {
            repository.acknowledge(id, "the annotation pgbackup.dev/acknowledged", now()).await?;
            run.log(format_args!(
                "suspicious backup {id} is acknowledged: the annotation pgbackup.dev/acknowledged lists it"
            ));
        }
        accept_alike(run, repository, &catalog).await
    };
    match recorded.await {
        // A full store is not an error here: this run may free space. It already treats these backups as
        // accepted.
        Err(error) if error.reason() == Reason::NoSpace => {
            run.log(format_args!("cannot record that suspicious backups are acknowledged: {error}"));
            Ok(listing)
        }
        Err(error) => Err(error),
        Ok(()) => repository.list().await,
    }
}

/// Records the suspicious backups that are accepted because several consecutive ones have the same
/// suspicions. Must run before the next backup is stored and before one of them is removed: after that, they
/// are no longer consecutive.
pub async fn accept_alike(
    run: &mut Run,
    repository: &Repository,
    catalog: &Catalog,
) -> Result<(), StoreError> {
    for id in catalog.accepted() {
        repository.acknowledge(id, "later backups with the same differences", now()).await?;
        run.log(format_args!(
            "suspicious backup {id} now counts as verified: several backups in a row have the same differences from earlier backups"
        ));
    }
    Ok(())
}
