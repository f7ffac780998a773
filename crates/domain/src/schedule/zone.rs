//! Time zones by their IANA names.

use jiff::tz::{TimeZone, TimeZoneDatabase};

use super::error::ScheduleError;

/// Finds a time zone in the compiled-in database. It accepts the names that Kubernetes accepts for
/// `CronJob.spec.timeZone`.
pub fn time_zone(name: &str) -> Result<TimeZone, ScheduleError> {
    if name.is_empty() {
        return Err(ScheduleError::ZoneEmpty);
    }
    if name.eq_ignore_ascii_case("Local") {
        return Err(ScheduleError::ZoneLocal);
    }
    let unknown = || ScheduleError::ZoneUnknown { name: name.to_owned() };
    let zone = TimeZoneDatabase::bundled().get(name).map_err(|_| unknown())?;
    // This library ignores the case of a name. Go opens the file of exactly this name.
    match zone.iana_name() {
        Some(known) if known == name => Ok(zone),
        Some(known) => Err(ScheduleError::ZoneSpelling { name: name.to_owned(), known: known.to_owned() }),
        None => Err(unknown()),
    }
}
