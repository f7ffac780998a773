//! When a schedule's next backups are due: the function that the operator uses, whose times are the CronJob controller's.

use std::fmt::Write as _;

use clap::Args;
use domain::schedule::{self, Schedule, ScheduleError};
use jiff::{Timestamp, tz::TimeZone};
use serde_json::json;

use crate::Output;

/// Which schedule, and from when.
#[derive(Debug, Args)]
pub struct NextArgs {
    /// The schedule, as in spec.schedule: "15 2 * * *", @daily, "H 2 * * *".
    #[arg(long, value_name = "CRON", allow_hyphen_values = true)]
    schedule: String,
    /// The time zone, as in spec.timeZone.
    #[arg(long, value_name = "ZONE", default_value = "Etc/UTC")]
    time_zone: String,
    /// The moment after which runs are looked for, as 2026-11-23T02:15:00Z. Default: now.
    #[arg(long, value_name = "TIME")]
    from: Option<Timestamp>,
    /// How many.
    #[arg(short = 'n', long, value_name = "COUNT", default_value_t = 5, value_parser = clap::value_parser!(u16).range(1..=1000))]
    count: u16,
    /// The policy that an H is resolved for: its minute and hour depend on it.
    #[arg(long, value_name = "NAMESPACE/NAME", default_value = "default/policy")]
    policy: String,
    /// What to print; json is `{"next": ["2026-11-23T02:15:00Z", ...]}`.
    #[arg(long, short, value_enum, default_value = "table")]
    output: Output,
}

/// What the operator would refuse too.
#[derive(Debug, thiserror::Error)]
pub enum NextError {
    /// The schedule.
    #[error("--schedule: {0}")]
    Schedule(#[source] ScheduleError),
    /// The time zone.
    #[error("--time-zone: {0}")]
    TimeZone(#[source] ScheduleError),
}

/// The text to print.
pub fn next(args: &NextArgs) -> Result<String, NextError> {
    let schedule = Schedule::parse(&args.schedule, &args.policy).map_err(NextError::Schedule)?;
    let zone = schedule::time_zone(&args.time_zone).map_err(NextError::TimeZone)?;
    let times = schedule.upcoming(&zone, args.from.unwrap_or_else(Timestamp::now), usize::from(args.count));
    Ok(match args.output {
        Output::Json => {
            let times: Vec<String> = times.iter().map(Timestamp::to_string).collect();
            format!("{}\n", json!({ "next": times }))
        }
        Output::Table => table(&schedule, &zone, &args.time_zone, &times),
    })
}

/// In the zone, as people read their clocks, and in UTC, as logs and statuses have it.
fn table(schedule: &Schedule, zone: &TimeZone, name: &str, times: &[Timestamp]) -> String {
    let mut text = String::new();
    let mut line = |zoned: &str, utc: &str| {
        let _ = writeln!(text, "{zoned:<32}  {utc}");
    };
    line(&format!("{} ({})", name.to_uppercase(), schedule.effective()), "UTC");
    for time in times {
        let zoned = time.to_zoned(zone.clone());
        line(
            &zoned.strftime("%a %Y-%m-%d %H:%M %Z").to_string(),
            &time.strftime("%Y-%m-%d %H:%M").to_string(),
        );
    }
    if times.is_empty() {
        line("none within five years", "");
    }
    text
}
