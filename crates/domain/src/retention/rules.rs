//! The retention rules of a policy, and their syntax.

use std::{
    collections::{BTreeMap, BTreeSet},
    fmt,
    str::FromStr,
};

use jiff::{Timestamp, ToSpan as _, tz::TimeZone};

use super::bucket::Bucket;

/// The default of `retention.minimumVerified`.
pub const MINIMUM_VERIFIED: u32 = 3;

/// The retention rules of a policy. A backup is kept if at least one rule keeps it. As in restic, a count of
/// 0 or an empty duration means that there is no rule.
#[derive(Clone, Debug, PartialEq, Eq, Default)]
pub struct Rules {
    /// The count rules (`keepLast`, `keepHourly` and so on): keep the newest backup of each of the newest n
    /// buckets that contain a backup.
    pub keep: BTreeMap<Bucket, Count>,
    /// The duration rules (`keepWithinHourly` and so on; `keepWithin` is [`Bucket::Last`]): keep the newest
    /// backup of each bucket, for backups less than this much older than the newest verified one.
    pub keep_within: BTreeMap<Bucket, Within>,
    /// The number of newest verified backups of each database that are kept even if no rule keeps them; 0
    /// means 1.
    pub minimum_verified: u32,
    /// The databases that the policy has retired. The minimum does not keep their backups.
    pub retired: BTreeSet<String>,
}

impl Rules {
    /// Returns whether there is no rule. Without rules nothing is deleted.
    pub fn is_empty(&self) -> bool {
        self.keep.values().all(|count| *count == Count::Newest(0))
            && self.keep_within.values().all(|within| within.is_none())
    }
}

/// The number of buckets in which a count rule keeps a backup.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Count {
    /// All buckets, written as -1.
    All,
    /// The newest n buckets.
    Newest(u32),
}

impl FromStr for Count {
    type Err = InvalidRule;

    fn from_str(text: &str) -> Result<Self, InvalidRule> {
        match text {
            "-1" => Ok(Self::All),
            _ => text.parse().map(Self::Newest).map_err(|_| InvalidRule::Count { text: text.to_owned() }),
        }
    }
}

impl fmt::Display for Count {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::All => f.write_str("-1"),
            Self::Newest(n) => write!(f, "{n}"),
        }
    }
}

/// The largest number of each unit. It is longer than the age of any backup and within the calendar's range.
const MOST: u16 = 9999;

/// A duration in restic's syntax, for example `1y6m`, `14d` or `2d12h`. `m` means months. Years and months
/// follow the calendar.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Within {
    years: u16,
    months: u16,
    days: u16,
    hours: u16,
}

impl Within {
    pub(super) fn is_none(self) -> bool {
        self == Self::default()
    }

    /// Returns the time this much before `newest`. Years, months and days follow the calendar of `zone`; a
    /// day that a month lacks becomes its last day (31 March minus a month is 28 February). Hours are exact.
    pub(super) fn before(self, newest: Timestamp, zone: &TimeZone) -> Timestamp {
        let Self { years, months, days, hours } = self;
        let calendar = i64::from(years).years().months(i64::from(months)).days(i64::from(days));
        let day = newest.to_zoned(zone.clone()).checked_sub(calendar).map(|day| day.timestamp());
        // Before the calendar's range: every backup is newer.
        day.and_then(|day| day.checked_sub(i64::from(hours).hours())).unwrap_or(Timestamp::MIN)
    }
}

impl FromStr for Within {
    type Err = InvalidRule;

    fn from_str(text: &str) -> Result<Self, InvalidRule> {
        let invalid = || InvalidRule::Within { text: text.to_owned() };
        let mut within = Self::default();
        let mut seen = BTreeSet::new();
        let mut rest = text;
        while let Some(end) = rest.find(|c: char| !c.is_ascii_digit()) {
            let number = rest[..end].parse().ok().filter(|number| *number <= MOST).ok_or_else(invalid)?;
            let unit = rest[end..].chars().next().ok_or_else(invalid)?;
            match unit {
                'y' => within.years = number,
                'm' => within.months = number,
                'd' => within.days = number,
                'h' => within.hours = number,
                _ => return Err(invalid()),
            }
            if !seen.insert(unit) {
                return Err(invalid());
            }
            rest = &rest[end + unit.len_utf8()..];
        }
        if seen.is_empty() || !rest.is_empty() { Err(invalid()) } else { Ok(within) }
    }
}

impl fmt::Display for Within {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { years, months, days, hours } = *self;
        let parts = [(years, 'y'), (months, 'm'), (days, 'd'), (hours, 'h')];
        if self.is_none() {
            return f.write_str("0h");
        }
        parts.into_iter().filter(|(n, _)| *n > 0).try_for_each(|(n, unit)| write!(f, "{n}{unit}"))
    }
}

/// An error: a retention rule is invalid.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum InvalidRule {
    /// The number of a count rule is invalid.
    #[error("{text:?} is not a number to keep: write a number, for example 7, or -1 for all")]
    Count {
        /// The rejected text.
        text: String,
    },
    /// The duration of a rule is invalid.
    #[error(
        "{text:?} is not a duration: write years (y), months (m), days (d) and hours (h), each at most once, for example 14d, 1y6m or 2d12h"
    )]
    Within {
        /// The rejected text.
        text: String,
    },
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn retention_count_is_a_number_or_minus_one() {
        assert_eq!("7".parse(), Ok(Count::Newest(7)));
        assert_eq!("-1".parse(), Ok(Count::All));
        for text in ["", "-2", "1.5", "many", "99999999999"] {
            assert!(text.parse::<Count>().is_err(), "{text}");
        }
        assert_eq!(Count::All.to_string(), "-1");
    }

    #[test]
    fn keep_within_duration_is_parsed_in_restic_syntax() {
        for (text, shown) in
            [("1y2m3d4h", "1y2m3d4h"), ("4h3d", "3d4h"), ("14d", "14d"), ("0d", "0h"), ("9999y", "9999y")]
        {
            assert_eq!(
                text.parse::<Within>().map(|within| within.to_string()),
                Ok(shown.to_owned()),
                "{text}"
            );
        }
        for text in ["", "7", "d", "7w", "1d1d", "-1d", "1 d", "1d2", "99999d", "1\u{e4}"] {
            assert!(text.parse::<Within>().is_err(), "{text:?}");
        }
    }

    #[test]
    fn keep_within_follows_the_calendar_of_the_time_zone() {
        let before = |text: &str, newest: &str, zone: &str| {
            let zone = crate::schedule::time_zone(zone).unwrap();
            text.parse::<Within>().unwrap().before(newest.parse().unwrap(), &zone).to_string()
        };
        assert_eq!(before("1m", "2026-03-31T12:00:00Z", "UTC"), "2026-02-28T12:00:00Z");
        assert_eq!(before("1y", "2028-02-29T12:00:00Z", "UTC"), "2027-02-28T12:00:00Z");
        assert_eq!(before("1y2m3d4h", "2026-05-04T03:00:00Z", "UTC"), "2025-02-28T23:00:00Z");
        // 29 March 2026 has 23 hours in Berlin: a day before noon is 23 hours earlier, 24 hours before it is
        // 24 hours earlier.
        assert_eq!(before("1d", "2026-03-29T12:00:00Z", "Europe/Berlin"), "2026-03-28T13:00:00Z");
        assert_eq!(before("24h", "2026-03-29T12:00:00Z", "Europe/Berlin"), "2026-03-28T12:00:00Z");
        assert_eq!(before("9999y", "2026-03-29T12:00:00Z", "UTC"), "-007973-03-29T12:00:00Z");
    }
}
