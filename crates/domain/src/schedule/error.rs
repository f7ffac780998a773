//! The error of a rejected schedule or time zone.

use thiserror::Error;

use super::cron_field::CronField;

/// The reason why a schedule or a time zone is rejected. The message recommends what to write instead.
#[derive(Clone, Debug, PartialEq, Eq, Error)]
pub enum ScheduleError {
    /// The schedule is empty.
    #[error("the schedule is empty; write five cron fields, for example \"15 2 * * *\"")]
    Empty,
    /// The schedule uses `@every`.
    #[error(
        "@every counts from the last run, so its times cannot be known; write five cron fields, for example \"0 */6 * * *\""
    )]
    Every,
    /// The schedule begins with `@` but is not a known name, for example `@fortnightly` or `@DAILY`.
    #[error(
        "{name:?} is not known; write @yearly, @annually, @monthly, @weekly, @daily, @midnight or @hourly in lower case, or five cron fields"
    )]
    Nickname {
        /// The text in the schedule.
        name: String,
    },
    /// The schedule contains a time zone (`TZ=...` or `CRON_TZ=...`).
    #[error("write the time zone in spec.timeZone, not in the schedule")]
    ZoneInSchedule,
    /// The schedule has more or fewer than five fields.
    #[error(
        "the schedule has {found} field(s); write five (minute, hour, day of month, month, day of week), for example \"15 2 * * *\"; there is no field for seconds"
    )]
    FieldCount {
        /// The number of fields in the schedule.
        found: usize,
    },
    /// A field contains only commas.
    #[error("the {place} field names nothing; write * for every value, or {}", place.values())]
    EmptyField {
        /// The empty field.
        place: CronField,
    },
    /// A value is neither a number nor a name.
    #[error("{text:?} means nothing in the {place} field; write {}", place.values())]
    NotAValue {
        /// The field with the invalid value.
        place: CronField,
        /// The invalid value.
        text: String,
    },
    /// A number is outside the field's range.
    #[error("{text} is out of range in the {place} field; write {}", place.values())]
    OutOfRange {
        /// The field with the number.
        place: CronField,
        /// The number as written in the schedule.
        text: String,
    },
    /// The first value of a range is greater than its last, as in `22-4`.
    #[error(
        "{first}-{last} in the {place} field runs backwards; write {first}-{},{}-{last}", place.max(), place.min()
    )]
    Backwards {
        /// The field with the range.
        place: CronField,
        /// The first value of the range.
        first: String,
        /// The last value of the range.
        last: String,
    },
    /// A step is 0 or not a number.
    #[error("{text:?} is no step in the {place} field; write a whole number from 1 on behind the slash")]
    NotAStep {
        /// The field with the step.
        place: CronField,
        /// The step as written in the schedule.
        text: String,
    },
    /// An element has too many dashes or slashes, as in `1-2-3` or `1/2/3`.
    #[error("{term:?} in the {place} field cannot be read; write first-last/step, for example {}-{}/2", place.min(), place.max())]
    Shape {
        /// The field with the element.
        place: CronField,
        /// The invalid element of the field's list.
        term: String,
    },
    /// `H` is used in a field other than the minute and the hour.
    #[error(
        "H stands for a stable minute or hour and for nothing else; write * or {} in the {place} field", place.values()
    )]
    HashPlace {
        /// The field with the `H`.
        place: CronField,
    },
    /// The range or the step after `H` is invalid.
    #[error(
        "{term:?} in the {place} field cannot be read; write H, H/step, H(first-last) or H(first-last)/step with values from {}, and a step from 2 to the number of values", place.values()
    )]
    HashShape {
        /// The field with the `H`.
        place: CronField,
        /// The invalid element of the field's list.
        term: String,
    },
    /// No date matches the schedule, for example only 30 February.
    #[error("the dates of this schedule never come; write a day of month that one of its months has")]
    Never,
    /// The time zone is empty.
    #[error("the time zone is empty; write an IANA name such as Europe/Berlin, or Etc/UTC")]
    ZoneEmpty,
    /// The time zone is `Local`, which depends on the host.
    #[error(
        "Local would be the zone of whatever host the controller runs on; write an IANA name such as Europe/Berlin"
    )]
    ZoneLocal,
    /// The time zone is not in the time zone database.
    #[error("{name:?} is not an IANA time zone; write a name such as Europe/Berlin, or Etc/UTC")]
    ZoneUnknown {
        /// The name in the policy.
        name: String,
    },
    /// The time zone differs in upper and lower case from the database's name. Kubernetes would reject it.
    #[error("{name:?} is not how the time zone is written; write {known}")]
    ZoneSpelling {
        /// The name in the policy.
        name: String,
        /// The name in the database.
        known: String,
    },
}
