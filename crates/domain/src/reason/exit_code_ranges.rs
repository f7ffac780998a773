//! The exit codes of the runner: their ranges, and the reason of each code. The reasons have the codes.

use std::ops::RangeInclusive;

use super::Reason;

/// The exit codes of failures that a retry can solve.
pub const RETRIABLE: RangeInclusive<u8> = 10..=39;

/// The exit codes of failures that a retry cannot solve. The pod failure policy of a Job stops at these.
pub const FINAL: RangeInclusive<u8> = 64..=95;

/// Rust's exit code of a panic.
const PANIC: u8 = 101;

impl Reason {
    /// Returns the reason of a runner's exit code; `None` for a code that the runner never returns. 101,
    /// Rust's exit code of a panic, is `InternalError`.
    pub fn from_exit_code(code: i32) -> Option<Self> {
        match u8::try_from(code).ok()? {
            0 => Some(Self::Verified),
            PANIC => Some(Self::InternalError),
            code => Self::all().find(|reason| reason.exit_code() == Some(code)),
        }
    }

    /// Returns whether a retry of the same run may succeed.
    pub const fn retriable(self) -> bool {
        matches!(self.exit_code(), Some(code) if *RETRIABLE.start() <= code && code <= *RETRIABLE.end())
    }
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use super::*;

    #[test]
    fn exit_codes_are_in_the_ranges_of_the_pod_failure_policy() {
        let codes: Vec<u8> = Reason::all().filter_map(Reason::exit_code).collect();
        assert!(codes.iter().all(|c| *c == 0 || RETRIABLE.contains(c) || FINAL.contains(c)), "{codes:?}");
        let failures: Vec<_> = codes.iter().filter(|code| **code != 0).collect();
        assert_eq!(failures.iter().collect::<BTreeSet<_>>().len(), failures.len(), "each means one thing");
    }

    #[test]
    fn every_failure_exit_code_maps_back_to_its_reason() {
        let failures = Reason::all().filter_map(|reason| Some((reason, reason.exit_code()?)));
        for (reason, code) in failures.filter(|(_, code)| *code > 0) {
            assert_eq!(Reason::from_exit_code(code.into()), Some(reason));
        }
        assert_eq!(Reason::from_exit_code(0), Some(Reason::Verified));
        assert_eq!(Reason::from_exit_code(101), Some(Reason::InternalError), "a panic");
        for code in [1, 2, 137, 256 + 30, -1] {
            assert_eq!(Reason::from_exit_code(code), None, "{code}");
        }
    }
}
