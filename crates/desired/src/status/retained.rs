//! The counts of the backups in the repository, from the newest run that listed it.

use api::{
    BackupPolicyStatus,
    status::{RetainedStatus, time},
};
use domain::{
    report::{Retained, RunReport},
    size,
};

use super::run_result::AssessedRun;

/// Returns the counts of backups from the reports of backup runs and from scrubs, both oldest first. Only
/// backup runs apply the retention rules, so only they report kept and removed backups.
pub fn retained(
    previous: &BackupPolicyStatus,
    backups: &[&RunReport],
    scrubs: &[AssessedRun<'_>],
) -> Option<RetainedStatus> {
    let known = previous.retained.as_ref();
    let scrubs = scrubs.iter().filter_map(AssessedRun::final_report);
    let listed = backups.iter().copied().chain(scrubs).filter(|report| report.retained.is_some());
    let newest = listed.max_by_key(|report| (time(report.start_time).0, &report.run.job));
    let is_news = |report: &&RunReport| {
        known.and_then(|known| known.as_of.as_ref()).is_none_or(|as_of| as_of.0 <= time(report.start_time).0)
    };
    let mut retained = match newest.filter(is_news) {
        Some(report) => counted(report, report.retained.as_ref()?),
        None => known?.clone(),
    };
    let pruned = backups.iter().rev().find_map(|report| report.prune());
    (retained.kept, retained.removed) = match (pruned, known) {
        (Some(prune), _) => (prune.kept.clone(), prune.removed),
        (None, Some(known)) => (known.kept.clone(), known.removed),
        (None, None) => Default::default(),
    };
    Some(retained)
}

fn counted(report: &RunReport, retained: &Retained) -> RetainedStatus {
    RetainedStatus {
        as_of: Some(time(report.start_time)),
        backups: retained.backups,
        verified: retained.verified,
        suspicious: retained.suspicious,
        size_bytes: retained.bytes,
        size: size::human(retained.bytes),
        oldest: retained.oldest.map(time),
        newest: retained.newest.map(time),
        ..RetainedStatus::default()
    }
}
