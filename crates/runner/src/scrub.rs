//! The subcommand `scrub`: reads stored backups back, long after they were written, and compares them with
//! their manifests.
//!
//! The result is stored beside each backup. Retention does not count a backup that failed its newest check.

pub mod check;
pub mod error;
pub mod finding;
pub mod tally;

use domain::{
    catalog::Catalog,
    manifest::PolicyIdentity,
    report::{Details, ScrubStage},
    scrub::{Queue, Scrubbable},
};

use self::{
    check::{check_backup, check_unreadable},
    error::ScrubError,
    tally::{Checked, Tally},
};
use crate::{
    args::{ScrubArgs, StoredArgs},
    clock::now,
    run::Run,
    store::{Listing, Repository, StoredBackup},
};

/// Checks the backups with the oldest checks, up to the share of `args`. Updates the report of `run` after
/// each backup.
pub async fn scrub(run: &mut Run, args: &ScrubArgs) -> Result<(), ScrubError> {
    let StoredArgs { namespace, policy, .. } = &args.common.stored;
    let target = args.common.stored.target();
    let repository = match &args.policy_uid {
        Some(uid) => {
            let policy =
                PolicyIdentity { namespace: namespace.clone(), name: policy.clone(), uid: uid.clone() };
            Repository::open(&target, &policy, None, now()).await?
        }
        None => Repository::open_read_only(&target, namespace, policy)?,
    };
    let mut tally = Tally::default();
    let report = |tally: &Tally| {
        if let Details::Scrub(details) = &mut run.report.details {
            tally.fill(details);
        }
        run.stage(ScrubStage::Verify);
    };
    read_share(&repository, args.options().share, &mut tally, report).await?;
    if let Some(uid) = &args.policy_uid {
        let Listing { backups, unreadable, .. } = repository.list().await?;
        let backups = backups.into_iter().map(|StoredBackup { entry, .. }| entry).collect();
        let unreadable = unreadable.into_iter().map(|(id, _)| id).collect();
        let catalog =
            Catalog::with_unreadable(uid, backups, unreadable).adopting(repository.adopted).seen_at(now());
        run.report.retained = Some(catalog.retained());
    }
    tally.require_intact()
}

/// Checks the backups whose manifests cannot be read, then the others up to `share` percent of the stored
/// bytes. Adds the results to `tally` and calls `report` after each backup.
pub async fn read_share(
    repository: &Repository,
    share: u8,
    tally: &mut Tally,
    mut report: impl FnMut(&Tally),
) -> Result<(), ScrubError> {
    let Listing { backups, unreadable, .. } = repository.list().await?;
    for (id, why) in unreadable {
        tally.add(&id, check_unreadable(repository, &id, why).await);
    }
    report(tally);
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
        let (checked, recorded) = check_backup(repository, backup).await;
        let concerns_all = matches!(&checked, Checked::Unchecked(wrong) if wrong.concerns_all());
        if !matches!(checked, Checked::Unchecked(_)) {
            queue.count(&next);
        }
        tally.add(&next.id, checked);
        tally.note_recorded(recorded);
        report(tally);
        if concerns_all {
            break;
        }
    }
    Ok(())
}

#[cfg(test)]
mod tests;
