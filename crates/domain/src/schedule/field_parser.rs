//! The parser of one field of a cron line.
//!
//! It accepts the same texts as robfig/cron 3.0.1, the parser of the CronJob controller, because that
//! controller starts the Jobs. For this reason it ignores empty elements of a list (`1,,2`) and everything
//! after `*-`, and reads `5/15` as `5-59/15`.

use super::{error::ScheduleError, field_kind::CronField};

/// The set of values that match a field.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Field {
    /// Bit n is set if the value n matches.
    bits: u64,
    /// Whether the list contains `*`, `?` or `*/1`. If so, all bits are set. If one of the two day fields has
    /// a star, only the other one restricts the day.
    pub(super) star: bool,
}

impl Field {
    /// Parses one field of a cron line.
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

    /// Adds the values of one element of the list: `*`, `n` or `a-b`, each with or without `/step`.
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

    /// Returns whether `value` matches. Callers pass calendar values, which are never negative.
    pub(super) fn has(self, value: i8) -> bool {
        u32::try_from(value).is_ok_and(|value| self.bits & (1 << value) != 0)
    }
}

/// Parses a value: a name in upper or lower case, or a number within the field's range.
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

/// Parses a step: a whole number of at least 1. A step greater than the range matches only the first value.
pub(super) fn step(place: CronField, text: &str) -> Result<u32, ScheduleError> {
    number(text)
        .filter(|step| *step > 0)
        .ok_or_else(|| ScheduleError::NotAStep { place, text: text.to_owned() })
}

/// Parses a whole number with or without a plus sign, as Go's `strconv.Atoi` does. Returns `None` for other
/// texts, including negative numbers. A number above 32 bits becomes `u32::MAX`, which is out of range in
/// every field.
fn number(text: &str) -> Option<u32> {
    let digits = text.strip_prefix('+').unwrap_or(text);
    let plain = !digits.is_empty() && digits.bytes().all(|byte| byte.is_ascii_digit());
    plain.then(|| digits.parse().unwrap_or(u32::MAX))
}
