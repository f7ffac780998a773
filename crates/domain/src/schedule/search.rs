//! The search for the next slot of a schedule: a port of `SpecSchedule.Next` of robfig/cron 3.0.1.
//!
//! The CronJob controller starts Jobs at the times that the original function returns. The operator must show
//! the same times, so this search has the same behaviour:
//!
//! - It skips a wall time that does not exist because clocks are set forward.
//! - It returns a wall time in a repeated hour twice.
//! - On a day without midnight it can skip the whole day (in zones east of UTC).

use jiff::{
    Timestamp, ToSpan,
    civil::DateTime,
    tz::{Offset, TimeZone},
};

use super::field_parser::Field;

/// The number of years that the search covers. A 29 February is at most four years away, or eight around a
/// year like 2100.
const YEARS: i16 = 5;

const MINUTE: i64 = 60;
const HOUR: i64 = 60 * MINUTE;
const DAY: i64 = 24 * HOUR;

/// The five fields of a cron line.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Fields {
    pub(super) minute: Field,
    pub(super) hour: Field,
    pub(super) day_of_month: Field,
    pub(super) month: Field,
    pub(super) weekday: Field,
}

impl Fields {
    /// Returns whether the day of `civil` matches. If one of the two day fields is a star, both fields must
    /// match. If neither is a star, one matching field is enough.
    fn has_day(&self, civil: DateTime) -> bool {
        let day_of_month = self.day_of_month.has(civil.day());
        let weekday = self.weekday.has(civil.weekday().to_sunday_zero_offset());
        if self.day_of_month.star || self.weekday.star {
            day_of_month && weekday
        } else {
            day_of_month || weekday
        }
    }

    /// Returns whether any date matches. Each field has at least one value, so the only schedules without a
    /// date are those whose months all lack the days.
    pub(super) fn ever(&self) -> bool {
        let longest = |month| match month {
            2 => 29,
            4 | 6 | 9 | 11 => 30,
            _ => 31,
        };
        let both = self.day_of_month.star || self.weekday.star;
        !both
            || (1..=12)
                .filter(|month| self.month.has(*month))
                .any(|month| (1..=longest(month)).any(|day| self.day_of_month.has(day)))
    }

    /// Returns the first slot after `time`; `None` if there is none within [`YEARS`] years.
    pub(super) fn next(&self, zone: &TimeZone, time: Timestamp) -> Option<Timestamp> {
        let mut from = time.as_second() - i64::from(time.subsec_nanosecond() < 0);
        loop {
            let found = self.search(zone, from)?;
            if found > time {
                return Some(found);
            }
            // The original can return an earlier time where clocks were set back across midnight by a
            // fraction of an hour (St. John's until 2011).
            from += HOUR;
        }
    }

    /// Returns the slot that robfig/cron's `SpecSchedule.Next` returns for the second `from`.
    fn search(&self, zone: &TimeZone, from: i64) -> Option<Timestamp> {
        let mut wall = Wall::at(zone, from + 1)?;
        let last_year = wall.civil.year() + YEARS;
        while wall.civil.year() <= last_year {
            let wrapped = self.seek_month(&mut wall)?
                || self.seek_day(&mut wall)?
                || self.seek_hour(&mut wall)?
                || self.seek_minute(&mut wall)?
                || seek_second(&mut wall)?;
            if !wrapped {
                return Timestamp::from_second(wall.second).ok();
            }
        }
        None
    }

    /// Moves to the first matching month. Returns `true` if a greater field (here the year) changed: the
    /// caller then restarts with the greatest field. Returns `None` at the end of the calendar. The other
    /// `seek` functions work alike.
    fn seek_month(&self, wall: &mut Wall<'_>) -> Option<bool> {
        while !self.month.has(wall.civil.month()) {
            if wall.first_step() {
                wall.set(wall.civil.date().first_of_month().at(0, 0, 0, 0))?;
            }
            // As in Go, a day beyond the end of the month becomes a day of the next month. This happens only
            // if the first day of a month has no midnight.
            let first = wall.civil.date().first_of_month().checked_add(1.month()).ok()?;
            let date = first.checked_add((wall.civil.day() - 1).days()).ok()?;
            wall.set(date.to_datetime(wall.civil.time()))?;
            if wall.civil.month() == 1 {
                return Some(true);
            }
        }
        Some(false)
    }

    fn seek_day(&self, wall: &mut Wall<'_>) -> Option<bool> {
        while !self.has_day(wall.civil) {
            if wall.first_step() {
                wall.set(wall.civil.date().at(0, 0, 0, 0))?;
            }
            let before = wall.second;
            wall.set(wall.civil.checked_add(1.day()).ok()?)?;
            // At a day that does not exist (Samoa crossed the date line), the original never returns. Skip
            // the day.
            if wall.second <= before {
                wall.add(before - wall.second + DAY)?;
            }
            // For a midnight that does not exist, `set` returned a time before or after it. Correct to the
            // day's first hour.
            match i64::from(wall.civil.hour()) {
                0 => {}
                hour @ 13.. => wall.add((24 - hour) * HOUR)?,
                hour => wall.add(-hour * HOUR)?,
            }
            if wall.civil.day() == 1 {
                return Some(true);
            }
        }
        Some(false)
    }

    fn seek_hour(&self, wall: &mut Wall<'_>) -> Option<bool> {
        while !self.hour.has(wall.civil.hour()) {
            if wall.first_step() {
                wall.set(wall.civil.date().at(wall.civil.hour(), 0, 0, 0))?;
            }
            wall.add(HOUR)?;
            if wall.civil.hour() == 0 {
                return Some(true);
            }
        }
        Some(false)
    }

    fn seek_minute(&self, wall: &mut Wall<'_>) -> Option<bool> {
        while !self.minute.has(wall.civil.minute()) {
            if wall.first_step() {
                wall.add(-wall.second.rem_euclid(MINUTE))?;
            }
            wall.add(MINUTE)?;
            if wall.civil.minute() == 0 {
                return Some(true);
            }
        }
        Some(false)
    }
}

/// Moves to the next full minute. Returns `true` if the minute changed, `None` at the end of the calendar.
fn seek_second(wall: &mut Wall<'_>) -> Option<bool> {
    while wall.civil.second() != 0 {
        wall.first_step();
        wall.add(1)?;
        if wall.civil.second() == 0 {
            return Some(true);
        }
    }
    Some(false)
}

/// A moment, and the wall time of a zone at that moment.
struct Wall<'a> {
    zone: &'a TimeZone,
    /// The moment, in seconds since 1970.
    second: i64,
    civil: DateTime,
    /// Whether the search has changed a field. The first change sets all smaller fields to their smallest
    /// values.
    stepped: bool,
}

impl<'a> Wall<'a> {
    fn at(zone: &'a TimeZone, second: i64) -> Option<Self> {
        Some(Self {
            zone,
            second,
            civil: offset(zone, second)?.to_datetime(Timestamp::from_second(second).ok()?),
            stepped: false,
        })
    }

    /// Marks the first change of a field. Returns `true` at the first call only.
    fn first_step(&mut self) -> bool {
        !std::mem::replace(&mut self.stepped, true)
    }

    fn add(&mut self, seconds: i64) -> Option<()> {
        let stepped = self.stepped;
        *self = Self::at(self.zone, self.second.checked_add(seconds)?)?;
        self.stepped = stepped;
        Some(())
    }

    /// Moves to a wall time. For a wall time that does not exist or exists twice, the result equals that of
    /// Go's `time.Date`: it takes the zone's offset at the same wall time in UTC and corrects it once.
    fn set(&mut self, civil: DateTime) -> Option<()> {
        let as_utc = Offset::UTC.to_timestamp(civil).ok()?.as_second();
        let guess = i64::from(offset(self.zone, as_utc)?.seconds());
        let second = match guess {
            0 => as_utc,
            _ => as_utc - i64::from(offset(self.zone, as_utc - guess)?.seconds()),
        };
        self.add(second - self.second)
    }
}

fn offset(zone: &TimeZone, second: i64) -> Option<Offset> {
    Some(zone.to_offset(Timestamp::from_second(second).ok()?))
}
