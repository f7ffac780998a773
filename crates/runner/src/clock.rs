//! The current time for reports, manifests and checks.

use jiff::Timestamp;

/// Returns the current time, rounded down to milliseconds.
pub fn now() -> Timestamp {
    let now = Timestamp::now();
    Timestamp::from_millisecond(now.as_millisecond()).unwrap_or(now)
}
