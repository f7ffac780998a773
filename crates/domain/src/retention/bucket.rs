//! Buckets of time, and how many of them a rule still has to fill.

use std::fmt;

use jiff::civil::Date;

use super::KeepReason;

/// What a rule keeps one set of.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Bucket {
    /// A bucket of its own for each set.
    Last,
    /// A day of the policy's zone.
    Daily,
    /// An ISO week: Monday to Sunday, of the year that its Thursday lies in.
    Weekly,
    /// A month.
    Monthly,
}

impl Bucket {
    /// Sets of equal keys share a bucket. `None` shares with nothing.
    fn key(self, day: Date) -> Option<(i16, i16)> {
        match self {
            Self::Last => None,
            Self::Daily => Some((day.year(), day.day_of_year())),
            Self::Weekly => {
                let week = day.iso_week_date();
                Some((week.year(), i16::from(week.week())))
            }
            Self::Monthly => Some((day.year(), i16::from(day.month()))),
        }
    }
}

impl fmt::Display for Bucket {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Last => "last",
            Self::Daily => "daily",
            Self::Weekly => "weekly",
            Self::Monthly => "monthly",
        })
    }
}

/// A rule at work: restic's `forget` for one kind of bucket.
pub(super) struct Window {
    bucket: Bucket,
    /// How many more buckets it fills.
    left: u32,
    /// The bucket that it filled last.
    filled: Option<(i16, i16)>,
}

impl Window {
    pub(super) fn new(bucket: Bucket, count: u32) -> Self {
        Self { bucket, left: count, filled: None }
    }

    /// Takes the next older set, by the day of its snapshot, and says whether the rule keeps it.
    pub(super) fn take(&mut self, day: Date, is_oldest: bool) -> Option<KeepReason> {
        self.left.checked_sub(1)?;
        let key = self.bucket.key(day);
        let starts = key.is_none() || key != self.filled;
        if !starts && !is_oldest {
            return None;
        }
        self.filled = key;
        self.left -= 1;
        Some(if starts { KeepReason::Rule(self.bucket) } else { KeepReason::Oldest(self.bucket) })
    }
}
