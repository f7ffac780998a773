//! Validates the retention rules and the maximum age of the newest backup.

use std::collections::BTreeMap;

use api::{
    checks::retention::{self as check, MONTHS_MAX},
    policy::{Objectives, Retention},
};
use domain::retention::{Bucket, Count, Rules, Within};
use jiff::SignedDuration;

use super::field::{Invalid, in_limits, invalid, require};

/// The largest `objectives.maxAge`, in minutes.
const MAX_AGE_MINUTES: i64 = 399 * 24 * 60;

/// Validates `retention`. `minimumVerified` does not protect backups of the databases in `retired`.
pub fn rules(retention: &Retention, retired: &[String]) -> Result<Rules, Invalid> {
    let Retention {
        keep_last,
        keep_hourly,
        keep_daily,
        keep_weekly,
        keep_monthly,
        keep_yearly,
        keep_within,
        keep_within_hourly,
        keep_within_daily,
        keep_within_weekly,
        keep_within_monthly,
        keep_within_yearly,
        minimum_verified,
        dry_run: _,
    } = retention;
    let rules = [
        (Bucket::Last, "keepLast", keep_last, "keepWithin", keep_within),
        (Bucket::Hourly, "keepHourly", keep_hourly, "keepWithinHourly", keep_within_hourly),
        (Bucket::Daily, "keepDaily", keep_daily, "keepWithinDaily", keep_within_daily),
        (Bucket::Weekly, "keepWeekly", keep_weekly, "keepWithinWeekly", keep_within_weekly),
        (Bucket::Monthly, "keepMonthly", keep_monthly, "keepWithinMonthly", keep_within_monthly),
        (Bucket::Yearly, "keepYearly", keep_yearly, "keepWithinYearly", keep_within_yearly),
    ];
    let (mut keep, mut keep_within) = (BTreeMap::new(), BTreeMap::new());
    for (bucket, count_field, number, within_field, duration) in rules {
        if let Some(number) = number {
            keep.insert(bucket, count(count_field, *number)?);
        }
        if let Some(duration) = duration {
            keep_within.insert(bucket, within(within_field, duration)?);
        }
    }
    in_limits("retention.minimumVerified", minimum_verified, 1..=1000)?;
    let retired = retired.iter().cloned().collect();
    Ok(Rules { keep, keep_within, minimum_verified: *minimum_verified, retired })
}

fn count(field: &str, number: i32) -> Result<Count, Invalid> {
    match u32::try_from(number) {
        Ok(number @ 1..=10_000) => Ok(Count::Newest(number)),
        Err(_) if number == -1 => Ok(Count::All),
        _ => Err(invalid(format!("retention.{field}"), check::COUNT.message)),
    }
}

fn within(field: &str, duration: &str) -> Result<Within, Invalid> {
    let field = format!("retention.{field}");
    let months = duration.strip_suffix('m').and_then(|months| months.parse::<u16>().ok());
    let within = duration.parse().ok().filter(|within| *within != Within::default());
    let within = within.ok_or_else(|| invalid(field.clone(), check::WITHIN.message))?;
    require(field, check::WITHIN_MONTHS, months.is_none_or(|months| months <= MONTHS_MAX))?;
    Ok(within)
}

/// Validates `objectives.maxAge`, for example `90m`, `26h` or `8d`.
pub fn max_age(Objectives { max_age }: &Objectives) -> Result<Option<SignedDuration>, Invalid> {
    let Some(text) = max_age else { return Ok(None) };
    let minutes = minutes(text).filter(|minutes| (1..=MAX_AGE_MINUTES).contains(minutes));
    let minutes = minutes.ok_or_else(|| invalid("objectives.maxAge", check::MAX_AGE.message))?;
    let months_meant = text.ends_with('m') && minutes <= i64::from(MONTHS_MAX);
    require("objectives.maxAge", check::MAX_AGE_MINUTES, !months_meant)?;
    Ok(Some(SignedDuration::from_mins(minutes)))
}

/// Parses a duration with the unit `m`, `h` or `d`. Returns its minutes.
fn minutes(text: &str) -> Option<i64> {
    let (number, unit) = text.split_at_checked(text.len().checked_sub(1)?)?;
    let unit = match unit {
        "m" => 1,
        "h" => 60,
        "d" => 24 * 60,
        _ => return None,
    };
    number.parse::<i64>().ok()?.checked_mul(unit)
}
