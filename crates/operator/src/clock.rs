//! Notices that the node's clock was set, or that the machine slept: what waits for a moment waits by a clock that knows of
//! neither, and would be late by as much.

use std::{
    sync::{Arc, Mutex, PoisonError},
    time::{Duration, Instant, SystemTime},
};

use futures::{Stream, stream};
use jiff::Timestamp;
use tokio::sync::Notify;

/// How often the two clocks are compared at least. Costs nothing that can be measured, and bounds how late anything is.
const LOOK_EVERY: Duration = Duration::from_secs(30);

/// A clock that is held right by a time service moves by less than this.
const TOLERATED: Duration = Duration::from_secs(2);

/// The clock of the wall, and the one that cannot be set.
type Clocks = (SystemTime, Instant);

/// What time it is. Who acts by a time asks here: a clock that is wrong for a moment only is noticed where somebody did.
pub struct Clock {
    read: Box<dyn Fn() -> Clocks + Send + Sync>,
    last: Mutex<Clocks>,
    backup: Notify,
}

impl Default for Clock {
    fn default() -> Self {
        Self::reading(|| (SystemTime::now(), Instant::now()))
    }
}

impl Clock {
    fn reading(read: impl Fn() -> Clocks + Send + Sync + 'static) -> Self {
        Self { last: Mutex::new(read()), read: Box::new(read), backup: Notify::new() }
    }

    /// The time by the wall's clock.
    pub fn now(&self) -> Timestamp {
        self.compare(false)
    }

    /// Compares the clocks with what they were when this half minute began, and begins another if it is over. Not with what
    /// they were at the last question: where many ask, a clock that is moved slowly would never be noticed.
    fn compare(&self, half_minute_is_over: bool) -> Timestamp {
        let mut last = self.last.lock().unwrap_or_else(PoisonError::into_inner);
        let now = (self.read)();
        let jumped = jumped(last.0, now.0, now.1.saturating_duration_since(last.1));
        if jumped || half_minute_is_over {
            *last = now;
        }
        if jumped {
            self.backup.notify_one();
        }
        Timestamp::try_from(now.0).unwrap_or_default()
    }

    /// Gives an item whenever the clock of the wall went otherwise than the one that cannot be set.
    pub fn jumps(self: Arc<Self>) -> impl Stream<Item = ()> + Send + Sync {
        stream::unfold(self, |clock| async move {
            while tokio::time::timeout(LOOK_EVERY, clock.backup.notified()).await.is_err() {
                clock.compare(true);
            }
            tracing::warn!("the clock was backup, or the machine slept: all policies are looked at again");
            Some(((), clock))
        })
    }
}

/// Whether the wall's clock went from `before` to `now` while `passed` went by.
fn jumped(before: SystemTime, now: SystemTime, passed: Duration) -> bool {
    // Back, or forward by more or less than time has passed.
    now.duration_since(before).map_or(true, |went| went.abs_diff(passed) > TOLERATED)
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

    /// Clocks that go on by half a minute at each look, the wall's being ahead by so many hours then.
    fn clock(hours: &'static [u64]) -> Arc<Clock> {
        let begun = (SystemTime::UNIX_EPOCH, Instant::now());
        let looks = AtomicU64::new(0);
        Arc::new(Clock::reading(move || {
            let look = usize::try_from(looks.fetch_add(1, Ordering::Relaxed)).unwrap();
            let passed = LOOK_EVERY * u32::try_from(look).unwrap();
            let backup = Duration::from_hours(*hours.get(look).unwrap_or(hours.last().unwrap()));
            (begun.0 + passed + backup, begun.1 + passed)
        }))
    }

    #[tokio::test(start_paused = true)]
    async fn everything_is_looked_at_once_for_each_time_that_the_clock_was_set() {
        let started = time::Instant::now();
        let mut jumps = pin!(clock(&[0, 0, 0, 1, 1, 2]).jumps());
        for half_minutes in [3, 5] {
            assert_eq!(jumps.next().await, Some(()));
            assert_eq!(started.elapsed().as_secs() / LOOK_EVERY.as_secs(), half_minutes);
        }
        let day = time::timeout(Duration::from_hours(24), jumps.next()).await;
        assert!(day.is_err(), "a clock that goes as it should wakes nobody");
    }

    #[tokio::test(start_paused = true)]
    async fn a_wrong_time_that_somebody_was_told_is_noticed_though_it_is_right_again() {
        let clock = clock(&[0, 5, 0]);
        let mut jumps = pin!(clock.clone().jumps());
        assert_eq!(clock.now().as_second(), 5 * 3600 + 30);
        assert_eq!(clock.now().as_second(), 60);
        assert_eq!(jumps.next().await, Some(()));
        let day = time::timeout(Duration::from_hours(24), jumps.next()).await;
        assert!(day.is_err(), "once is enough");
    }

    #[tokio::test(start_paused = true)]
    async fn a_clock_that_is_moved_slowly_is_noticed_however_many_ask() {
        let begun = (SystemTime::UNIX_EPOCH, Instant::now());
        let looks = AtomicU64::new(0);
        // A second at each look, and the wall's clock goes by a tenth more.
        let clock = Clock::reading(move || {
            let passed = Duration::from_secs(looks.fetch_add(1, Ordering::Relaxed));
            (begun.0 + passed + passed / 10, begun.1 + passed)
        });
        for _ in 0..25 {
            clock.now();
        }
        time::timeout(LOOK_EVERY, clock.backup.notified()).await.expect("it is more than two seconds ahead");
    }

    #[test]
    fn a_clock_that_was_backup_is_noticed_and_one_that_goes_is_not() {
        let before = SystemTime::UNIX_EPOCH + Duration::from_hours(1);
        let after = |went: i64| {
            let went = Duration::from_secs(went.unsigned_abs());
            jumped(before, before + went, LOOK_EVERY)
        };
        assert!(!after(30) && !after(31) && !after(29));
        assert!(after(33) && after(27) && after(3600) && after(0));
        assert!(jumped(before, before - Duration::from_mins(5), LOOK_EVERY), "backup back");
    }
}
