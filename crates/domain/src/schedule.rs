//! Schedules and time zones: the times at which runs are due ("slots").
//!
//! A schedule has the syntax that Kubernetes accepts for a CronJob (robfig/cron 3.0.1, `ParseStandard`), and
//! Jenkins' `H` in the minute and the hour. `@every` and schedules without any date are rejected. The slots
//! are the times at which the CronJob controller creates Jobs, also at changes of daylight saving time.

mod error;
mod field_kind;
mod field_parser;
mod hashed;
mod search;
#[cfg(test)]
mod tests;
mod zone;

use jiff::{Timestamp, tz::TimeZone};

pub use self::{error::ScheduleError, field_kind::CronField, zone::time_zone};
use self::{field_parser::Field, search::Fields};

/// The predefined schedules that Kubernetes accepts, with the five fields of each.
const NICKNAMES: [(&str, &str); 7] = [
    ("@yearly", "0 0 1 1 *"),
    ("@annually", "0 0 1 1 *"),
    ("@monthly", "0 0 1 * *"),
    ("@weekly", "0 0 * * 0"),
    ("@daily", "0 0 * * *"),
    ("@midnight", "0 0 * * *"),
    ("@hourly", "0 * * * *"),
];

/// A valid schedule of runs.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Schedule {
    effective: String,
    fields: Fields,
}

impl Schedule {
    /// Parses a schedule. Each `H` becomes a number that depends only on `identity`, which is
    /// `<namespace>/<policy>`. The numbers of many identities are spread evenly.
    pub fn parse(text: &str, identity: &str) -> Result<Self, ScheduleError> {
        let text = text.trim();
        if text.is_empty() {
            return Err(ScheduleError::Empty);
        }
        // Kubernetes rejects a schedule that contains `TZ` anywhere. No name of a month or weekday contains
        // it.
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

    /// Returns the schedule as written to the CronJob: the user's text with each `H` replaced by its number.
    pub fn effective(&self) -> &str {
        &self.effective
    }

    /// Returns the first slot after `time`; `None` if there is none within five years.
    pub fn after(&self, zone: &TimeZone, time: Timestamp) -> Option<Timestamp> {
        self.fields.next(zone, time)
    }

    /// Returns the first `count` slots after `time`, earliest first.
    pub fn upcoming(&self, zone: &TimeZone, time: Timestamp, count: usize) -> Vec<Timestamp> {
        std::iter::successors(self.after(zone, time), |slot| self.after(zone, *slot)).take(count).collect()
    }
}

/// Parses a schedule that contains no `H`.
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
