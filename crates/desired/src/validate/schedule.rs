//! When backups and scrubs start.

use api::policy::Scrub;
use domain::schedule::Schedule;

use super::field::{Invalid, characters, in_limits};

/// When scrubs start, and how much they read.
#[derive(Clone, Debug)]
pub struct ValidScrub {
    /// When a scrub starts.
    pub schedule: Schedule,
    /// How much of the stored bytes one scrub reads, in percent.
    pub share: u8,
}

/// Checks a schedule. `identity` decides what each `H` in it is.
pub fn schedule(field: &'static str, schedule: &str, identity: &str) -> Result<Schedule, Invalid> {
    characters(field, schedule, 0..=100)?;
    Schedule::parse(schedule, identity).map_err(|source| Invalid::Schedule { field, source })
}

/// Checks `verification.scrub`.
pub fn scrub(Scrub { schedule: text, share }: &Scrub, identity: &str) -> Result<ValidScrub, Invalid> {
    in_limits("verification.scrub.share", share, 1..=100)?;
    Ok(ValidScrub { schedule: schedule("verification.scrub.schedule", text, identity)?, share: *share })
}
