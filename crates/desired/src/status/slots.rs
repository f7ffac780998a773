//! The slots of a schedule: the next slot, and the time since which the schedule applies. A slot before that
//! time is never overdue. Otherwise a policy that was suspended for a month, or that had a monthly schedule
//! until now, would be overdue at once.

use std::iter::successors;

use api::status::time;
use domain::{operation::Operation, schedule::Schedule};
use jiff::{SignedDuration, Timestamp, tz::TimeZone};
use k8s_openapi::apimachinery::pkg::apis::meta::v1::Time;

use crate::validate::ValidPolicy;

/// The time around a change of the UTC offset in which the change affects slots: a search for the slots of a
/// day may start on the evening before.
const DAY: SignedDuration = SignedDuration::from_hours(25);

/// The slots of one operation in a status.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Slots {
    /// The schedule of the CronJob.
    pub effective: Option<String>,
    pub next: Option<Time>,
    /// The time since which the schedule applies; `None` while the policy is suspended.
    pub since: Option<Time>,
}

/// Returns the slots of an operation at the time `now`; `None` if the policy does not configure the
/// operation. `known` are the slots of the previous status; `is_same_spec` is true if that status describes
/// the current spec. `in_place`: the policy's CronJob exists.
pub fn slots(
    policy: &ValidPolicy,
    operation: Operation,
    in_place: bool,
    known: Slots,
    is_same_spec: bool,
    now: Timestamp,
) -> Option<Slots> {
    let schedule = policy.schedule_of(operation)?;
    if !in_place {
        // An existing CronJob keeps its schedule.
        return Some(Slots { next: None, ..known });
    }
    let timetable = Timetable { schedule, zone: &policy.zone, known: &known, is_same_spec };
    let is_active = !policy.suspend;
    Some(Slots {
        effective: Some(schedule.effective().to_owned()),
        next: timetable.next(now).filter(|_| is_active).map(time),
        since: is_active.then(|| timetable.since().unwrap_or_else(|| time(now))),
    })
}

/// A schedule, and its slots in the previous status.
struct Timetable<'a> {
    schedule: &'a Schedule,
    zone: &'a TimeZone,
    known: &'a Slots,
    is_same_spec: bool,
}

impl Timetable<'_> {
    /// Returns the first slot after `time`.
    fn after(&self, time: Timestamp) -> Option<Timestamp> {
        self.schedule.after(self.zone, time)
    }

    /// Returns whether the schedule is that of the previous status. After an edit of the schedule, the known
    /// next slot is not a slot of the new schedule. A suspended policy has neither a next slot nor `since`.
    /// An invalid policy has no next slot but keeps `since`, so that a mistake in the spec does not hide an
    /// overdue run.
    fn is_known(&self) -> bool {
        // Around a change of the UTC offset some slots are found only by a search that starts a day earlier.
        // The same spec has the same slots.
        let is_slot = |at: &Time| {
            let before = at.0.checked_sub(SignedDuration::from_secs(1));
            self.is_same_spec || before.is_ok_and(|before| self.after(before) == Some(at.0))
        };
        let effective = self.known.effective.as_deref();
        effective == Some(self.schedule.effective()) && self.known.next.as_ref().is_none_or(is_slot)
    }

    /// Returns the time since which the schedule applies, from the previous status; `None` if the schedule
    /// has changed.
    fn since(&self) -> Option<Time> {
        self.known.since.clone().filter(|_| self.is_known())
    }

    /// Returns the next slot. The CronJob controller searches from its last slot. Around a change of the UTC
    /// offset, its result can differ from that of a search from `now`. The known next slot is therefore kept
    /// if an earlier search can have found it. A slot that is in the status because of a wrong clock is not
    /// kept, because no search finds it.
    fn next(&self, now: Timestamp) -> Option<Timestamp> {
        let next = self.after(now)?;
        let known = self.known.next.as_ref().map(|at| at.0).filter(|at| *at > now && *at != next);
        let known = known.filter(|at| {
            self.is_same_spec && self.is_known() && {
                let first = self.known.since.as_ref().and_then(|since| self.after(since.0));
                first == Some(*at) || self.found_before_a_change(now).any(|found| found == *at)
            }
        });
        Some(known.unwrap_or(next))
    }

    /// Returns the first slots after `now` that searches from slot to slot find. One search starts a day
    /// before the last change of the UTC offset, another one a day before the next change. A change has no
    /// effect on slots more than a day later.
    fn found_before_a_change(&self, now: Timestamp) -> impl Iterator<Item = Timestamp> {
        let changes = [self.zone.preceding(now).next(), self.zone.following(now).next()];
        let days = changes.into_iter().flatten().filter_map(|change| {
            let at = change.timestamp();
            Some((at.checked_sub(DAY).ok()?, at.checked_add(DAY).ok()?))
        });
        // A change that is two slots ago affects no later slot.
        let second = |after| self.after(self.after(after)?);
        let is_ahead = move |after| second(after).is_none_or(|slot| slot > now);
        days.filter(move |(before, after)| *before <= now && is_ahead(*after)).filter_map(
            move |(before, after)| {
                let slots = successors(self.after(before), |slot| self.after(*slot));
                let mut slots = slots.skip_while(|slot| *slot <= after.min(now));
                slots.next().filter(|slot| *slot > now)
            },
        )
    }
}
