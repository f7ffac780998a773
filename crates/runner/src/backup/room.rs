//! Checks that the store has enough free space before anything is dumped.

use super::error::BackupError;
use crate::{
    args::Config,
    pg::databases::Database,
    prune::{self, Removals},
    run::Run,
    store::{Repository, StoreError, StoredBackup},
};

/// Requires at least as much free space as the newest backups of the same databases take. If there is less,
/// the backups that retention does not keep are removed first. Pruning otherwise follows the
/// backup, so without this a full store would stay full.
pub async fn require(
    run: &mut Run,
    config: &Config,
    repository: &Repository,
    backups: &[StoredBackup],
    chosen: &[Database],
    removals: &mut Removals,
) -> Result<(), BackupError> {
    let last_size =
        |database: &Database| backups.iter().rev().find_map(|backup| backup.sizes.get(&database.name));
    let needed = chosen.iter().filter_map(last_size).copied().fold(0, u64::saturating_add);
    if shortage(repository, needed).await?.is_some() {
        run.log("the store has too little free space for a new backup, removing expired backups first");
        prune::make_room(run, config, repository, removals).await;
    }
    match shortage(repository, needed).await? {
        Some(free) => Err(BackupError::NoSpace { free, needed }),
        None => Ok(()),
    }
}

/// Returns the free space in bytes if it is less than `needed`.
async fn shortage(repository: &Repository, needed: u64) -> Result<Option<u64>, StoreError> {
    Ok(repository.free_bytes().await?.filter(|free| *free < needed))
}
