//! The error of a rejected schedule or time zone.

use thiserror::Error;

use super::field_kind::CronField;

/// The reason why a schedule or a time zone is rejected. The message recommends what to write instead.
#[derive(Clone, Debug, PartialEq, Eq, Error)]
pub enum ScheduleError {
    /// The schedule is empty.
    #[error("the schedule is empty. Write five cron fields, for example \"15 2 * * *\".")]
    Empty,
    /// The schedule uses `@every`.
    #[error("@every has no fixed times. Write five cron fields, for example \"0 */6 * * *\".")]
    Every,
    /// The schedule begins with `@` but is not a known name, for example `@fortnightly` or `@DAILY`.
    #[error(
        "{name:?} is not a schedule. Write @yearly, @annually, @monthly, @weekly, @daily, @midnight or @hourly in lower case, or five cron fields."
    )]
    Nickname {
        /// The text in the schedule.
        name: String,
    },
    /// The schedule contains a time zone (`TZ=...` or `CRON_TZ=...`).
    #[error("the schedule contains a time zone. Write the time zone in spec.timeZone.")]
    ZoneInSchedule,
    /// The schedule has more or fewer than five fields.
    #[error(
        "the number of fields is {found} instead of five. Write minute, hour, day of month, month and day of week (no seconds), for example \"15 2 * * *\"."
    )]
    FieldCount {
        /// The number of fields in the schedule.
        found: usize,
    },
    /// A field contains only commas.
    #[error("the {place} field is empty. Write * for every value, or {}.", place.values())]
    EmptyField {
        /// The empty field.
        place: CronField,
    },
    /// A value is neither a number nor a name.
    #[error("{text:?} is not a value of the {place} field. Write {}.", place.values())]
    NotAValue {
        /// The field with the invalid value.
        place: CronField,
        /// The invalid value.
        text: String,
    },
    /// A number is outside the field's range.
    #[error("{text} is out of range in the {place} field. Write {}.", place.values())]
    OutOfRange {
        /// The field with the number.
        place: CronField,
        /// The number as written in the schedule.
        text: String,
    },
    /// The first value of a range is greater than its last, as in `22-4`.
    #[error(
        "the range {first}-{last} in the {place} field ends before it starts. Write {first}-{},{}-{last}.", place.max(), place.min()
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
    #[error(
        "{text:?} is not a step in the {place} field. Write a whole number of at least 1 after the slash."
    )]
    NotAStep {
        /// The field with the step.
        place: CronField,
        /// The step as written in the schedule.
        text: String,
    },
    /// An element has too many dashes or slashes, as in `1-2-3` or `1/2/3`.
    #[error("{term:?} in the {place} field is invalid. Write a value, a range or a step, for example {}-{}/2.", place.min(), place.max())]
    Shape {
        /// The field with the element.
        place: CronField,
        /// The invalid element of the field's list.
        term: String,
    },
    /// `H` is used in a field other than the minute and the hour.
    #[error(
        "H is allowed only in the minute field and the hour field. Write * or {} in the {place} field.", place.values()
    )]
    HashPlace {
        /// The field with the `H`.
        place: CronField,
    },
    /// The range or the step after `H` is invalid.
    #[error(
        "{term:?} in the {place} field is invalid. Write H, H/step, H(first-last) or H(first-last)/step, with values from {} and a step from 2 to the number of values.", place.values()
    )]
    HashShape {
        /// The field with the `H`.
        place: CronField,
        /// The invalid element of the field's list.
        term: String,
    },
    /// No date matches the schedule, for example only 30 February.
    #[error("the schedule matches no date. Write a day of month that at least one of its months has.")]
    Never,
    /// The time zone is empty.
    #[error("the time zone is empty. Write an IANA name, for example Europe/Berlin or Etc/UTC.")]
    ZoneEmpty,
    /// The time zone is `Local`, which depends on the host.
    #[error(
        "Local is not allowed as a time zone, because it depends on the host of the CronJob controller. Write an IANA name, for example Europe/Berlin."
    )]
    ZoneLocal,
    /// The time zone is not in the time zone database.
    #[error("{name:?} is not an IANA time zone. Write an IANA name, for example Europe/Berlin or Etc/UTC.")]
    ZoneUnknown {
        /// The name in the policy.
        name: String,
    },
    /// The time zone differs in upper and lower case from the database's name. Kubernetes would reject it.
    #[error("{name:?} is not the exact name of the time zone. Write {known}.")]
    ZoneSpelling {
        /// The name in the policy.
        name: String,
        /// The name in the time zone database.
        known: String,
    },
}
