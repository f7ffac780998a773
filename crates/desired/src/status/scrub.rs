//! The results of scrubs in the status: the newest scrub, and the mark of a corrupted newest backup.

use api::{
    BackupPolicyStatus,
    status::{ScrubStatus, Verification},
};
use domain::name;

use super::{ended, run_result::AssessedRun};

/// Returns the newest scrub that ended. `runs` are sorted, oldest first.
pub fn last(previous: &BackupPolicyStatus, runs: &[AssessedRun<'_>]) -> Option<ScrubStatus> {
    ended::last(
        previous.last_scrub.as_ref(),
        |scrub| &scrub.run,
        runs,
        |ended, run| {
            let found = run.report.and_then(|report| report.details.as_scrub()).cloned().unwrap_or_default();
            ScrubStatus {
                run: ended,
                passed: found.passed,
                corrupted: found.corrupted,
                unchecked: found.unchecked,
                bytes_read: found.bytes_read,
            }
        },
    )
}

/// Marks the newest backup as corrupted if a scrub found it corrupted.
pub fn mark_corrupted(
    status: &mut BackupPolicyStatus,
    previous: &BackupPolicyStatus,
    runs: &[AssessedRun<'_>],
) {
    let Some(newest) = &mut status.last_success else { return };
    let is_newest = |backup: &String| match (&newest.backup, &newest.snapshot_time) {
        (Some(own), _) => own == backup,
        // The record of an earlier run has no backup's name.
        (None, Some(snapshot)) => backup.starts_with(&name::backup_time(snapshot.0)),
        (None, None) => false,
    };
    let was_corrupted = previous.last_success.as_ref().is_some_and(|known| {
        (&known.job, &known.backup) == (&newest.job, &newest.backup)
            && known.verification == Some(Verification::Corrupted)
    });
    if was_corrupted || found_corrupted(runs).any(is_newest) {
        newest.verification = Some(Verification::Corrupted);
    }
}

/// Returns the names of the backups that these scrubs found corrupted. For a killed scrub, the last
/// provisional report contains those found until then.
pub fn found_corrupted<'a>(runs: &'a [AssessedRun<'_>]) -> impl Iterator<Item = &'a String> {
    let found = runs.iter().filter_map(|run| run.report?.details.as_scrub());
    found.flat_map(|scrub| &scrub.corrupted)
}
