//! The time of the simulation: milliseconds since 1970, like the runner's clock.

use jiff::Timestamp;

pub const SECOND: i64 = 1000;
pub const MINUTE: i64 = 60 * SECOND;
pub const HOUR: i64 = 60 * MINUTE;
pub const DAY: i64 = 24 * HOUR;

pub fn at(millis: i64) -> Timestamp {
    Timestamp::from_millisecond(millis).expect("a moment should be one")
}

/// Converts to a time as in statuses, rounded down to seconds.
pub fn whole(millis: i64) -> Timestamp {
    api::status::time(at(millis)).0
}
