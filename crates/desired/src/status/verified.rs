//! The newest copy that is known to be good, which need not be the newest that counts: that one may be only stored.

use api::{
    BackupPolicyStatus,
    status::{BackupStatus, time},
};
use domain::{name, report::Verdict};
use k8s_openapi::apimachinery::pkg::apis::meta::v1::Time;

use super::{
    record::ACKNOWLEDGED,
    run::Judged,
    scrub::{self, DAMAGED},
};

/// Its recovery point, from what was known, what the runs stored, and what scrubs found damaged since then. `status` has
/// the new facts.
pub fn last_verified(
    previous: &BackupPolicyStatus,
    status: &BackupPolicyStatus,
    runs: &[Judged<'_>],
    scrubs: &[Judged<'_>],
) -> Option<Time> {
    let known = [previous.last_success.as_ref(), status.last_success.as_ref()].into_iter().flatten();
    let known = known.filter(|copy| is_good(copy)).filter_map(snapshot);
    let stored = runs.iter().filter_map(|run| run.report?.set.as_ref());
    let stored =
        stored.filter(|set| set.verification == Verdict::Verified).map(|set| time(set.snapshot_time));
    let damaged = damaged(status, scrubs);
    // A copy whose server's clock was ahead is named by that, and has another time here.
    let newest = status.last_success.as_ref().filter(|copy| is_damaged(copy)).and_then(snapshot);
    let good = |time: &Time| {
        newest.as_ref() != Some(time) && !damaged.iter().any(|set| name::is_of_snapshot(set, time.0))
    };
    previous.last_verified_time.clone().into_iter().chain(known).chain(stored).filter(good).max()
}

fn is_good(copy: &BackupStatus) -> bool {
    let word = copy.verification.as_deref();
    word == Some(Verdict::Verified.word()) || word == Some(ACKNOWLEDGED)
}

fn is_damaged(copy: &BackupStatus) -> bool {
    copy.verification.as_deref() == Some(DAMAGED)
}

fn snapshot(copy: &BackupStatus) -> Option<Time> {
    copy.snapshot_time.clone().or_else(|| copy.start_time.clone())
}

/// The sets that are known not to be what was written any more.
fn damaged<'a>(status: &'a BackupPolicyStatus, scrubs: &'a [Judged<'_>]) -> Vec<&'a String> {
    let newest = status.last_success.as_ref().filter(|copy| is_damaged(copy));
    let newest = newest.and_then(|copy| copy.set.as_ref());
    let remembered = status.last_scrub.iter().flat_map(|scrub| &scrub.damaged);
    newest.into_iter().chain(remembered).chain(scrub::found_damaged(scrubs)).collect()
}
