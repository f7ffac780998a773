//! The command `kubectl pgbackup next`. It calls the same function as the operator, so the times are those of
//! the CronJob controller.

use clap::Args;
use domain::schedule::{self, Schedule, ScheduleError};
use jiff::{Timestamp, tz::TimeZone};
use serde_json::json;
use view::table::table;

use crate::output::{self, Output};

/// Show when the next backups of a schedule start
///
/// The times are those at which Kubernetes starts the backups. No cluster is needed: use it to try a schedule before you write
/// it into a policy.
#[derive(Debug, Args)]
#[command(after_help = "\
Examples:
  kubectl pgbackup next --schedule '15 2 * * *' --time-zone Europe/Berlin
  kubectl pgbackup next --schedule 'H 2 * * *' --policy shop/nightly --count 3 --output json")]
pub struct NextArgs {
    /// Schedule in the syntax of spec.schedule, for example '15 2 * * *', @daily or 'H 2 * * *'
    #[arg(long, value_name = "CRON", allow_hyphen_values = true)]
    schedule: String,
    /// Time zone of the schedule, as in spec.timeZone
    #[arg(long, value_name = "ZONE", default_value = domain::invocation::default::TIME_ZONE)]
    time_zone: String,
    /// Time after which the backups start, for example 2026-11-23T02:15:00Z [default: now]
    #[arg(long, value_name = "TIME")]
    from: Option<Timestamp>,
    /// Number of backups to show, at most 1000
    #[arg(long, value_name = "COUNT", default_value_t = 5, value_parser = clap::value_parser!(u16).range(1..=1000))]
    count: u16,
    /// Namespace and name of the policy. They determine the minute and the hour that replace an H in the schedule
    #[arg(long, value_name = "NAMESPACE/NAME", default_value = "default/policy")]
    policy: String,
    /// Output format. JSON is {"next": ["2026-11-23T02:15:00Z", ...]}
    #[arg(long, short, value_enum, default_value = "table")]
    output: Output,
}

#[derive(Debug, thiserror::Error)]
pub enum NextError {
    #[error("--schedule: {0}")]
    Schedule(#[source] ScheduleError),
    #[error("--time-zone: {0}")]
    TimeZone(#[source] ScheduleError),
}

pub fn next(args: &NextArgs) -> Result<String, NextError> {
    let schedule = Schedule::parse(&args.schedule, &args.policy).map_err(NextError::Schedule)?;
    let zone = schedule::time_zone(&args.time_zone).map_err(NextError::TimeZone)?;
    let times = schedule.upcoming(&zone, args.from.unwrap_or_else(Timestamp::now), usize::from(args.count));
    Ok(match args.output {
        Output::Json => {
            let times: Vec<String> = times.iter().map(Timestamp::to_string).collect();
            output::json(&json!({ "next": times }))
        }
        Output::Table => {
            let zone_header = format!("{} ({})", args.time_zone.to_uppercase(), schedule.effective());
            table([&zone_header, "UTC"], &rows(&zone, &times))
        }
    })
}

/// Returns a row for each time: in the schedule's zone, as clocks there show it, and in UTC, as logs and
/// statuses show it.
fn rows(zone: &TimeZone, times: &[Timestamp]) -> Vec<[String; 2]> {
    if times.is_empty() {
        return vec![["none within five years".to_owned(), String::new()]];
    }
    let row = |time: &Timestamp| {
        let zoned = time.to_zoned(zone.clone());
        [zoned.strftime("%a %Y-%m-%d %H:%M %Z").to_string(), time.strftime("%Y-%m-%d %H:%M").to_string()]
    };
    times.iter().map(row).collect()
}
