//! Rules for schedules and time zones.

use schemars::Schema;

use super::Check;

/// Adds all rules for schedules to the schema of a field that contains a schedule.
pub fn schedule(schema: &mut Schema) {
    for check in [EVERY, ZONE_IN_SCHEDULE, SHORTHAND, FIVE_FIELDS] {
        kube::core::validate(schema, check.rule()).expect("a rule should always be JSON");
    }
}

/// A schedule must not be `@every <duration>`. Some cron programs accept it, but it has no fixed times.
pub const EVERY: Check = Check {
    cel: "!self.startsWith('@every')",
    message: "schedule must not be @every, which has no fixed times. Write five cron fields, for example \"0 */6 * * *\".",
};

/// A schedule must not contain a time zone, such as `TZ=Europe/Berlin` in front of the fields.
pub const ZONE_IN_SCHEDULE: Check = Check {
    cel: "self.startsWith('@') || !self.contains('TZ')",
    message: "schedule must not contain a time zone. Write the time zone in spec.timeZone, for example Europe/Berlin.",
};

/// A schedule that starts with `@` must be one of the seven shorthands, such as `@daily`.
pub const SHORTHAND: Check = Check {
    cel: "!self.startsWith('@') || self.startsWith('@every') || self in ['@yearly', '@annually', '@monthly', '@weekly', '@daily', '@midnight', '@hourly']",
    message: "a schedule that starts with @ must be @yearly, @annually, @monthly, @weekly, @daily, @midnight or @hourly in lower case, for example @daily",
};

/// A schedule must have five fields. Schedules that start with `@` or contain a time zone pass, because other
/// rules reject them.
pub const FIVE_FIELDS: Check = Check {
    cel: r"self.startsWith('@') || self.contains('TZ') || self.matches(r'^\s*\S+(\s+\S+){4}\s*$')",
    message: "schedule must have five fields (minute hour day-of-month month day-of-week) and none for seconds, for example \"15 2 * * *\"",
};

/// `timeZone` must have the form of an IANA name, such as `Europe/Berlin`.
pub const TIME_ZONE: Check = Check {
    cel: "self.matches('^[A-Za-z0-9_+-]+(/[A-Za-z0-9_+-]+)*$')",
    message: "timeZone must be an IANA name, for example Europe/Berlin or Etc/UTC",
};

/// `timeZone` must not be `Local`, which is the time zone of the host that runs the CronJob controller.
pub const TIME_ZONE_LOCAL: Check = Check {
    cel: "self != 'Local'",
    message: "timeZone must not be Local, which is the zone of the host that runs the CronJob controller. Write an IANA name, for example Europe/Berlin.",
};
