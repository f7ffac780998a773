//! The wall clock, and the detection of jumps: the node's clock was set, or the machine slept.
//!
//! Timers use the monotonic clock, which does not include jumps. Without the detection, everything that waits
//! for a time of day would be late by the jump.

use std::{
    sync::{Arc, Mutex, PoisonError},
    time::{Duration, Instant, SystemTime},
};

use futures::{Stream, stream};
use jiff::Timestamp;
use tokio::sync::Notify;

/// The longest time between two comparisons of the clocks, and so the longest delay after a jump. Comparing
/// costs nothing measurable.
const COMPARE_EVERY: Duration = Duration::from_secs(30);

/// The difference in one interval that counts as a jump. A time service (NTP) that corrects a running clock
/// changes it by less.
const TOLERATED: Duration = Duration::from_secs(2);

/// The readings of the wall clock and of the monotonic clock.
type Clocks = (SystemTime, Instant);

/// The wall clock. All code that acts by the time of day reads it here, so that a clock that is wrong only
/// for a moment is detected if anything acted by it.
pub struct Clock {
    read: Box<dyn Fn() -> Clocks + Send + Sync>,
    interval_start: Mutex<Clocks>,
    jumped: Notify,
}

impl Default for Clock {
    fn default() -> Self {
        Self::reading(|| (SystemTime::now(), Instant::now()))
    }
}

impl Clock {
    fn reading(read: impl Fn() -> Clocks + Send + Sync + 'static) -> Self {
        Self { interval_start: Mutex::new(read()), read: Box::new(read), jumped: Notify::new() }
    }

    pub fn now(&self) -> Timestamp {
        self.compare(false)
    }

    /// Compares the clocks with those at the start of the interval. Starts a new interval if
    /// `interval_is_over` or if the clock jumped. A comparison with the previous call would miss a slow drift
    /// when many callers read the clock.
    fn compare(&self, interval_is_over: bool) -> Timestamp {
        let mut start = self.interval_start.lock().unwrap_or_else(PoisonError::into_inner);
        let now = (self.read)();
        let jumped = is_jump(start.0, now.0, now.1.saturating_duration_since(start.1));
        if jumped || interval_is_over {
            *start = now;
        }
        if jumped {
            self.jumped.notify_one();
        }
        Timestamp::try_from(now.0).unwrap_or_default()
    }

    /// Yields an item after each jump: when the wall clock advanced differently from the monotonic clock.
    pub fn jumps(self: Arc<Self>) -> impl Stream<Item = ()> + Send + Sync {
        stream::unfold(self, |clock| async move {
            while tokio::time::timeout(COMPARE_EVERY, clock.jumped.notified()).await.is_err() {
                clock.compare(true);
            }
            tracing::warn!("the clock was set or the machine slept; reconciling all policies");
            Some(((), clock))
        })
    }
}

/// Returns whether the wall clock advanced from `before` to `now` by clearly more or less than `elapsed`.
fn is_jump(before: SystemTime, now: SystemTime, elapsed: Duration) -> bool {
    // `duration_since` fails if the clock was set back.
    now.duration_since(before).map_or(true, |advance| advance.abs_diff(elapsed) > TOLERATED)
}

#[cfg(test)]
mod tests {
    use std::{
        pin::pin,
        sync::atomic::{AtomicU64, Ordering},
    };

    use futures::StreamExt as _;
    use tokio::time;

    use super::*;

    /// Returns a clock that advances by one interval at each reading. At each reading the wall clock is ahead
    /// by the given hours.
    fn clock(hours: &'static [u64]) -> Arc<Clock> {
        let begun = (SystemTime::UNIX_EPOCH, Instant::now());
        let readings = AtomicU64::new(0);
        Arc::new(Clock::reading(move || {
            let reading = usize::try_from(readings.fetch_add(1, Ordering::Relaxed)).unwrap();
            let elapsed = COMPARE_EVERY * u32::try_from(reading).unwrap();
            let ahead = Duration::from_hours(*hours.get(reading).unwrap_or(hours.last().unwrap()));
            (begun.0 + elapsed + ahead, begun.1 + elapsed)
        }))
    }

    #[tokio::test(start_paused = true)]
    async fn each_clock_jump_is_reported_once() {
        let started = time::Instant::now();
        let mut jumps = pin!(clock(&[0, 0, 0, 1, 1, 2]).jumps());
        for intervals in [3, 5] {
            assert_eq!(jumps.next().await, Some(()));
            assert_eq!(started.elapsed().as_secs() / COMPARE_EVERY.as_secs(), intervals);
        }
        let day = time::timeout(Duration::from_hours(24), jumps.next()).await;
        assert!(day.is_err(), "a steady clock reports no jump");
    }

    #[tokio::test(start_paused = true)]
    async fn clock_jump_is_reported_even_if_soon_corrected() {
        let clock = clock(&[0, 5, 0]);
        let mut jumps = pin!(clock.clone().jumps());
        assert_eq!(clock.now().as_second(), 5 * 3600 + 30);
        assert_eq!(clock.now().as_second(), 60);
        assert_eq!(jumps.next().await, Some(()));
        let day = time::timeout(Duration::from_hours(24), jumps.next()).await;
        assert!(day.is_err(), "one report for both jumps");
    }

    #[tokio::test(start_paused = true)]
    async fn slow_clock_drift_is_reported_despite_frequent_reads() {
        let begun = (SystemTime::UNIX_EPOCH, Instant::now());
        let readings = AtomicU64::new(0);
        // Both clocks advance by one second at each reading, and the wall clock by a tenth more.
        let clock = Clock::reading(move || {
            let elapsed = Duration::from_secs(readings.fetch_add(1, Ordering::Relaxed));
            (begun.0 + elapsed + elapsed / 10, begun.1 + elapsed)
        });
        for _ in 0..25 {
            clock.now();
        }
        time::timeout(COMPARE_EVERY, clock.jumped.notified()).await.expect("2.5 s ahead should be a jump");
    }

    #[test]
    fn clock_deviation_of_one_second_is_not_a_jump() {
        let before = SystemTime::UNIX_EPOCH + Duration::from_hours(1);
        let advanced_by = |seconds| is_jump(before, before + Duration::from_secs(seconds), COMPARE_EVERY);
        assert!(!advanced_by(30) && !advanced_by(31) && !advanced_by(29));
        assert!(advanced_by(33) && advanced_by(27) && advanced_by(3600) && advanced_by(0));
        assert!(is_jump(before, before - Duration::from_mins(5), COMPARE_EVERY), "set back");
    }
}
