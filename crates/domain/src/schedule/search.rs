//! The search for the next time of a schedule: robfig/cron 3.0.1's `SpecSchedule.Next`, step by step.
//!
//! It is a copy in behaviour, because the CronJob controller fires at the times which that function finds,
//! and a status that says otherwise is wrong. So a wall time inside a gap of daylight saving is skipped, one
//! in the repeated hour comes twice, and where midnight does not exist the result is what that function makes
//! of it (in zones east of UTC the whole day can be passed over).

use jiff::{
    Timestamp, ToSpan,
    civil::DateTime,
    tz::{Offset, TimeZone},
};

use super::field::Field;

/// How many years ahead a time is looked for. A 29 February is at most eight years away, and only around a
/// year such as 2100 more than four.
const YEARS: i16 = 5;

const MINUTE: i64 = 60;
const HOUR: i64 = 60 * MINUTE;
const DAY: i64 = 24 * HOUR;

/// The fields of a cron line.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Fields {
    pub(super) minute: Field,
    pub(super) hour: Field,
    pub(super) day_of_month: Field,
    pub(super) month: Field,
    pub(super) weekday: Field,
}

impl Fields {
    /// Whether the day of `civil` is let through: by both day fields if one of them is a star, else by either.
    fn has_day(&self, civil: DateTime) -> bool {
        let day_of_month = self.day_of_month.has(civil.day());
        let weekday = self.weekday.has(civil.weekday().to_sunday_zero_offset());
        if self.day_of_month.star || self.weekday.star {
            day_of_month && weekday
        } else {
            day_of_month || weekday
        }
    }

    /// Whether there is such a date in any year. Fields are never empty, so only days that none of the months
    /// has can be the reason.
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

    /// The first time after `time`; `None` when there is none within [`YEARS`] years.
    pub(super) fn next(&self, zone: &TimeZone, time: Timestamp) -> Option<Timestamp> {
        let mut from = time.as_second() - i64::from(time.subsec_nanosecond() < 0);
        loop {
            let found = self.search(zone, from)?;
            if found > time {
                return Some(found);
            }
            // Where clocks went back across midnight by a broken hour (St. John's until 2011), the original
            // can step back in time.
            from += HOUR;
        }
    }

    /// What the original finds after the second `from`.
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

    /// Goes to the first month from here on that is let through. Like its siblings it says `true` when it came
    /// to the beginning of a greater field, which must then be looked at again, and `None` past the end of time.
    fn seek_month(&self, wall: &mut Wall<'_>) -> Option<bool> {
        while !self.month.has(wall.civil.month()) {
            if wall.first_step() {
                wall.set(wall.civil.date().first_of_month().at(0, 0, 0, 0))?;
            }
            // Days beyond the month's end run over into the next one, as in Go. That happens only where the
            // midnight of a first of the month does not exist.
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
            // A day that does not exist at all (Samoa crossed the date line) holds the original here forever.
            if wall.second <= before {
                wall.add(before - wall.second + DAY)?;
            }
            // A midnight that does not exist was moved to an hour before or behind it.
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

/// Goes to the next whole minute.
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

/// A moment and what the clocks of a zone show at it.
struct Wall<'a> {
    zone: &'a TimeZone,
    /// Seconds since 1970.
    second: i64,
    civil: DateTime,
    /// Whether a field was moved already; the smaller ones are at their beginning from then on.
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

    /// Whether this is the first step of the search; it is so once.
    fn first_step(&mut self) -> bool {
        !std::mem::replace(&mut self.stepped, true)
    }

    fn add(&mut self, seconds: i64) -> Option<()> {
        let stepped = self.stepped;
        *self = Self::at(self.zone, self.second.checked_add(seconds)?)?;
        self.stepped = stepped;
        Some(())
    }

    /// Goes to a wall time. One that does not exist or exists twice is taken as Go's `time.Date` takes it: by
    /// the offset that was in force at the same reading of UTC's clocks, corrected once.
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
