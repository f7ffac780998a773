//! Formats times for people.

use jiff::Timestamp;

/// Formats a time in UTC, to the minute, for example `2026-11-23 02:15 UTC`.
pub fn minute(at: Timestamp) -> String {
    at.strftime("%Y-%m-%d %H:%M UTC").to_string()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn time_is_shown_in_utc_to_the_minute() {
        assert_eq!(minute("2026-11-23T03:15:59+01:00".parse().unwrap()), "2026-11-23 02:15 UTC");
    }
}
