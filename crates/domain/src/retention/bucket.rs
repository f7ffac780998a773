//! Buckets are periods of time. A retention rule keeps one backup of each period.

use jiff::Zoned;
use strum::{Display, EnumIter, EnumString, IntoEnumIterator as _, IntoStaticStr};

/// The kind of period (hour, day, ...) of which a retention rule keeps the newest backup. Periods are those
/// of the policy's time zone.
#[derive(
    Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Display, EnumIter, EnumString, IntoStaticStr,
)]
#[strum(serialize_all = "camelCase")]
pub enum Bucket {
    /// No period: each backup is in a bucket of its own.
    Last,
    /// An hour of the wall clock. The hour that repeats when clocks are set back is one bucket, as in restic.
    Hourly,
    /// A calendar day.
    Daily,
    /// An ISO week: Monday to Sunday. It belongs to the year of its Thursday.
    Weekly,
    /// A calendar month.
    Monthly,
    /// A calendar year.
    Yearly,
}

/// Identifies one bucket of a kind: the year, and the number of the period in that year.
pub(super) type Key = (i16, i16);

impl Bucket {
    /// Returns all kinds, from the shortest period to the longest.
    pub fn all() -> impl Iterator<Item = Self> {
        Self::iter()
    }

    /// Returns the name in plans and reports, for example `daily`.
    pub fn as_str(self) -> &'static str {
        self.into()
    }

    /// Returns the key of the bucket that contains the time `at`. Backups with equal keys share a bucket.
    /// `None` for [`Bucket::Last`]: each backup is in a bucket of its own.
    pub(super) fn key(self, at: &Zoned) -> Option<Key> {
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
