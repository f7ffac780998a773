//! Buckets of time, and how far a rule reaches.

use jiff::{Timestamp, Zoned};
use strum::{Display, EnumIter, EnumString, IntoEnumIterator as _, IntoStaticStr};

use super::{KeepReason, rules::Count};

/// What a rule keeps one backup of. Buckets are those of the policy's time zone.
#[derive(
    Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Display, EnumIter, EnumString, IntoStaticStr,
)]
#[strum(serialize_all = "camelCase")]
pub enum Bucket {
    /// A bucket of its own for each backup.
    Last,
    /// An hour by the clock; the one that is repeated when the clocks go back is one, as in restic.
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

/// The year and what is counted in it.
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

    /// Sets of equal keys share a bucket. `None` shares with nothing.
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
    /// Over all there is.
    All,
    /// Over so many more buckets.
    Buckets(u32),
    /// To backups younger than this.
    Since(Timestamp),
}

/// A rule at work: restic's `forget` for one kind of bucket.
pub(super) struct Window {
    bucket: Bucket,
    reach: Reach,
    /// The bucket that it filled last.
    filled: Option<Key>,
}

impl Window {
    /// The rule that fills `count` buckets; `None` for a rule of 0, which is none.
    pub(super) fn counting(bucket: Bucket, count: Count) -> Option<Self> {
        let reach = match count {
            Count::All => Reach::All,
            Count::Newest(0) => return None,
            Count::Newest(n) => Reach::Buckets(n),
        };
        Some(Self { bucket, reach, filled: None })
    }

    /// The rule that fills each bucket after `since`.
    pub(super) fn within(bucket: Bucket, since: Timestamp) -> Self {
        Self { bucket, reach: Reach::Since(since), filled: None }
    }

    /// Takes the next older backup, by the time of its snapshot, and says whether the rule keeps it.
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
