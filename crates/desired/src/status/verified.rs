//! The newest verified backup. It is older than the newest successful backup if the latter is only stored or
//! is corrupted.

use api::{
    BackupPolicyStatus,
    status::{BackupStatus, Verification, time},
};
use domain::{name, report};
use k8s_openapi::apimachinery::pkg::apis::meta::v1::Time;

use super::{run_result::AssessedRun, scrub};

/// Returns the recovery point of the newest verified backup in the previous status, in `status` and in the
/// runs. Ignores backups that scrubs found corrupted.
pub fn last_verified(
    previous: &BackupPolicyStatus,
    status: &BackupPolicyStatus,
    runs: &[AssessedRun<'_>],
    scrubs: &[AssessedRun<'_>],
) -> Option<Time> {
    let known = [previous.last_success.as_ref(), status.last_success.as_ref()].into_iter().flatten();
    let known = known.filter(|backup| is_verified(backup)).filter_map(snapshot);
    let stored = runs.iter().filter_map(|run| run.report?.backup());
    let stored = stored
        .filter(|backup| backup.verification == report::Verification::Verified)
        .map(|backup| time(backup.snapshot_time));
    let corrupted = corrupted(status, scrubs);
    // If the server's clock was ahead, the backup's name has another time than the status.
    let newest = status.last_success.as_ref().filter(|backup| is_corrupted(backup)).and_then(snapshot);
    let is_intact = |time: &Time| {
        newest.as_ref() != Some(time) && !corrupted.iter().any(|backup| name::is_of_snapshot(backup, time.0))
    };
    previous.last_verified_time.clone().into_iter().chain(known).chain(stored).filter(is_intact).max()
}

fn is_verified(backup: &BackupStatus) -> bool {
    backup.verification.is_some_and(Verification::is_verified)
}

fn is_corrupted(backup: &BackupStatus) -> bool {
    backup.verification == Some(Verification::Corrupted)
}

fn snapshot(backup: &BackupStatus) -> Option<Time> {
    backup.snapshot_time.clone().or_else(|| backup.start_time.clone())
}

/// Returns the names of the corrupted backups.
fn corrupted<'a>(status: &'a BackupPolicyStatus, scrubs: &'a [AssessedRun<'_>]) -> Vec<&'a String> {
    let newest = status.last_success.as_ref().filter(|backup| is_corrupted(backup));
    let newest = newest.and_then(|backup| backup.backup.as_ref());
    let known = status.last_scrub.iter().flat_map(|scrub| &scrub.corrupted);
    newest.into_iter().chain(known).chain(scrub::found_corrupted(scrubs)).collect()
}
