//! One field of a cron line, as robfig/cron 3.0.1 reads it: the parser of the CronJob controller.
//!
//! Its oddities are kept, because that controller decides what fires: empty parts of a list are nothing
//! (`1,,2`), whatever follows `*-` is ignored, and `5/15` means `5-59/15`.

use strum::{Display, EnumIter, IntoEnumIterator as _};

use super::ScheduleError;

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

    /// The field's values in words, to tell a person what to write.
    pub const fn values(self) -> &'static str {
        match self {
            Self::Minute => "0 to 59",
            Self::Hour => "0 to 23",
            Self::DayOfMonth => "1 to 31",
            Self::Month => "1 to 12 or jan to dec",
            Self::Weekday => "0 (Sunday) to 6 (Saturday) or sun to sat",
        }
    }

    /// The values' names, the first one standing for the smallest value.
    const fn names(self) -> &'static [&'static str] {
        match self {
            Self::Minute | Self::Hour | Self::DayOfMonth => &[],
            Self::Month => &MONTHS,
            Self::Weekday => &WEEKDAYS,
        }
    }

    /// The value that `text` stands for: a name in any case, or a number within the field's range.
    pub(super) fn value(self, text: &str) -> Result<u32, ScheduleError> {
        let named = |name: &&str| name.eq_ignore_ascii_case(text);
        if let Some(at) = self.names().iter().position(named) {
            return Ok(self.min() + u32::try_from(at).expect("a field should have few names"));
        }
        match number(text) {
            Some(value) if (self.min()..=self.max()).contains(&value) => Ok(value),
            Some(_) => Err(ScheduleError::OutOfRange { place: self, text: text.to_owned() }),
            None => Err(ScheduleError::NotAValue { place: self, text: text.to_owned() }),
        }
    }

    /// A step: a whole number from 1 on. One that is greater than the range is fine, and hits its first value.
    pub(super) fn step(self, text: &str) -> Result<u32, ScheduleError> {
        number(text)
            .filter(|step| *step > 0)
            .ok_or_else(|| ScheduleError::NotAStep { place: self, text: text.to_owned() })
    }
}

/// The values that a field lets through.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Field {
    /// Bit n stands for value n.
    bits: u64,
    /// Whether `*`, `?` or `*/1` is in its list: then all bits are set, and the other day field decides alone.
    pub(super) star: bool,
}

impl Field {
    /// Reads one field of a cron line.
    pub(super) fn parse(place: CronField, text: &str) -> Result<Self, ScheduleError> {
        let mut field = Self { bits: 0, star: false };
        for term in text.split(',').filter(|term| !term.is_empty()) {
            field.add(place, term)?;
        }
        if field.bits == 0 {
            return Err(ScheduleError::EmptyField { place });
        }
        Ok(field)
    }

    /// Adds one element of the list: `*`, `n`, `a-b`, each with or without `/step`.
    fn add(&mut self, place: CronField, term: &str) -> Result<(), ScheduleError> {
        let shape = || ScheduleError::Shape { place, term: term.to_owned() };
        let (range, step) = match term.split_once('/') {
            Some((_, rest)) if rest.contains('/') => return Err(shape()),
            Some((range, step)) => (range, Some(step)),
            None => (term, None),
        };
        let (first, last) = match range.split_once('-') {
            Some((first, last)) => (first, Some(last)),
            None => (range, None),
        };
        let any = matches!(first, "*" | "?");
        let (start, end) = match (any, last) {
            (true, _) => (place.min(), place.max()),
            (false, Some(last)) if last.contains('-') => return Err(shape()),
            (false, Some(last)) => (place.value(first)?, place.value(last)?),
            (false, None) if step.is_some() => (place.value(first)?, place.max()),
            (false, None) => (place.value(first)?, place.value(first)?),
        };
        if start > end {
            return Err(ScheduleError::Backwards {
                place,
                first: first.to_owned(),
                last: last.unwrap_or_default().to_owned(),
            });
        }
        let step = step.map_or(Ok(1), |step| place.step(step))?;
        self.star |= any && step == 1;
        self.bits |= (start..=end)
            .step_by(usize::try_from(step).unwrap_or(usize::MAX))
            .fold(0, |bits, value| bits | 1 << value);
        Ok(())
    }

    /// Whether `value` is let through. Values of calendars are never negative.
    pub(super) fn has(self, value: i8) -> bool {
        u32::try_from(value).is_ok_and(|value| self.bits & (1 << value) != 0)
    }
}

/// A whole number, with or without a plus sign before it: what Go's `strconv.Atoi` reads and is not negative.
/// Anything too great for it is too great for any field.
fn number(text: &str) -> Option<u32> {
    let digits = text.strip_prefix('+').unwrap_or(text);
    let plain = !digits.is_empty() && digits.bytes().all(|byte| byte.is_ascii_digit());
    plain.then(|| digits.parse().unwrap_or(u32::MAX))
}
