//! Rules for retention and for `maxAge`.
//!
//! `m` means months in retention, as in restic, but minutes in `maxAge`. Numbers of `m` that were probably
//! meant in the other unit are rejected: more than [`MONTHS_MAX`] months in retention, and at most
//! [`MONTHS_MAX`] minutes in `maxAge`.

use super::Check;

/// The largest number of months that a `keepWithin` rule accepts if it has no other unit. It is also the
/// largest number of minutes that `maxAge` rejects.
pub const MONTHS_MAX: u16 = 24;

/// The number of a keep rule must be at least 1, or -1 for all backups.
pub const COUNT: Check = Check {
    cel: "self == -1 || self >= 1",
    message: "a keep rule must be 1 or more, or -1 for all, for example keepDaily: 14. Remove the field to remove the rule.",
};

/// A `keepWithin` rule must be a duration of years, months, days and hours, each unit at most once, and not
/// zero.
pub const WITHIN: Check = Check {
    cel: "self.matches('^([0-9]{1,4}[ymdh]){1,4}$') && !self.matches('(y.*y|m.*m|d.*d|h.*h)') && self.matches('[1-9]')",
    message: "a keepWithin rule must be a duration of years (y), months (m), days (d) and hours (h), each at most once, for example 14d, 1y6m or 2d12h",
};

/// A `keepWithin` rule of months alone must be at most 24 months, because a larger number was probably meant
/// in minutes.
pub const WITHIN_MONTHS: Check = Check {
    cel: "!self.matches('^0*(2[5-9]|[3-9][0-9]|[1-9][0-9]{2,3})m$')",
    message: "a keepWithin rule with m as its only unit must be at most 24m, because m means months, not minutes. Write hours, days or years, for example 12h, 30d or 3y.",
};

/// `maxAge` must be a number of minutes, hours or days, at most 399 days.
pub const MAX_AGE: Check = Check {
    cel: "self.matches('^[1-9][0-9]{0,5}[mhd]$') && int(self.substring(0, size(self) - 1)) <= (self.endsWith('m') ? 574560 : self.endsWith('h') ? 9576 : 399)",
    message: "maxAge must be a number of minutes (m), hours (h) or days (d), at most 399d, for example 90m, 26h or 8d",
};

/// `maxAge` must be at least 25 minutes, because a smaller number of `m` was probably meant in months.
pub const MAX_AGE_MINUTES: Check = Check {
    cel: "!self.matches('^([1-9]|1[0-9]|2[0-4])m$')",
    message: "maxAge must be at least 25 minutes. m means minutes, not months: for months write days, for example 60d.",
};
