//! Time zones by IANA name.

use jiff::tz::{TimeZone, TimeZoneDatabase};

use super::error::ScheduleError;

/// Returns the time zone with this name from the compiled-in database. Accepts exactly the names that
/// Kubernetes accepts in `CronJob.spec.timeZone`.
pub fn time_zone(name: &str) -> Result<TimeZone, ScheduleError> {
    if name.is_empty() {
        return Err(ScheduleError::ZoneEmpty);
    }
    if name.eq_ignore_ascii_case("Local") {
        return Err(ScheduleError::ZoneLocal);
    }
    let unknown = || ScheduleError::ZoneUnknown { name: name.to_owned() };
    let zone = TimeZoneDatabase::bundled().get(name).map_err(|_| unknown())?;
    // The database ignores upper and lower case. Kubernetes does not: Go opens the file with exactly this
    // name.
    match zone.iana_name() {
        Some(known) if known == name => Ok(zone),
        Some(known) => Err(ScheduleError::ZoneSpelling { name: name.to_owned(), known: known.to_owned() }),
        None => Err(unknown()),
    }
}
