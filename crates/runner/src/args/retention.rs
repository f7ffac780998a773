//! The retention arguments of the subcommands `backup` and `plan`.

use std::collections::BTreeMap;

use clap::Args;
use domain::{
    invocation::{default, flag},
    retention::{Bucket, Count, MINIMUM_VERIFIED, Rules, Within},
};

/// Rules of retention, as in restic.
#[derive(Debug, Args)]
#[command(next_help_heading = "Retention")]
pub struct RetentionArgs {
    /// Time zone (IANA name) in which hours, days, weeks, months and years begin.
    #[arg(long = flag::TIME_ZONE, default_value = default::TIME_ZONE)]
    pub time_zone: String,
    /// Keep the newest N backups. In this and the other --keep rules with N, -1 means all.
    #[arg(long = flag::keep(Bucket::Last), value_name = "N", allow_negative_numbers = true)]
    keep_last: Option<Count>,
    /// Keep the last backup of each of the newest N hours that have a backup.
    #[arg(long = flag::keep(Bucket::Hourly), value_name = "N", allow_negative_numbers = true)]
    keep_hourly: Option<Count>,
    /// Keep the last backup of each of the newest N days that have a backup.
    #[arg(long = flag::keep(Bucket::Daily), value_name = "N", allow_negative_numbers = true)]
    keep_daily: Option<Count>,
    /// Keep the last backup of each of the newest N ISO weeks that have a backup.
    #[arg(long = flag::keep(Bucket::Weekly), value_name = "N", allow_negative_numbers = true)]
    keep_weekly: Option<Count>,
    /// Keep the last backup of each of the newest N months that have a backup.
    #[arg(long = flag::keep(Bucket::Monthly), value_name = "N", allow_negative_numbers = true)]
    keep_monthly: Option<Count>,
    /// Keep the last backup of each of the newest N years that have a backup.
    #[arg(long = flag::keep(Bucket::Yearly), value_name = "N", allow_negative_numbers = true)]
    keep_yearly: Option<Count>,
    /// Keep all backups that are at most this much older than the newest backup: 14d, 1y6m, 2d12h (m means
    /// months).
    #[arg(long = flag::keep_within(Bucket::Last), value_name = "TIME")]
    keep_within: Option<Within>,
    /// Keep the last backup of each hour, of the backups that are at most this much older than the newest
    /// backup.
    #[arg(long = flag::keep_within(Bucket::Hourly), value_name = "TIME")]
    keep_within_hourly: Option<Within>,
    /// Keep the last backup of each day, of the backups that are at most this much older than the newest
    /// backup.
    #[arg(long = flag::keep_within(Bucket::Daily), value_name = "TIME")]
    keep_within_daily: Option<Within>,
    /// Keep the last backup of each ISO week, of the backups that are at most this much older than the newest
    /// backup.
    #[arg(long = flag::keep_within(Bucket::Weekly), value_name = "TIME")]
    keep_within_weekly: Option<Within>,
    /// Keep the last backup of each month, of the backups that are at most this much older than the newest
    /// backup.
    #[arg(long = flag::keep_within(Bucket::Monthly), value_name = "TIME")]
    keep_within_monthly: Option<Within>,
    /// Keep the last backup of each year, of the backups that are at most this much older than the newest
    /// backup.
    #[arg(long = flag::keep_within(Bucket::Yearly), value_name = "TIME")]
    keep_within_yearly: Option<Within>,
    /// Keep the newest N verified backups of each database, whatever the other rules are.
    #[arg(long = flag::MINIMUM_VERIFIED, value_name = "N", default_value_t = MINIMUM_VERIFIED, value_parser = clap::value_parser!(u32).range(1..))]
    minimum_verified: u32,
    /// Name of a dropped database, whose backups --minimum-verified does not protect; repeatable.
    #[arg(long = flag::RETIRED, value_name = "DATABASE", allow_hyphen_values = true)]
    retired: Vec<String>,
}

impl RetentionArgs {
    pub fn rules(&self) -> Rules {
        let keep = [
            (Bucket::Last, self.keep_last),
            (Bucket::Hourly, self.keep_hourly),
            (Bucket::Daily, self.keep_daily),
            (Bucket::Weekly, self.keep_weekly),
            (Bucket::Monthly, self.keep_monthly),
            (Bucket::Yearly, self.keep_yearly),
        ];
        let keep_within = [
            (Bucket::Last, self.keep_within),
            (Bucket::Hourly, self.keep_within_hourly),
            (Bucket::Daily, self.keep_within_daily),
            (Bucket::Weekly, self.keep_within_weekly),
            (Bucket::Monthly, self.keep_within_monthly),
            (Bucket::Yearly, self.keep_within_yearly),
        ];
        Rules {
            keep: given(keep),
            keep_within: given(keep_within),
            minimum_verified: self.minimum_verified,
            retired: self.retired.iter().cloned().collect(),
        }
    }
}

fn given<T>(rules: [(Bucket, Option<T>); 6]) -> BTreeMap<Bucket, T> {
    rules.into_iter().filter_map(|(bucket, rule)| Some((bucket, rule?))).collect()
}

#[cfg(test)]
mod tests {
    use clap::Parser;

    use super::*;

    #[derive(Parser)]
    struct Line {
        #[command(flatten)]
        retention: RetentionArgs,
    }

    fn rules(line: &[String]) -> Rules {
        let words = std::iter::once("x".to_owned()).chain(line.iter().cloned());
        Line::try_parse_from(words).unwrap_or_else(|error| panic!("{error}")).retention.rules()
    }

    #[test]
    fn runner_parses_each_retention_option_of_the_operator() {
        for bucket in Bucket::all() {
            let counting = rules(&[format!("--{}=7", flag::keep(bucket))]);
            assert_eq!(counting.keep, [(bucket, Count::Newest(7))].into());
            let within = rules(&[format!("--{}=1y2d", flag::keep_within(bucket))]);
            assert_eq!(within.keep_within, [(bucket, "1y2d".parse().unwrap())].into());
        }
    }

    #[test]
    fn retention_option_accepts_minus_one_as_unlimited() {
        let words = ["--keep-daily", "-1", "--keep-last=-1"].map(str::to_owned);
        assert!(rules(&words).keep.values().all(|count| *count == Count::All));
    }
}
