//! When runs are due: cron lines and time zones.
//!
//! A schedule is what Kubernetes accepts for a CronJob (robfig/cron 3.0.1, `ParseStandard`), without `@every`
//! and without dates that never come, and with Jenkins' `H` in the minute and the hour. Its times are those of
//! the CronJob controller, daylight saving included.

mod cron_field;
mod error;
mod field;
mod hashed;
mod search;
#[cfg(test)]
mod tests;
mod zone;

use jiff::{Timestamp, tz::TimeZone};

pub use self::{cron_field::CronField, error::ScheduleError, zone::time_zone};
use self::{field::Field, search::Fields};

/// The names that Kubernetes knows, and the fields that they stand for.
const NICKNAMES: [(&str, &str); 7] = [
    ("@yearly", "0 0 1 1 *"),
    ("@annually", "0 0 1 1 *"),
    ("@monthly", "0 0 1 * *"),
    ("@weekly", "0 0 * * 0"),
    ("@daily", "0 0 * * *"),
    ("@midnight", "0 0 * * *"),
    ("@hourly", "0 * * * *"),
];

/// When backups are due.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Schedule {
    effective: String,
    fields: Fields,
}

impl Schedule {
    /// Reads a schedule. `identity` is `<namespace>/<policy>`: an `H` becomes a number that is always the same
    /// for one identity and spreads over many.
    pub fn parse(text: &str, identity: &str) -> Result<Self, ScheduleError> {
        let text = text.trim();
        if text.is_empty() {
            return Err(ScheduleError::Empty);
        }
        // No name of a month or day has these letters, and Kubernetes refuses them anywhere.
        if text.contains("TZ") {
            return Err(ScheduleError::ZoneInSchedule);
        }
        let effective =
            if text.starts_with('@') { text.to_owned() } else { hashed::resolve(text, identity)? };
        let fields = fields(&effective)?;
        if !fields.ever() {
            return Err(ScheduleError::Never);
        }
        Ok(Self { effective, fields })
    }

    /// What stands in the CronJob: every `H` resolved, and otherwise what the user wrote.
    pub fn effective(&self) -> &str {
        &self.effective
    }

    /// The first slot after `time`; `None` when there is none within five years.
    pub fn after(&self, zone: &TimeZone, time: Timestamp) -> Option<Timestamp> {
        self.fields.next(zone, time)
    }

    /// The first `count` slots after `time`, in their order.
    pub fn upcoming(&self, zone: &TimeZone, time: Timestamp, count: usize) -> Vec<Timestamp> {
        std::iter::successors(self.after(zone, time), |slot| self.after(zone, *slot)).take(count).collect()
    }
}

/// The fields of a line without `H`.
fn fields(text: &str) -> Result<Fields, ScheduleError> {
    let line = if text.starts_with("@every") {
        return Err(ScheduleError::Every);
    } else if text.starts_with('@') {
        NICKNAMES
            .iter()
            .find_map(|(name, line)| (*name == text).then_some(*line))
            .ok_or_else(|| ScheduleError::Nickname { name: text.to_owned() })?
    } else {
        text
    };
    let parts: Vec<&str> = line.split_whitespace().collect();
    let [minute, hour, day_of_month, month, weekday] = parts[..] else {
        return Err(ScheduleError::FieldCount { found: parts.len() });
    };
    Ok(Fields {
        minute: Field::parse(CronField::Minute, minute)?,
        hour: Field::parse(CronField::Hour, hour)?,
        day_of_month: Field::parse(CronField::DayOfMonth, day_of_month)?,
        month: Field::parse(CronField::Month, month)?,
        weekday: Field::parse(CronField::Weekday, weekday)?,
    })
}
