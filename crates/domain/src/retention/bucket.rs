//! Periods of time of which a rule keeps one backup, and how far a rule reaches.

use jiff::{Timestamp, Zoned};
use strum::{Display, EnumIter, EnumString, IntoEnumIterator as _, IntoStaticStr};

use super::{KeepReason, rules::Count};

/// A period of time of which a rule keeps the newest backup, in the policy's time zone.
#[derive(
    Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Display, EnumIter, EnumString, IntoStaticStr,
)]
#[strum(serialize_all = "camelCase")]
pub enum Bucket {
    /// No period: each backup has a bucket of its own.
    Last,
    /// An hour of the clock. The hour that is repeated when clocks are set back is one bucket, as in restic.
    Hourly,
    /// A day.
    Daily,
    /// An ISO week: Monday to Sunday, of the year that its Thursday lies in.
    Weekly,
    /// A month.
    Monthly,
    /// A year.
    Yearly,
}

/// The year, and the number of the period in it.
type Key = (i16, i16);

impl Bucket {
    /// All of them, the finest first.
    pub fn all() -> impl Iterator<Item = Self> {
        Self::iter()
    }

    /// The name in options, plans and reports: `daily`.
    pub fn as_str(self) -> &'static str {
        self.into()
    }

    /// The runner's option for a rule that counts: `keep-daily`.
    pub fn keep_option(self) -> String {
        format!("keep-{self}")
    }

    /// The runner's option for a rule of time: `keep-within`, `keep-within-daily`.
    pub fn keep_within_option(self) -> String {
        match self {
            Self::Last => "keep-within".to_owned(),
            _ => format!("keep-within-{self}"),
        }
    }

    /// Backups with equal keys share a bucket; a backup without a key shares its bucket with none.
    fn key(self, at: &Zoned) -> Option<Key> {
        match self {
            Self::Last => None,
            Self::Hourly => Some((at.year(), at.day_of_year() * 24 + i16::from(at.hour()))),
            Self::Daily => Some((at.year(), at.day_of_year())),
            Self::Weekly => {
                let week = at.date().iso_week_date();
                Some((week.year(), i16::from(week.week())))
            }
            Self::Monthly => Some((at.year(), i16::from(at.month()))),
            Self::Yearly => Some((at.year(), 0)),
        }
    }
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
    pub(super) fn counting(bucket: Bucket, count: Count) -> Option<Self> {
        let reach = match count {
            Count::All => Reach::All,
            Count::Newest(0) => return None,
            Count::Newest(n) => Reach::Buckets(n),
        };
        Some(Self { bucket, reach, filled: None })
    }

    /// A rule that fills each bucket after `since`.
    pub(super) fn within(bucket: Bucket, since: Timestamp) -> Self {
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
