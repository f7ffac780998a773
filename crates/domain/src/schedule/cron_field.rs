//! The fields of a cron line: their names and values.

use strum::{Display, EnumIter, IntoEnumIterator as _};

/// The five fields of a cron line.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Display, EnumIter)]
pub enum CronField {
    /// 0 to 59.
    #[strum(to_string = "minute")]
    Minute,
    /// 0 to 23.
    #[strum(to_string = "hour")]
    Hour,
    /// 1 to 31.
    #[strum(to_string = "day of month")]
    DayOfMonth,
    /// 1 to 12, or three letters.
    #[strum(to_string = "month")]
    Month,
    /// 0 (Sunday) to 6, or three letters.
    #[strum(to_string = "day of week")]
    Weekday,
}

const MONTHS: [&str; 12] =
    ["jan", "feb", "mar", "apr", "may", "jun", "jul", "aug", "sep", "oct", "nov", "dec"];
const WEEKDAYS: [&str; 7] = ["sun", "mon", "tue", "wed", "thu", "fri", "sat"];

impl CronField {
    /// All fields in the order of a cron line.
    pub(super) fn all() -> impl Iterator<Item = Self> {
        Self::iter()
    }

    /// The smallest value.
    pub const fn min(self) -> u32 {
        match self {
            Self::Minute | Self::Hour | Self::Weekday => 0,
            Self::DayOfMonth | Self::Month => 1,
        }
    }

    /// The greatest value.
    pub const fn max(self) -> u32 {
        match self {
            Self::Minute => 59,
            Self::Hour => 23,
            Self::DayOfMonth => 31,
            Self::Month => 12,
            Self::Weekday => 6,
        }
    }

    /// The field's valid values, for an error message.
    pub const fn values(self) -> &'static str {
        match self {
            Self::Minute => "0 to 59",
            Self::Hour => "0 to 23",
            Self::DayOfMonth => "1 to 31",
            Self::Month => "1 to 12 or jan to dec",
            Self::Weekday => "0 (Sunday) to 6 (Saturday) or sun to sat",
        }
    }

    /// The names of the values. The first name stands for the smallest value.
    pub(super) const fn names(self) -> &'static [&'static str] {
        match self {
            Self::Minute | Self::Hour | Self::DayOfMonth => &[],
            Self::Month => &MONTHS,
            Self::Weekday => &WEEKDAYS,
        }
    }
}
