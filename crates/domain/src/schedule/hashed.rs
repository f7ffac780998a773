//! Jenkins' `H`: a minute or an hour that depends on the policy, so that many policies with the same schedule
//! start at different times.
//!
//! | text | result |
//! | --- | --- |
//! | `H` | one value of the field |
//! | `H(a-b)` | one value from a to b |
//! | `H/n` | every n-th value, beginning with one of the first n |
//! | `H(a-b)/n` | every n-th value from a to b, beginning with one of the first n |
//!
//! The result depends only on the policy's identity and the field. It must never change between versions:
//! another result would move the backups of every policy that uses `H`.

use super::{
    error::ScheduleError,
    field_kind::CronField,
    field_parser::{step, value},
};
use crate::hash;

/// Replaces each `H` in a schedule. Returns a schedule without `H` unchanged.
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

/// Replaces one `H`. `rest` is the part of `term` after the `H`.
fn resolve_term(place: CronField, term: &str, rest: &str, identity: &str) -> Result<String, ScheduleError> {
    let shape = || ScheduleError::HashShape { place, term: term.to_owned() };
    if !matches!(place, CronField::Minute | CronField::Hour) {
        // No name of a month or weekday begins with `H`, so this `H` cannot be part of a name.
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

/// Returns a number below `values` that depends only on the identity and the field.
fn pick(place: CronField, identity: &str, values: u32) -> u32 {
    // 15 hexadecimal digits have 60 bits, so the modulo distributes the numbers almost evenly.
    let number = u64::from_str_radix(&hash::short(&format!("{identity} {place}"), 15), 16)
        .expect("a hash should be hexadecimal");
    u32::try_from(number % u64::from(values)).expect("a remainder should be below its divisor")
}
