//! Errors of fields, and the checks that many fields share.

use std::{borrow::Cow, fmt::Display, ops::RangeInclusive};

use api::{
    messages::{Check, object},
    policy::SecretKeyRef,
};
use domain::{reason::Reason, schedule::ScheduleError};

/// A field that keeps a policy from working.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum Invalid {
    /// The policy's own name.
    #[error("{}", object::POLICY_NAME.message)]
    PolicyName,
    /// A schedule or the time zone.
    #[error("spec.{field}: {source}")]
    Schedule {
        /// The path of the field below `spec`.
        field: &'static str,
        /// What is wrong with it.
        source: ScheduleError,
    },
    /// Any other field.
    #[error("spec.{field}: {message}")]
    Field {
        /// The path of the field below `spec`.
        field: Cow<'static, str>,
        /// What the field must be, and what to write.
        message: Cow<'static, str>,
    },
}

impl Invalid {
    /// The reason of the condition.
    pub const fn reason(&self) -> Reason {
        match self {
            Self::Schedule { .. } => Reason::InvalidSchedule,
            Self::PolicyName | Self::Field { .. } => Reason::InvalidSpec,
        }
    }
}

/// The error for a field.
pub fn invalid(field: impl Into<Cow<'static, str>>, message: impl Into<Cow<'static, str>>) -> Invalid {
    Invalid::Field { field: field.into(), message: message.into() }
}

/// Checks what a rule of the CRD checks too.
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

/// Checks how many entries a list or a map has.
pub fn entries(field: &'static str, count: usize, limits: RangeInclusive<usize>) -> Result<(), Invalid> {
    if limits.contains(&count) {
        return Ok(());
    }
    Err(invalid(field, format!("must have from {} to {} entries", limits.start(), limits.end())))
}

/// Checks how many characters a text has.
pub fn characters(field: &'static str, text: &str, limits: RangeInclusive<usize>) -> Result<(), Invalid> {
    if limits.contains(&text.chars().count()) {
        return Ok(());
    }
    Err(invalid(field, format!("must have from {} to {} characters", limits.start(), limits.end())))
}

/// Whether a text has such a length, and only characters that are allowed: those that `is` accepts, and those in `beside`.
pub fn consists_of(
    text: &str,
    length: RangeInclusive<usize>,
    is: impl Fn(char) -> bool,
    beside: &str,
) -> bool {
    length.contains(&text.len()) && text.chars().all(|c| is(c) || beside.contains(c))
}

/// ASCII letters and digits.
pub fn alphanumeric(c: char) -> bool {
    c.is_ascii_alphanumeric()
}

/// Lower-case ASCII letters and digits.
pub fn lower_alphanumeric(c: char) -> bool {
    c.is_ascii_lowercase() || c.is_ascii_digit()
}

/// Checks the name of a Secret, a claim, a service account or a priority class.
pub fn object_name(field: impl Into<Cow<'static, str>>, name: &str) -> Result<(), Invalid> {
    let has_ends = name.starts_with(lower_alphanumeric) && name.ends_with(lower_alphanumeric);
    require(field, object::NAME, has_ends && consists_of(name, 1..=253, lower_alphanumeric, "-."))
}

/// Checks a reference to a key of a Secret.
pub fn secret_key(field: &str, SecretKeyRef { name, key }: &SecretKeyRef) -> Result<(), Invalid> {
    object_name(format!("{field}.name"), name)?;
    require(format!("{field}.key"), object::SECRET_KEY, consists_of(key, 1..=253, alphanumeric, "._-"))
}

/// Checks a reference to a key of a Secret, if there is one.
pub fn optional_secret_key(field: &str, reference: Option<&SecretKeyRef>) -> Result<(), Invalid> {
    reference.map_or(Ok(()), |reference| secret_key(field, reference))
}
