//! Why a schedule or a time zone is rejected.

use thiserror::Error;

use super::cron_field::CronField;

/// Why a schedule or a time zone is rejected, and what to write instead.
#[derive(Clone, Debug, PartialEq, Eq, Error)]
pub enum ScheduleError {
    /// An empty schedule.
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
        /// The name that the user wrote.
        name: String,
    },
    /// `TZ=...` or `CRON_TZ=...` before the fields.
    #[error("write the time zone in spec.timeZone, not in the schedule")]
    ZoneInSchedule,
    /// More or fewer than five fields.
    #[error(
        "the schedule has {found} field(s); write five (minute, hour, day of month, month, day of week), for example \"15 2 * * *\"; there is no field for seconds"
    )]
    FieldCount {
        /// The number of fields.
        found: usize,
    },
    /// A field that has only commas.
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
        /// The text in the schedule.
        text: String,
    },
    /// A number outside the field's range.
    #[error("{text} is out of range in the {place} field; write {}", place.values())]
    OutOfRange {
        /// The field.
        place: CronField,
        /// The text in the schedule.
        text: String,
    },
    /// `22-4`.
    #[error(
        "{first}-{last} in the {place} field runs backwards; write {first}-{},{}-{last}", place.max(), place.min()
    )]
    Backwards {
        /// The field.
        place: CronField,
        /// The first value of the range.
        first: String,
        /// The last value of the range.
        last: String,
    },
    /// A step of zero, or no number after the slash.
    #[error("{text:?} is no step in the {place} field; write a whole number from 1 on behind the slash")]
    NotAStep {
        /// The field.
        place: CronField,
        /// The text in the schedule.
        text: String,
    },
    /// `1-2-3`, `1/2/3`.
    #[error("{term:?} in the {place} field cannot be read; write first-last/step, for example {}-{}/2", place.min(), place.max())]
    Shape {
        /// The field.
        place: CronField,
        /// The invalid element of the field's list.
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
    /// An invalid range or step after `H`.
    #[error(
        "{term:?} in the {place} field cannot be read; write H, H/step, H(first-last) or H(first-last)/step with values from {}, and a step from 2 to the number of values", place.values()
    )]
    HashShape {
        /// The field.
        place: CronField,
        /// The invalid element of the field's list.
        term: String,
    },
    /// The 30th of February.
    #[error("the dates of this schedule never come; write a day of month that one of its months has")]
    Never,
    /// An empty time zone.
    #[error("the time zone is empty; write an IANA name such as Europe/Berlin, or Etc/UTC")]
    ZoneEmpty,
    /// `Local`.
    #[error(
        "Local would be the zone of whatever host the controller runs on; write an IANA name such as Europe/Berlin"
    )]
    ZoneLocal,
    /// A name that is not in the time zone database.
    #[error("{name:?} is not an IANA time zone; write a name such as Europe/Berlin, or Etc/UTC")]
    ZoneUnknown {
        /// The name that the user wrote.
        name: String,
    },
    /// A name that the database has in another case. Kubernetes would reject it.
    #[error("{name:?} is not how the time zone is written; write {known}")]
    ZoneSpelling {
        /// The name that the user wrote.
        name: String,
        /// The name in the database.
        known: String,
    },
}
