//! Since when a schedule is as it is: nothing is overdue for a slot before that. A policy that was suspended for a month,
//! or that ran monthly until now, is not overdue at once.

use domain::schedule::Schedule;
use jiff::{SignedDuration, Timestamp, tz::TimeZone};
use k8s_openapi::apimachinery::pkg::apis::meta::v1::Time;

use super::clocks;

/// A schedule as the previous status knew it.
#[derive(Clone, Copy, Debug)]
pub struct Known<'a> {
    /// The status speaks of the spec as it is.
    pub same_spec: bool,
    pub effective: Option<&'a str>,
    pub announced: Option<&'a Time>,
    pub since: Option<&'a Time>,
}

impl Known<'_> {
    /// Whether the schedule is still the same. That an edit of the spec has changed it shows in the slot that was
    /// announced: there was none and no since either (suspended), or it is not one of this schedule. A policy that was
    /// invalid announced none, and its since goes on: a bad edit must not hide what is overdue.
    fn is_of(&self, schedule: &Schedule, zone: &TimeZone) -> bool {
        // Around a change of the clocks some slots are slots only if looked for from a day before: no edit, no doubt.
        let is_slot = |at: &Time| {
            let before = at.0.checked_sub(SignedDuration::from_secs(1));
            self.same_spec || before.is_ok_and(|before| schedule.after(zone, before) == Some(at.0))
        };
        self.effective == Some(schedule.effective()) && self.announced.is_none_or(is_slot)
    }
}

/// Since when it is so, if that was known and goes on. What a wrong clock wrote is not: nothing would be overdue until then.
pub fn kept((schedule, zone): (&Schedule, &TimeZone), known: Known<'_>, now: Timestamp) -> Option<Time> {
    known.since.filter(|since| clocks::can_be(since.0, now) && known.is_of(schedule, zone)).cloned()
}

/// The next slot: the one that was announced, for as long as it is ahead. The CronJob controller looks from its last slot
/// on, and where half an hour is lost or comes twice (Lord Howe) another one is found from a later moment. One that a
/// wrong clock announced, far ahead, is none.
pub fn next((schedule, zone): (&Schedule, &TimeZone), known: Known<'_>, now: Timestamp) -> Option<Timestamp> {
    let next = schedule.after(zone, now)?;
    let announced = known.announced.map(|at| at.0).filter(|at| *at > now && *at != next);
    let is_near = |at: &Timestamp| schedule.after(zone, next).is_some_and(|second| *at <= second);
    let announced = announced.filter(|at| known.same_spec && known.is_of(schedule, zone) && is_near(at));
    Some(announced.unwrap_or(next))
}
