//! Which backups stay.

use api::{messages, policy::Retention};
use domain::retention::{Bucket, Count, Rules, Within};

use super::{Invalid, valid_patterns, value};

/// Checks `retention`; `retired` are the databases whose backups no floor holds.
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
    let counts = [
        (Bucket::Last, keep_last),
        (Bucket::Hourly, keep_hourly),
        (Bucket::Daily, keep_daily),
        (Bucket::Weekly, keep_weekly),
        (Bucket::Monthly, keep_monthly),
        (Bucket::Yearly, keep_yearly),
    ];
    let counts = counts.into_iter().filter_map(|(bucket, count)| Some((bucket, valid_count((*count)?))));
    let lengths = [
        (Bucket::Last, keep_within),
        (Bucket::Hourly, keep_within_hourly),
        (Bucket::Daily, keep_within_daily),
        (Bucket::Weekly, keep_within_weekly),
        (Bucket::Monthly, keep_within_monthly),
        (Bucket::Yearly, keep_within_yearly),
    ];
    let lengths =
        lengths.into_iter().filter_map(|(bucket, text)| Some((bucket, valid_length(text.as_deref()?))));
    if !(1..=1000).contains(minimum_verified) {
        return Err(value(
            "retention.minimumVerified",
            "write a count from 1 to 1000; the newest verified backup always stays",
        ));
    }
    Ok(Rules {
        keep: counts.map(|(bucket, count)| Ok((bucket, count?))).collect::<Result<_, _>>()?,
        keep_within: lengths.map(|(bucket, length)| Ok((bucket, length?))).collect::<Result<_, _>>()?,
        minimum_verified: *minimum_verified,
        retired: valid_patterns("postgres.databases.retired", retired, 0)?.into_iter().collect(),
    })
}

fn valid_count(count: i32) -> Result<Count, Invalid> {
    match u32::try_from(count) {
        Ok(n @ 1..=10_000) => Ok(Count::Newest(n)),
        Err(_) if count == -1 => Ok(Count::All),
        _ => Err(value("retention", messages::COUNT)),
    }
}

fn valid_length(text: &str) -> Result<Within, Invalid> {
    text.parse()
        .ok()
        .filter(|within| *within != Within::default())
        .ok_or_else(|| value("retention", messages::LENGTH))
}
