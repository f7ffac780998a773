//! Time zones by their IANA names.

use jiff::tz::{TimeZone, TimeZoneDatabase};

use super::error::ScheduleError;

/// The zone of an IANA name, as Kubernetes accepts it for `CronJob.spec.timeZone`, from the database that is
/// compiled in.
pub fn time_zone(name: &str) -> Result<TimeZone, ScheduleError> {
    if name.is_empty() {
        return Err(ScheduleError::ZoneEmpty);
    }
    if name.eq_ignore_ascii_case("Local") {
        return Err(ScheduleError::ZoneLocal);
    }
    let unknown = || ScheduleError::ZoneUnknown { name: name.to_owned() };
    let zone = TimeZoneDatabase::bundled().get(name).map_err(|_| unknown())?;
    // The library finds names in any case; Go looks for a file of exactly this name.
    match zone.iana_name() {
        Some(known) if known == name => Ok(zone),
        Some(known) => Err(ScheduleError::ZoneSpelling { name: name.to_owned(), known: known.to_owned() }),
        None => Err(unknown()),
    }
}
