//! Validates the schedules of backups and scrubs.

use api::policy::Scrub;
use domain::schedule::Schedule;

use super::field::{Invalid, characters, in_limits};

/// The validated schedule and share of scrubs.
#[derive(Clone, Debug)]
pub struct ValidScrub {
    /// The schedule of scrubs.
    pub schedule: Schedule,
    /// The percentage of the stored bytes that one scrub reads.
    pub share: u8,
}

/// Validates a schedule. `identity` determines the number that replaces each `H`.
pub fn schedule(field: &'static str, schedule: &str, identity: &str) -> Result<Schedule, Invalid> {
    characters(field, schedule, 0..=100)?;
    Schedule::parse(schedule, identity).map_err(|source| Invalid::Schedule { field, source })
}

/// Validates `verification.scrub`.
pub fn scrub(Scrub { schedule: text, share }: &Scrub, identity: &str) -> Result<ValidScrub, Invalid> {
    in_limits("verification.scrub.share", share, 1..=100)?;
    Ok(ValidScrub { schedule: schedule("verification.scrub.schedule", text, identity)?, share: *share })
}
