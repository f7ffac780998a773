//! How far each rule reaches over the backups, newest first.

use jiff::{Timestamp, Zoned, tz::TimeZone};

use super::{
    bucket::{Bucket, Key},
    reason::KeepReason,
    rules::{Count, Rules},
};

/// The progress of each rule; `newest` is the time of the newest verified backup.
pub(super) fn windows(rules: &Rules, newest: Timestamp, zone: &TimeZone) -> Vec<Window> {
    let counting = rules.keep.iter().filter_map(|(bucket, count)| Window::counting(*bucket, *count));
    let within = rules.keep_within.iter().filter(|(_, within)| !within.is_none());
    let within = within.map(|(bucket, within)| Window::within(*bucket, within.before(newest, zone)));
    counting.chain(within).collect()
}

/// How far a rule reaches back.
enum Reach {
    /// All backups.
    All,
    /// This many more buckets.
    Buckets(u32),
    /// Backups younger than this.
    Since(Timestamp),
}

/// The progress of one rule over the backups: restic's `forget` for one kind of bucket.
pub(super) struct Window {
    bucket: Bucket,
    reach: Reach,
    /// The bucket that was filled last.
    filled: Option<Key>,
}

impl Window {
    /// A rule that fills `count` buckets; `None` for 0, which is no rule.
    fn counting(bucket: Bucket, count: Count) -> Option<Self> {
        let reach = match count {
            Count::All => Reach::All,
            Count::Newest(0) => return None,
            Count::Newest(n) => Reach::Buckets(n),
        };
        Some(Self { bucket, reach, filled: None })
    }

    /// A rule that fills each bucket after `since`.
    fn within(bucket: Bucket, since: Timestamp) -> Self {
        Self { bucket, reach: Reach::Since(since), filled: None }
    }

    /// Takes the snapshot time of the next older backup and returns why the rule keeps it, if it does.
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
