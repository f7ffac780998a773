//! The newest backup that is known to be good, which need not be the newest that counts: that one may be only stored.

use api::{
    BackupPolicyStatus,
    status::{BackupStatus, Verification, time},
};
use domain::{name, report};
use k8s_openapi::apimachinery::pkg::apis::meta::v1::Time;

use super::{run::AssessedRun, scrub};

/// Its recovery point, from what was known, what the runs stored, and what scrubs found corrupted since then. `status` has
/// the new facts.
pub fn last_verified(
    previous: &BackupPolicyStatus,
    status: &BackupPolicyStatus,
    runs: &[AssessedRun<'_>],
    scrubs: &[AssessedRun<'_>],
) -> Option<Time> {
    let known = [previous.last_success.as_ref(), status.last_success.as_ref()].into_iter().flatten();
    let known = known.filter(|copy| is_good(copy)).filter_map(snapshot);
    let stored = runs.iter().filter_map(|run| run.report?.backup());
    let stored = stored
        .filter(|backup| backup.verification == report::Verification::Verified)
        .map(|backup| time(backup.snapshot_time));
    let corrupted = corrupted(status, scrubs);
    // A backup whose server's clock was ahead is named by that, and has another time here.
    let newest = status.last_success.as_ref().filter(|copy| is_corrupted(copy)).and_then(snapshot);
    let good = |time: &Time| {
        newest.as_ref() != Some(time) && !corrupted.iter().any(|backup| name::is_of_snapshot(backup, time.0))
    };
    previous.last_verified_time.clone().into_iter().chain(known).chain(stored).filter(good).max()
}

fn is_good(copy: &BackupStatus) -> bool {
    copy.verification.is_some_and(Verification::is_verified)
}

fn is_corrupted(copy: &BackupStatus) -> bool {
    copy.verification == Some(Verification::Corrupted)
}

fn snapshot(copy: &BackupStatus) -> Option<Time> {
    copy.snapshot_time.clone().or_else(|| copy.start_time.clone())
}

/// The backups that are known not to be what was written any more.
fn corrupted<'a>(status: &'a BackupPolicyStatus, scrubs: &'a [AssessedRun<'_>]) -> Vec<&'a String> {
    let newest = status.last_success.as_ref().filter(|copy| is_corrupted(copy));
    let newest = newest.and_then(|copy| copy.backup.as_ref());
    let remembered = status.last_scrub.iter().flat_map(|scrub| &scrub.corrupted);
    newest.into_iter().chain(remembered).chain(scrub::found_corrupted(scrubs)).collect()
}
