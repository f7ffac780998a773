//! The names and the valid values of the five fields of a cron line.

use strum::{Display, EnumIter, IntoEnumIterator as _};

/// One of the five fields of a cron line.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Display, EnumIter)]
pub enum CronField {
    /// The minute, 0 to 59.
    #[strum(to_string = "minute")]
    Minute,
    /// The hour, 0 to 23.
    #[strum(to_string = "hour")]
    Hour,
    /// The day of the month, 1 to 31.
    #[strum(to_string = "day of month")]
    DayOfMonth,
    /// The month, 1 to 12 or the first three letters of its English name.
    #[strum(to_string = "month")]
    Month,
    /// The day of the week, 0 (Sunday) to 6 or the first three letters of its English name.
    #[strum(to_string = "day of week")]
    Weekday,
}

const MONTHS: [&str; 12] =
    ["jan", "feb", "mar", "apr", "may", "jun", "jul", "aug", "sep", "oct", "nov", "dec"];
const WEEKDAYS: [&str; 7] = ["sun", "mon", "tue", "wed", "thu", "fri", "sat"];

impl CronField {
    /// Returns all fields in the order of a cron line.
    pub(super) fn all() -> impl Iterator<Item = Self> {
        Self::iter()
    }

    /// Returns the field's smallest value.
    pub const fn min(self) -> u32 {
        match self {
            Self::Minute | Self::Hour | Self::Weekday => 0,
            Self::DayOfMonth | Self::Month => 1,
        }
    }

    /// Returns the field's greatest value.
    pub const fn max(self) -> u32 {
        match self {
            Self::Minute => 59,
            Self::Hour => 23,
            Self::DayOfMonth => 31,
            Self::Month => 12,
            Self::Weekday => 6,
        }
    }

    /// Describes the field's valid values for an error message.
    pub const fn values(self) -> &'static str {
        match self {
            Self::Minute => "0 to 59",
            Self::Hour => "0 to 23",
            Self::DayOfMonth => "1 to 31",
            Self::Month => "1 to 12 or jan to dec",
            Self::Weekday => "0 (Sunday) to 6 (Saturday) or sun to sat",
        }
    }

    /// Returns the names of the field's values, beginning with the smallest value; empty for fields without
    /// names.
    pub(super) const fn names(self) -> &'static [&'static str] {
        match self {
            Self::Minute | Self::Hour | Self::DayOfMonth => &[],
            Self::Month => &MONTHS,
            Self::Weekday => &WEEKDAYS,
        }
    }
}
