//! One field of a cron line, as robfig/cron 3.0.1 reads it: the parser of the CronJob controller.
//!
//! Its oddities are kept, because that controller decides what fires: empty parts of a list are nothing
//! (`1,,2`), whatever follows `*-` is ignored, and `5/15` means `5-59/15`.

use super::{cron_field::CronField, error::ScheduleError};

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
            (false, Some(last)) => (value(place, first)?, value(place, last)?),
            (false, None) if step.is_some() => (value(place, first)?, place.max()),
            (false, None) => (value(place, first)?, value(place, first)?),
        };
        if start > end {
            return Err(ScheduleError::Backwards {
                place,
                first: first.to_owned(),
                last: last.unwrap_or_default().to_owned(),
            });
        }
        let step = step.map_or(Ok(1), |step| self::step(place, step))?;
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

/// The value that `text` stands for: a name in any case, or a number within the field's range.
pub(super) fn value(place: CronField, text: &str) -> Result<u32, ScheduleError> {
    let named = |name: &&str| name.eq_ignore_ascii_case(text);
    if let Some(at) = place.names().iter().position(named) {
        return Ok(place.min() + u32::try_from(at).expect("a field should have few names"));
    }
    match number(text) {
        Some(value) if (place.min()..=place.max()).contains(&value) => Ok(value),
        Some(_) => Err(ScheduleError::OutOfRange { place, text: text.to_owned() }),
        None => Err(ScheduleError::NotAValue { place, text: text.to_owned() }),
    }
}

/// A step: a whole number from 1 on. One that is greater than the range is fine, and hits its first value.
pub(super) fn step(place: CronField, text: &str) -> Result<u32, ScheduleError> {
    number(text)
        .filter(|step| *step > 0)
        .ok_or_else(|| ScheduleError::NotAStep { place, text: text.to_owned() })
}

/// A whole number, with or without a plus sign before it: what Go's `strconv.Atoi` reads and is not negative.
/// Anything too great for it is too great for any field.
fn number(text: &str) -> Option<u32> {
    let digits = text.strip_prefix('+').unwrap_or(text);
    let plain = !digits.is_empty() && digits.bytes().all(|byte| byte.is_ascii_digit());
    plain.then(|| digits.parse().unwrap_or(u32::MAX))
}
