//! Computes when a run is overdue: at its scheduled time plus a grace period, which grows with the duration
//! of earlier runs.

use jiff::{SignedDuration, Timestamp, tz::TimeZone};

use crate::schedule::Schedule;

/// The shortest grace period. It allows for a pod that starts slowly and for a retry.
pub const LEAST_GRACE: SignedDuration = SignedDuration::from_mins(15);

/// The longest plausible duration of a run: seven days. A report with a longer duration is wrong.
const LONGEST_RUN_SECONDS: f64 = 7.0 * 24.0 * 60.0 * 60.0;

/// Returns the longest of the reported durations, given in seconds. The result is at most seven days, so that
/// a wrong report cannot delay `Overdue` indefinitely.
pub fn longest_run(seconds: impl IntoIterator<Item = f64>) -> SignedDuration {
    let longest = seconds.into_iter().fold(0.0, f64::max);
    SignedDuration::from_secs_f64(longest.min(LONGEST_RUN_SECONDS))
}

/// Returns the time at which the first scheduled run after `served` becomes overdue: its scheduled time plus
/// a grace period of twice `longest`, at least [`LEAST_GRACE`]. `None` if the schedule has no later time.
///
/// - `served`: the scheduled time of the newest verified backup, or of the newest scrub. If there is none,
///   the time since which the schedule applies.
/// - `longest`: the duration of the longest known run.
pub fn overdue_at(
    schedule: &Schedule,
    zone: &TimeZone,
    served: Timestamp,
    longest: SignedDuration,
) -> Option<Timestamp> {
    let due = schedule.after(zone, served)?;
    let grace = longest.saturating_add(longest).max(LEAST_GRACE);
    due.checked_add(grace).ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn backup_is_overdue_after_scheduled_time_plus_grace() {
        let nightly = Schedule::parse("0 2 * * *", "shop/nightly").unwrap();
        let time = |text: &str| text.parse::<Timestamp>().unwrap();
        let overdue = |newest, longest| overdue_at(&nightly, &TimeZone::UTC, time(newest), longest);
        let quick = SignedDuration::from_mins(5);
        let slow = SignedDuration::from_mins(40);
        // No run succeeded yet: the grace period starts at the first slot after the creation.
        assert_eq!(overdue("2026-05-01T01:00:00Z", quick), Some(time("2026-05-01T02:15:00Z")));
        // The slot at 02:00 is served, so the next slot becomes overdue.
        assert_eq!(overdue("2026-05-01T02:00:00Z", quick), Some(time("2026-05-02T02:15:00Z")));
        // The grace period is twice the duration of the longest run.
        assert_eq!(overdue("2026-05-01T02:00:00Z", slow), Some(time("2026-05-02T03:20:00Z")));
        assert_eq!(overdue("2026-05-01T02:00:00Z", SignedDuration::MAX), None);
    }

    #[test]
    fn longest_run_time_for_the_overdue_grace_is_capped() {
        let hours = |hours| SignedDuration::from_hours(hours);
        assert_eq!(longest_run([]), SignedDuration::ZERO);
        assert_eq!(longest_run([-5.0, f64::NAN]), SignedDuration::ZERO);
        assert_eq!(longest_run([60.0, 7200.0]), hours(2));
        assert_eq!(longest_run([60.0, 1e300]), hours(7 * 24));
    }
}
