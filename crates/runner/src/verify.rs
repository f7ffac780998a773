//! The subcommand `verify`: checks the given backups, or the newest one.

use domain::catalog::BackupState;

use crate::{
    args::StoredArgs,
    scrub::{
        check::{check_backup, check_unreadable},
        error::ScrubError,
        tally::Tally,
    },
    store::{Listing, Repository},
};

/// Checks the backups `ids`. Without ids, checks the newest backup, except those that failed their last
/// check.
pub async fn verify(args: &StoredArgs, ids: &[String]) -> Result<(), ScrubError> {
    let repository = Repository::open_read_only(&args.target(), &args.namespace, &args.policy)?;
    let listing = repository.list().await?;
    let counting = listing.backups.iter().filter(|backup| backup.entry.state != BackupState::Failed);
    let unreadable = listing.unreadable.iter().map(|(id, _)| id);
    let newest = || counting.map(|backup| &backup.entry.id).chain(unreadable).max();
    let chosen = match ids {
        [] => newest().cloned().into_iter().collect(),
        ids => ids.to_vec(),
    };
    if chosen.is_empty() {
        return Err(ScrubError::NoBackup { folder: repository.location("") });
    }
    let Listing { backups, mut unreadable, .. } = listing;
    let mut tally = Tally::default();
    for id in chosen {
        let checked = if let Some(at) = unreadable.iter().position(|(other, _)| *other == id) {
            (check_unreadable(&repository, &id, unreadable.swap_remove(at).1).await, Ok(()))
        } else if let Some(backup) = backups.iter().find(|backup| backup.entry.id == id) {
            check_backup(&repository, backup).await
        } else {
            return Err(ScrubError::NoBackup { folder: repository.location(&id) });
        };
        tally.add(&id, checked.0);
        tally.note_recorded(checked.1);
    }
    tally.require_intact()
}
