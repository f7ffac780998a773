//! How many backups are kept, for how long, and how old they may get.
//!
//! `m` is months in retention, as restic has it, and minutes in `maxAge`. A number of `m` that is more likely meant the other
//! way is rejected: more than [`MONTHS_MAX`] months, and [`MONTHS_MAX`] minutes or fewer.

use super::Check;

/// The most months that `keepWithin` takes without another unit, and the most minutes that `maxAge` rejects.
pub const MONTHS_MAX: u16 = 24;

/// A number of backups.
pub const COUNT: Check = Check {
    cel: "self == -1 || self >= 1",
    message: "a keep rule must be 1 or more, or -1 for all, for example keepDaily: 14. Remove the field to remove the rule.",
};

/// A duration of years, months, days and hours.
pub const WITHIN: Check = Check {
    cel: "self.matches('^([0-9]{1,4}[ymdh]){1,4}$') && !self.matches('(y.*y|m.*m|d.*d|h.*h)') && self.matches('[1-9]')",
    message: "a keepWithin rule must be a duration of years (y), months (m), days (d) and hours (h), each at most once, for example 14d, 1y6m or 2d12h",
};

/// A duration of so many months that minutes are meant.
pub const WITHIN_MONTHS: Check = Check {
    cel: "!self.matches('^0*(2[5-9]|[3-9][0-9]|[1-9][0-9]{2,3})m$')",
    message: "a keepWithin rule with m as its only unit must be at most 24m, because m means months, not minutes. Write hours, days or years, for example 12h, 30d or 3y.",
};

/// The age of a backup.
pub const MAX_AGE: Check = Check {
    cel: "self.matches('^[1-9][0-9]{0,5}[mhd]$') && int(self.substring(0, size(self) - 1)) <= (self.endsWith('m') ? 574560 : self.endsWith('h') ? 9576 : 399)",
    message: "maxAge must be a number of minutes (m), hours (h) or days (d), at most 399d, for example 90m, 26h or 8d",
};

/// An age of so few minutes that months are meant.
pub const MAX_AGE_MINUTES: Check = Check {
    cel: "!self.matches('^([1-9]|1[0-9]|2[0-4])m$')",
    message: "maxAge must be at least 25m, because m is minutes, not months. Write minutes, hours or days, for example 90m, 26h or 30d.",
};
