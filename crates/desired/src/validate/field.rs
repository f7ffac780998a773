//! The errors of invalid fields, and checks that are used for many fields.

use std::{borrow::Cow, fmt::Display, ops::RangeInclusive};

use api::{
    checks::{Check, object},
    policy::SecretKeyRef,
};
use domain::{reason::Reason, schedule::ScheduleError};

/// An error: a field of the policy is invalid.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum Invalid {
    /// The policy's name is too long.
    #[error("{}", object::POLICY_NAME.message)]
    PolicyName,
    /// A schedule or the time zone is invalid.
    #[error("spec.{field}: {source}")]
    Schedule {
        /// The path of the field below `spec`.
        field: &'static str,
        /// The error of the schedule or the time zone.
        source: ScheduleError,
    },
    /// A field is invalid that is neither the policy's name, a schedule nor the time zone.
    #[error("spec.{field}: {message}")]
    Field {
        /// The path of the field below `spec`.
        field: Cow<'static, str>,
        /// A text that says what the field must be.
        message: Cow<'static, str>,
    },
}

impl Invalid {
    /// Returns the reason for the condition.
    pub const fn reason(&self) -> Reason {
        match self {
            Self::Schedule { .. } => Reason::InvalidSchedule,
            Self::PolicyName | Self::Field { .. } => Reason::InvalidSpec,
        }
    }
}

/// Creates the error of a field.
pub fn invalid(field: impl Into<Cow<'static, str>>, message: impl Into<Cow<'static, str>>) -> Invalid {
    Invalid::Field { field: field.into(), message: message.into() }
}

/// Returns the error of `check` unless `holds`. The CRD has a rule for the same check.
pub fn require(field: impl Into<Cow<'static, str>>, check: Check, holds: bool) -> Result<(), Invalid> {
    if holds { Ok(()) } else { Err(invalid(field, check.message)) }
}

/// Checks that a number is within its limits.
pub fn in_limits<T: PartialOrd + Display>(
    field: &'static str,
    number: &T,
    limits: RangeInclusive<T>,
) -> Result<(), Invalid> {
    if limits.contains(number) {
        return Ok(());
    }
    Err(invalid(field, format!("must be from {} to {}", limits.start(), limits.end())))
}

/// Checks the number of entries in a list or a map.
pub fn entries(field: &'static str, count: usize, limits: RangeInclusive<usize>) -> Result<(), Invalid> {
    if limits.contains(&count) {
        return Ok(());
    }
    Err(invalid(field, format!("must have from {} to {} entries", limits.start(), limits.end())))
}

/// Checks the number of characters in a text.
pub fn characters(field: &'static str, text: &str, limits: RangeInclusive<usize>) -> Result<(), Invalid> {
    if limits.contains(&text.chars().count()) {
        return Ok(());
    }
    Err(invalid(field, format!("must have from {} to {} characters", limits.start(), limits.end())))
}

/// Returns whether a text has an allowed length in bytes and only allowed characters: those for which `is`
/// returns true, and those in `beside`.
pub fn consists_of(
    text: &str,
    length: RangeInclusive<usize>,
    is: impl Fn(char) -> bool,
    beside: &str,
) -> bool {
    length.contains(&text.len()) && text.chars().all(|c| is(c) || beside.contains(c))
}

/// Returns whether a character is an ASCII letter or digit.
pub fn alphanumeric(c: char) -> bool {
    c.is_ascii_alphanumeric()
}

/// Returns whether a character is a lower-case ASCII letter or a digit.
pub fn lower_alphanumeric(c: char) -> bool {
    c.is_ascii_lowercase() || c.is_ascii_digit()
}

/// Validates the name of a Secret, a claim, a service account or a priority class.
pub fn object_name(field: impl Into<Cow<'static, str>>, name: &str) -> Result<(), Invalid> {
    let has_ends = name.starts_with(lower_alphanumeric) && name.ends_with(lower_alphanumeric);
    require(field, object::NAME, has_ends && consists_of(name, 1..=253, lower_alphanumeric, "-."))
}

/// Validates a reference to a key of a Secret.
pub fn secret_key(field: &str, SecretKeyRef { name, key }: &SecretKeyRef) -> Result<(), Invalid> {
    object_name(format!("{field}.name"), name)?;
    require(format!("{field}.key"), object::SECRET_KEY, consists_of(key, 1..=253, alphanumeric, "._-"))
}

/// Validates a reference to a key of a Secret. `None` is valid.
pub fn optional_secret_key(field: &str, reference: Option<&SecretKeyRef>) -> Result<(), Invalid> {
    reference.map_or(Ok(()), |reference| secret_key(field, reference))
}
