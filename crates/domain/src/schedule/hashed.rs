//! Jenkins' `H`: a minute or an hour that depends on the policy. A hundred policies with the same line start at different
//! times.
//!
//! `H` is one value of the field. `H(a-b)` is one value of a range. `H/n` is every n-th value and starts at one of the first
//! n. `H(a-b)/n` is every n-th value of a range. The value depends only on the policy's identity and the field. It must
//! never change between versions of this program: a new value would move every policy's backups.

use super::{
    cron_field::CronField,
    error::ScheduleError,
    field::{step, value},
};
use crate::hash;

/// Replaces each `H` of a line. A line without `H` is returned unchanged.
pub(super) fn resolve(line: &str, identity: &str) -> Result<String, ScheduleError> {
    if !line.contains('H') {
        return Ok(line.to_owned());
    }
    let parts: Vec<&str> = line.split_whitespace().collect();
    if parts.len() != CronField::all().count() {
        return Err(ScheduleError::FieldCount { found: parts.len() });
    }
    let resolved: Result<Vec<String>, _> =
        CronField::all().zip(parts).map(|(place, part)| resolve_field(place, part, identity)).collect();
    Ok(resolved?.join(" "))
}

fn resolve_field(place: CronField, text: &str, identity: &str) -> Result<String, ScheduleError> {
    let terms: Result<Vec<String>, _> = text
        .split(',')
        .map(|term| match term.strip_prefix('H') {
            Some(rest) => resolve_term(place, term, rest, identity),
            None => Ok(term.to_owned()),
        })
        .collect();
    Ok(terms?.join(","))
}

/// Resolves one `H`. `rest` is what follows it in `term`.
fn resolve_term(place: CronField, term: &str, rest: &str, identity: &str) -> Result<String, ScheduleError> {
    let shape = || ScheduleError::HashShape { place, term: term.to_owned() };
    if !matches!(place, CronField::Minute | CronField::Hour) {
        // No name of a month or day begins with `H`.
        return Err(ScheduleError::HashPlace { place });
    }
    let (range, rest) = match rest.strip_prefix('(') {
        Some(inner) => inner.split_once(')').map(|(range, rest)| (Some(range), rest)),
        None => Some((None, rest)),
    }
    .ok_or_else(shape)?;
    let (first, last) = match range {
        Some(range) => {
            let (first, last) = range.split_once('-').ok_or_else(shape)?;
            (value(place, first)?, value(place, last)?)
        }
        None => (place.min(), place.max()),
    };
    if first > last {
        return Err(shape());
    }
    let values = last - first + 1;
    if rest.is_empty() {
        return Ok((first + pick(place, identity, values)).to_string());
    }
    let step = step(place, rest.strip_prefix('/').ok_or_else(shape)?)?;
    if !(2..=values).contains(&step) {
        return Err(shape());
    }
    let start = first + pick(place, identity, step);
    Ok(format!("{start}-{last}/{step}"))
}

/// Picks a number below `values`. It is always the same for one identity and field.
fn pick(place: CronField, identity: &str, values: u32) -> u32 {
    // 15 digits are 60 bits. With so many, the modulo prefers no value noticeably.
    let number = u64::from_str_radix(&hash::short(&format!("{identity} {place}"), 15), 16)
        .expect("a hash should be hexadecimal");
    u32::try_from(number % u64::from(values)).expect("a remainder should be below its divisor")
}
