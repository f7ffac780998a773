//! Periods of time of which a rule keeps one backup.

use jiff::Zoned;
use strum::{Display, EnumIter, EnumString, IntoEnumIterator as _, IntoStaticStr};

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
pub(super) type Key = (i16, i16);

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
