//! Windows: the progress of each retention rule while it processes the backups from the newest to the oldest.

use jiff::{Timestamp, Zoned, tz::TimeZone};

use super::{
    bucket::{Bucket, Key},
    reason::KeepReason,
    rules::{Count, Rules},
};

/// Creates a window for each rule. `newest` is the time of the newest verified backup, from which durations
/// count back.
pub(super) fn windows(rules: &Rules, newest: Timestamp, zone: &TimeZone) -> Vec<Window> {
    let counting = rules.keep.iter().filter_map(|(bucket, count)| Window::counting(*bucket, *count));
    let within = rules.keep_within.iter().filter(|(_, within)| !within.is_none());
    let within = within.map(|(bucket, within)| Window::within(*bucket, within.before(newest, zone)));
    counting.chain(within).collect()
}

/// The range in which a rule keeps backups.
enum Reach {
    /// The rule keeps backups without limit.
    All,
    /// The rule keeps backups in this number of further buckets.
    Buckets(u32),
    /// The rule keeps backups that are newer than this time.
    Since(Timestamp),
}

/// The progress of one retention rule, as in restic's `forget`.
pub(super) struct Window {
    bucket: Bucket,
    reach: Reach,
    /// The bucket of the backup that the rule kept last.
    filled: Option<Key>,
}

impl Window {
    /// Creates the window of a count rule; `None` for a count of 0, which means that there is no rule.
    fn counting(bucket: Bucket, count: Count) -> Option<Self> {
        let reach = match count {
            Count::All => Reach::All,
            Count::Newest(0) => return None,
            Count::Newest(n) => Reach::Buckets(n),
        };
        Some(Self { bucket, reach, filled: None })
    }

    /// Creates the window of a duration rule. It keeps a backup of each bucket after `since`.
    fn within(bucket: Bucket, since: Timestamp) -> Self {
        Self { bucket, reach: Reach::Since(since), filled: None }
    }

    /// Processes the next older backup, with the snapshot time `at`. Returns why the rule keeps it; `None` if
    /// the rule does not keep it.
    pub(super) fn take(&mut self, at: &Zoned, is_oldest: bool) -> Option<KeepReason> {
        let reached = match self.reach {
            Reach::All => true,
            Reach::Buckets(left) => left > 0,
            Reach::Since(since) => at.timestamp() > since,
        };
        if !reached {
            return None;
        }
        let key = self.bucket.key(at);
        let starts = key.is_none() || key != self.filled;
        if !starts && !is_oldest {
            return None;
        }
        self.filled = key;
        if let Reach::Buckets(left) = &mut self.reach {
            *left -= 1;
        }
        Some(match (&self.reach, starts) {
            (Reach::Since(_), _) => KeepReason::Within(self.bucket),
            (_, true) => KeepReason::Rule(self.bucket),
            (_, false) => KeepReason::Oldest(self.bucket),
        })
    }
}
