//! `scrub`: reads stored backups back, long after they were made, and compares them with their manifests.
//!
//! How it went is written beside the backup: the newest check decides whether the backup counts.

pub mod check;
pub mod error;
pub mod finding;
pub mod tally;

use domain::{
    catalog::Catalog,
    manifest::PolicyIdentity,
    report::Stage,
    scrub::{Queue, Scrubbable},
};

use self::{
    check::check_backup,
    error::ScrubError,
    tally::{Checked, Tally},
};
use crate::{
    args::{ScrubArgs, StoredArgs},
    run::{self, Run},
    store::{Listing, Repository, StoredBackup},
};

/// Checks those that were not looked at for longest. What it found so far is in `run`'s report as it goes.
pub async fn scrub(run: &mut Run, args: &ScrubArgs) -> Result<(), ScrubError> {
    let StoredArgs { namespace, policy, .. } = &args.stored;
    let target = args.stored.target();
    let repository = match &args.policy_uid {
        Some(uid) => {
            let policy =
                PolicyIdentity { namespace: namespace.clone(), name: policy.clone(), uid: uid.clone() };
            Repository::open(&target, &policy, None, run::now()).await?
        }
        None => Repository::open_read_only(&target, namespace, policy)?,
    };
    let mut tally = Tally::default();
    let told = |tally: &Tally| {
        run.report.scrub = Some(tally.outcome());
        run.stage(Stage::Verify);
    };
    read_share(&repository, args.share, &mut tally, told).await?;
    if let Some(uid) = &args.policy_uid {
        let Listing { backups, unreadable, .. } = repository.list().await?;
        let backups = backups.into_iter().map(|StoredBackup { entry, .. }| entry).collect();
        let unreadable = unreadable.into_iter().map(|(id, _)| id).collect();
        let catalog = Catalog::with_unreadable(uid, backups, unreadable)
            .adopting(repository.adopted)
            .seen_at(run::now());
        run.report.retained = Some(catalog.retained());
    }
    tally.verdict()
}

/// Says which sets cannot be read at all, and reads the others, up to the share. Tells how it stands, as it goes.
pub async fn read_share(
    repository: &Repository,
    share: u8,
    tally: &mut Tally,
    mut tell: impl FnMut(&Tally),
) -> Result<(), ScrubError> {
    let Listing { backups, unreadable, .. } = repository.list().await?;
    for (id, why) in unreadable {
        tally.add(&id, Checked::of(why.into()));
    }
    tell(tally);
    let scrubbable = |backup: &StoredBackup| Scrubbable {
        id: backup.entry.id.clone(),
        size_bytes: backup.entry.size_bytes,
        checked: backup.checked,
    };
    let mut queue = Queue::new(backups.iter().map(scrubbable).collect(), share);
    while let Some(next) = queue.take() {
        let backup = backups
            .iter()
            .find(|backup| backup.entry.id == next.id)
            .expect("the queue should be of these backups");
        let (checked, written) = check_backup(repository, backup).await;
        let is_of_all = matches!(&checked, Checked::Unchecked(wrong) if wrong.is_of_all());
        if !matches!(checked, Checked::Unchecked(_)) {
            queue.count(&next);
        }
        tally.add(&next.id, checked);
        tally.note(written);
        tell(tally);
        if is_of_all {
            break;
        }
    }
    Ok(())
}

#[cfg(test)]
mod tests;
