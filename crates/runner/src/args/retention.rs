//! The rules of retention on the command line: those of a backup and of a plan.

use std::collections::BTreeMap;

use clap::Args;
use domain::retention::{Bucket, Count, Rules, Within};

/// Which backups are kept, with restic's meaning.
#[derive(Debug, Args)]
#[command(next_help_heading = "Retention")]
pub struct RetentionArgs {
    /// The IANA time zone of the rules' hours, days, weeks, months and years.
    #[arg(long, default_value = "Etc/UTC")]
    pub time_zone: String,
    /// Keep the newest N backups; -1 keeps all, here and below.
    #[arg(long, value_name = "N", allow_negative_numbers = true)]
    keep_last: Option<Count>,
    /// Keep the newest backup of each of the last N hours that have one.
    #[arg(long, value_name = "N", allow_negative_numbers = true)]
    keep_hourly: Option<Count>,
    /// The same for days.
    #[arg(long, value_name = "N", allow_negative_numbers = true)]
    keep_daily: Option<Count>,
    /// The same for ISO weeks.
    #[arg(long, value_name = "N", allow_negative_numbers = true)]
    keep_weekly: Option<Count>,
    /// The same for months.
    #[arg(long, value_name = "N", allow_negative_numbers = true)]
    keep_monthly: Option<Count>,
    /// The same for years.
    #[arg(long, value_name = "N", allow_negative_numbers = true)]
    keep_yearly: Option<Count>,
    /// Keep all backups younger than this, counted back from the newest verified one: 14d, 1y6m, 2d12h.
    #[arg(long, value_name = "TIME")]
    keep_within: Option<Within>,
    /// Keep the newest backup of each hour, of those younger than this.
    #[arg(long, value_name = "TIME")]
    keep_within_hourly: Option<Within>,
    /// The same for days.
    #[arg(long, value_name = "TIME")]
    keep_within_daily: Option<Within>,
    /// The same for ISO weeks.
    #[arg(long, value_name = "TIME")]
    keep_within_weekly: Option<Within>,
    /// The same for months.
    #[arg(long, value_name = "TIME")]
    keep_within_monthly: Option<Within>,
    /// The same for years.
    #[arg(long, value_name = "TIME")]
    keep_within_yearly: Option<Within>,
    /// The newest N verified backups of each database stay whatever the rules say.
    #[arg(long, value_name = "N", default_value_t = 3, value_parser = clap::value_parser!(u32).range(1..))]
    minimum_verified: u32,
    /// A database that is gone for good: --minimum-verified no longer holds its backups; may be given many times.
    #[arg(long, value_name = "DATABASE", allow_hyphen_values = true)]
    retired: Vec<String>,
}

impl RetentionArgs {
    /// The rules.
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
    fn each_rule_has_the_option_that_the_operator_writes() {
        for bucket in Bucket::all() {
            let counting = rules(&[format!("--{}=7", bucket.keep_option())]);
            assert_eq!(counting.keep, [(bucket, Count::Newest(7))].into());
            let within = rules(&[format!("--{}=1y2d", bucket.keep_within_option())]);
            assert_eq!(within.keep_within, [(bucket, "1y2d".parse().unwrap())].into());
        }
    }

    #[test]
    fn all_is_written_as_in_restic() {
        let words = ["--keep-daily", "-1", "--keep-last=-1"].map(str::to_owned);
        assert!(rules(&words).keep.values().all(|count| *count == Count::All));
    }
}
