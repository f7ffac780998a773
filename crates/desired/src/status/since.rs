//! Since when a schedule is as it is: nothing is overdue for a slot before that. A policy that was suspended for a month,
//! or that ran monthly until now, is not overdue at once.

use domain::schedule::Schedule;
use jiff::{SignedDuration, tz::TimeZone};
use k8s_openapi::apimachinery::pkg::apis::meta::v1::Time;

/// What was known, if the schedule is still the same. That it was otherwise shows in the slot that the previous status
/// announced: there was none and no since either (suspended), or it is not one of this schedule. A policy that was invalid
/// announced none, and its since goes on: a bad edit must not hide what is overdue.
pub fn kept(
    (schedule, zone): (&Schedule, &TimeZone),
    effective: &str,
    announced: Option<&Time>,
    since: Option<&Time>,
) -> Option<Time> {
    let is_slot = |at: &Time| {
        let before = at.0.checked_sub(SignedDuration::from_secs(1));
        before.is_ok_and(|before| schedule.after(zone, before) == Some(at.0))
    };
    let unchanged = effective == schedule.effective() && announced.is_none_or(is_slot);
    since.filter(|_| unchanged).cloned()
}
