//! Notices that the node's clock was set, or that the machine slept: what waits for a moment waits by a clock that knows of
//! neither, and would be late by as much.

use std::time::{Duration, Instant, SystemTime};

use futures::{Stream, stream};

/// How often the two clocks are compared. Costs nothing that can be measured, and bounds how late anything is.
const LOOK_EVERY: Duration = Duration::from_secs(30);

/// A clock that is held right by a time service moves by less than this.
const TOLERATED: Duration = Duration::from_secs(2);

/// Gives an item whenever the clock of the wall went otherwise than the one that cannot be set.
pub fn jumps() -> impl Stream<Item = ()> + Send + Sync {
    jumps_of(|| (SystemTime::now(), Instant::now()))
}

/// The same by these two clocks.
fn jumps_of(
    clocks: impl Fn() -> (SystemTime, Instant) + Copy + Send + Sync,
) -> impl Stream<Item = ()> + Send + Sync {
    stream::unfold(clocks(), move |mut last| async move {
        loop {
            tokio::time::sleep(LOOK_EVERY).await;
            let (before, now) = (last, clocks());
            last = now;
            if jumped(before.0, now.0, now.1.duration_since(before.1)) {
                tracing::warn!("the clock was set, or the machine slept: all policies are looked at again");
                return Some(((), last));
            }
        }
    })
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

    /// The wall's clock is set by an hour in the third half minute, and by another one in the fifth.
    #[tokio::test(start_paused = true)]
    async fn everything_is_looked_at_once_for_each_time_that_the_clock_was_set() {
        let begun = (SystemTime::UNIX_EPOCH, Instant::now());
        let looks = AtomicU64::new(0);
        let clocks = || {
            let look = looks.fetch_add(1, Ordering::Relaxed);
            let passed = LOOK_EVERY * u32::try_from(look).unwrap();
            let set = Duration::from_hours([0, 0, 0, 1, 1, 2][usize::try_from(look).unwrap().min(5)]);
            (begun.0 + passed + set, begun.1 + passed)
        };
        let started = time::Instant::now();
        let mut jumps = pin!(jumps_of(&clocks));
        assert_eq!(looks.load(Ordering::Relaxed), 1, "it begins before anybody waits for it");
        for half_minutes in [3, 5] {
            assert_eq!(jumps.next().await, Some(()));
            assert_eq!(started.elapsed().as_secs() / LOOK_EVERY.as_secs(), half_minutes);
        }
        let day = time::timeout(Duration::from_hours(24), jumps.next()).await;
        assert!(day.is_err(), "a clock that goes as it should wakes nobody");
    }

    #[test]
    fn a_clock_that_was_set_is_noticed_and_one_that_goes_is_not() {
        let before = SystemTime::UNIX_EPOCH + Duration::from_hours(1);
        let after = |went: i64| {
            let went = Duration::from_secs(went.unsigned_abs());
            jumped(before, before + went, LOOK_EVERY)
        };
        assert!(!after(30) && !after(31) && !after(29));
        assert!(after(33) && after(27) && after(3600) && after(0));
        assert!(jumped(before, before - Duration::from_mins(5), LOOK_EVERY), "set back");
    }
}
