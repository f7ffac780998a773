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
    /// IANA time zone of hours, days, weeks, months and years.
    #[arg(long = flag::TIME_ZONE, default_value = default::TIME_ZONE)]
    pub time_zone: String,
    /// Keep the newest N backups; -1 keeps all, also in the rules below.
    #[arg(long = flag::keep(Bucket::Last), value_name = "N", allow_negative_numbers = true)]
    keep_last: Option<Count>,
    /// Keep the newest backup of each of the last N hours with a backup.
    #[arg(long = flag::keep(Bucket::Hourly), value_name = "N", allow_negative_numbers = true)]
    keep_hourly: Option<Count>,
    /// Keep the newest backup of each of the last N days with a backup.
    #[arg(long = flag::keep(Bucket::Daily), value_name = "N", allow_negative_numbers = true)]
    keep_daily: Option<Count>,
    /// Keep the newest backup of each of the last N ISO weeks with a backup.
    #[arg(long = flag::keep(Bucket::Weekly), value_name = "N", allow_negative_numbers = true)]
    keep_weekly: Option<Count>,
    /// Keep the newest backup of each of the last N months with a backup.
    #[arg(long = flag::keep(Bucket::Monthly), value_name = "N", allow_negative_numbers = true)]
    keep_monthly: Option<Count>,
    /// Keep the newest backup of each of the last N years with a backup.
    #[arg(long = flag::keep(Bucket::Yearly), value_name = "N", allow_negative_numbers = true)]
    keep_yearly: Option<Count>,
    /// Keep all backups within this time before the newest verified backup: 14d, 1y6m, 2d12h (m means months).
    #[arg(long = flag::keep_within(Bucket::Last), value_name = "TIME")]
    keep_within: Option<Within>,
    /// Keep the newest backup of each hour within this time before the newest verified backup.
    #[arg(long = flag::keep_within(Bucket::Hourly), value_name = "TIME")]
    keep_within_hourly: Option<Within>,
    /// Keep the newest backup of each day within this time before the newest verified backup.
    #[arg(long = flag::keep_within(Bucket::Daily), value_name = "TIME")]
    keep_within_daily: Option<Within>,
    /// Keep the newest backup of each ISO week within this time before the newest verified backup.
    #[arg(long = flag::keep_within(Bucket::Weekly), value_name = "TIME")]
    keep_within_weekly: Option<Within>,
    /// Keep the newest backup of each month within this time before the newest verified backup.
    #[arg(long = flag::keep_within(Bucket::Monthly), value_name = "TIME")]
    keep_within_monthly: Option<Within>,
    /// Keep the newest backup of each year within this time before the newest verified backup.
    #[arg(long = flag::keep_within(Bucket::Yearly), value_name = "TIME")]
    keep_within_yearly: Option<Within>,
    /// Always keep the newest N verified backups of each database.
    #[arg(long = flag::MINIMUM_VERIFIED, value_name = "N", default_value_t = MINIMUM_VERIFIED, value_parser = clap::value_parser!(u32).range(1..))]
    minimum_verified: u32,
    /// Database that no longer exists: --minimum-verified does not protect its backups; repeatable.
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
