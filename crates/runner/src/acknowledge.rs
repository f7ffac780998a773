//! Writes down which suspicious backups are accepted: by a person, or because several in a row are alike.

use domain::{
    catalog::{BackupState, Catalog},
    reason::Reason,
};

use crate::{
    args::Config,
    catalog,
    run::{self, Run},
    store::{Listing, Owner, Repository, StoreError},
};

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
    let catalog = catalog::catalog(repository, config, &listing);
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
