//! Writes down which suspicious backups are accepted: by a person, or because several in a row are alike.

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

/// Records which suspicious backups are accepted: those that the policy acknowledges, and those that an earlier run found in
/// a row but could not record. Returns the listing after it.
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
    let by_person: Vec<&String> = config.acknowledged.iter().filter(is_suspicious).collect();
    let catalog = catalog::catalog(repository, config, &listing);
    if (by_person.is_empty() && catalog.accepted().is_empty()) || repository.owner != Owner::ThisPolicy {
        return Ok(listing);
    }
    let recorded = async {
        for id in by_person {
            repository.acknowledge(id, "the policy's annotation", now()).await?;
            run.log(format_args!(
                "suspicious backup {id} is accepted: the policy's annotation acknowledges it"
            ));
        }
        accept_alike(run, repository, &catalog).await
    };
    match recorded.await {
        // This run may make room. It already treats these backups as accepted.
        Err(error) if error.reason() == Reason::NoSpace => {
            run.log(format_args!("cannot record which suspicious backups are accepted: {error}"));
            Ok(listing)
        }
        Err(error) => Err(error),
        Ok(()) => repository.list().await,
    }
}

/// Records the suspicious backups that are accepted because several in a row are alike. This comes before the next backup and
/// before one of the row is removed: afterwards the row could not be recognised.
pub async fn accept_alike(
    run: &mut Run,
    repository: &Repository,
    catalog: &Catalog,
) -> Result<(), StoreError> {
    for id in catalog.accepted() {
        repository.acknowledge(id, "later backups that are alike", now()).await?;
        run.log(format_args!("suspicious backup {id} is accepted: several backups in a row are alike"));
    }
    Ok(())
}
