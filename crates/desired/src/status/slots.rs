//! Since when a schedule is as it is: nothing is overdue for a slot before that. A policy that was suspended for a month,
//! or that ran monthly until now, is not overdue at once.

use std::iter::successors;

use domain::schedule::Schedule;
use jiff::{SignedDuration, Timestamp, tz::TimeZone};
use k8s_openapi::apimachinery::pkg::apis::meta::v1::Time;

/// How far a change of the clocks reaches: the slots of a day may be found from the evening before.
const DAY: SignedDuration = SignedDuration::from_hours(25);

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

/// Since when it is so, if that was known and goes on.
pub fn kept((schedule, zone): (&Schedule, &TimeZone), known: Known<'_>) -> Option<Time> {
    known.since.filter(|_| known.is_of(schedule, zone)).cloned()
}

/// The next slot: the one that was announced, for as long as it is ahead and looks of before may have found it. The CronJob
/// controller looks from its last slot on, and around a change of the clocks it may find another one than from now on. One
/// that a wrong clock announced is found by no look.
pub fn next((schedule, zone): (&Schedule, &TimeZone), known: Known<'_>, now: Timestamp) -> Option<Timestamp> {
    let next = schedule.after(zone, now)?;
    let announced = known.announced.map(|at| at.0).filter(|at| *at > now && *at != next);
    let announced = announced.filter(|at| {
        known.same_spec && known.is_of(schedule, zone) && {
            let since = known.since.and_then(|since| schedule.after(zone, since.0));
            since == Some(*at) || found_before_a_change((schedule, zone), now).any(|found| found == *at)
        }
    });
    Some(announced.unwrap_or(next))
}

/// The first slots after `now` that are found if one looks from slot to slot, beginning a day before the clocks' last change
/// and before their next one. A day later the change has no part in what is found.
fn found_before_a_change<'a>(
    (schedule, zone): (&'a Schedule, &'a TimeZone),
    now: Timestamp,
) -> impl Iterator<Item = Timestamp> + 'a {
    let changes = [zone.preceding(now).next(), zone.following(now).next()].into_iter().flatten();
    let days = changes.filter_map(|change| {
        let at = change.timestamp();
        Some((at.checked_sub(DAY).ok()?, at.checked_add(DAY).ok()?))
    });
    // What was found before a change that is two slots ago has passed, too.
    let second = move |after| schedule.after(zone, schedule.after(zone, after)?);
    let is_ahead = move |after| second(after).is_none_or(|slot| slot > now);
    days.filter(move |(before, after)| *before <= now && is_ahead(*after)).filter_map(
        move |(before, after)| {
            let slots = successors(schedule.after(zone, before), |slot| schedule.after(zone, *slot));
            let mut slots = slots.skip_while(|slot| *slot <= after.min(now));
            slots.next().filter(|slot| *slot > now)
        },
    )
}
