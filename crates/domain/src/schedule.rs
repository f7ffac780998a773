//! When runs are due: cron lines, time zones, and the moment from which a backup is overdue.
//!
//! A schedule is what Kubernetes accepts for a CronJob (robfig/cron 3.0.1, `ParseStandard`), without `@every`
//! and without dates that never come, and with Jenkins' `H` in the minute and the hour. Its times are those of
//! the CronJob controller, daylight saving included.

mod field;
mod hashed;
mod search;
#[cfg(test)]
mod tests;

use jiff::{
    SignedDuration, Timestamp,
    tz::{TimeZone, TimeZoneDatabase},
};
use thiserror::Error;

pub use self::field::CronField;
use self::{field::Field, search::Fields};

/// The shortest time from a slot until its backup is overdue: room for a pod that starts slowly and for a retry.
pub const LEAST_GRACE: SignedDuration = SignedDuration::from_mins(15);

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

/// Why a schedule or a time zone is rejected, and what to write instead.
#[derive(Clone, Debug, PartialEq, Eq, Error)]
pub enum ScheduleError {
    /// Nothing is written.
    #[error("the schedule is empty; write five cron fields, for example \"15 2 * * *\"")]
    Empty,
    /// `@every 6h`.
    #[error(
        "@every counts from the last run, so its times cannot be known; write five cron fields, for example \"0 */6 * * *\""
    )]
    Every,
    /// `@fortnightly`, `@DAILY`.
    #[error(
        "{name:?} is not known; write @yearly, @annually, @monthly, @weekly, @daily, @midnight or @hourly in lower case, or five cron fields"
    )]
    Nickname {
        /// The name as it was written.
        name: String,
    },
    /// `TZ=...` or `CRON_TZ=...` before the fields.
    #[error("write the time zone in spec.timeZone, not in the schedule")]
    ZoneInSchedule,
    /// Other than five fields.
    #[error(
        "the schedule has {found} field(s); write five (minute, hour, day of month, month, day of week), for example \"15 2 * * *\"; there is no field for seconds"
    )]
    FieldCount {
        /// How many there are.
        found: usize,
    },
    /// A field of commas alone.
    #[error("the {place} field names nothing; write * for every value, or {}", place.values())]
    EmptyField {
        /// The field.
        place: CronField,
    },
    /// Neither a number nor a name.
    #[error("{text:?} means nothing in the {place} field; write {}", place.values())]
    NotAValue {
        /// The field.
        place: CronField,
        /// What is written.
        text: String,
    },
    /// A number that the field does not have.
    #[error("{text} is out of range in the {place} field; write {}", place.values())]
    OutOfRange {
        /// The field.
        place: CronField,
        /// What is written.
        text: String,
    },
    /// `22-4`.
    #[error(
        "{first}-{last} in the {place} field runs backwards; write {first}-{},{}-{last}", place.max(), place.min()
    )]
    Backwards {
        /// The field.
        place: CronField,
        /// Where the range begins.
        first: String,
        /// Where it ends.
        last: String,
    },
    /// A step of zero, or none at all behind the slash.
    #[error("{text:?} is no step in the {place} field; write a whole number from 1 on behind the slash")]
    NotAStep {
        /// The field.
        place: CronField,
        /// What is written.
        text: String,
    },
    /// `1-2-3`, `1/2/3`.
    #[error("{term:?} in the {place} field cannot be read; write first-last/step, for example {}-{}/2", place.min(), place.max())]
    Shape {
        /// The field.
        place: CronField,
        /// The element of the field's list.
        term: String,
    },
    /// `H` in a day or month.
    #[error(
        "H stands for a stable minute or hour and for nothing else; write * or {} in the {place} field", place.values()
    )]
    HashPlace {
        /// The field.
        place: CronField,
    },
    /// `H` with something behind it that it does not take.
    #[error(
        "{term:?} in the {place} field cannot be read; write H, H/step, H(first-last) or H(first-last)/step with values from {}, and a step from 2 to the number of values", place.values()
    )]
    HashShape {
        /// The field.
        place: CronField,
        /// The element of the field's list.
        term: String,
    },
    /// The 30th of February.
    #[error("the dates of this schedule never come; write a day of month that one of its months has")]
    Never,
    /// No zone is written.
    #[error("the time zone is empty; write an IANA name such as Europe/Berlin, or Etc/UTC")]
    ZoneEmpty,
    /// `Local`.
    #[error(
        "Local would be the zone of whatever host the controller runs on; write an IANA name such as Europe/Berlin"
    )]
    ZoneLocal,
    /// Not in the time zone database.
    #[error("{name:?} is not an IANA time zone; write a name such as Europe/Berlin, or Etc/UTC")]
    ZoneUnknown {
        /// The name as it was written.
        name: String,
    },
    /// In the database, but written otherwise; Kubernetes would refuse it.
    #[error("{name:?} is not how the time zone is written; write {known}")]
    ZoneSpelling {
        /// The name as it was written.
        name: String,
        /// The name as the database has it.
        known: String,
    },
}

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

/// The zone of an IANA name, as Kubernetes accepts it for `CronJob.spec.timeZone`, from the database that is
/// compiled in.
pub fn time_zone(name: &str) -> Result<TimeZone, ScheduleError> {
    if name.is_empty() {
        return Err(ScheduleError::ZoneEmpty);
    }
    if name.eq_ignore_ascii_case("Local") {
        return Err(ScheduleError::ZoneLocal);
    }
    let unknown = || ScheduleError::ZoneUnknown { name: name.to_owned() };
    let zone = TimeZoneDatabase::bundled().get(name).map_err(|_| unknown())?;
    // The library finds names in any case; Go looks for a file of exactly this name.
    match zone.iana_name() {
        Some(known) if known == name => Ok(zone),
        Some(known) => Err(ScheduleError::ZoneSpelling { name: name.to_owned(), known: known.to_owned() }),
        None => Err(unknown()),
    }
}

/// The moment from which on a policy's backup is overdue: the first slot after `newest` (the slot of the newest
/// verified backup, or the policy's creation when there is none), and a grace of twice the longest run in the
/// policy's history, but at least [`LEAST_GRACE`]. `None` when no slot comes.
pub fn overdue_at(
    schedule: &Schedule,
    zone: &TimeZone,
    newest: Timestamp,
    longest: SignedDuration,
) -> Option<Timestamp> {
    let due = schedule.after(zone, newest)?;
    let grace = longest.saturating_add(longest).max(LEAST_GRACE);
    due.checked_add(grace).ok()
}
