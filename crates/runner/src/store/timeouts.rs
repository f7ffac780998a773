//! How long a client waits for an object store.

use std::time::Duration;

use super::part_size;

/// Until a connection is made.
pub const CONNECT_TIMEOUT: Duration = Duration::from_secs(10);

/// Between two pieces of an answer. The store sends nothing while it receives a request: a part of 8 MiB takes that long
/// at 70 kB/s.
pub const READ_TIMEOUT: Duration = Duration::from_mins(2);

/// How fast a larger part is expected to be sent. Any slower, the dump of a database with such parts takes weeks.
const PART_BYTES_A_SECOND: u64 = 1_000_000;

/// How often a request is repeated. The pauses double from 0.1 s: about half a minute in all.
pub const RETRIES: usize = 8;

/// When the last repetition of a request may start. All repetitions have one signature, which S3 accepts for 15 minutes.
pub const LAST_RETRY: Duration = Duration::from_mins(14);

/// The timeouts of one client, which depend on the size of its requests.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct RequestTimeouts {
    /// Without a byte from the store.
    pub read: Duration,
    /// From the first attempt of a request to the start of its last one.
    pub retry: Duration,
}

impl RequestTimeouts {
    /// For requests of at most `part` bytes.
    pub fn for_part(part: u64) -> Self {
        let more = Duration::from_secs(part.saturating_sub(part_size::MIN).div_ceil(PART_BYTES_A_SECOND));
        let read = READ_TIMEOUT + more;
        // So one attempt that times out is followed by another.
        Self { read, retry: (read + Duration::from_mins(1)).min(LAST_RETRY) }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn timeouts_grow_with_the_part_size() {
        let minutes = Duration::from_mins;
        let smallest = RequestTimeouts::for_part(part_size::MIN);
        assert_eq!(smallest, RequestTimeouts { read: minutes(2), retry: minutes(3) });
        // The parts of a database of 1 TB.
        let part = 300 * 1_000_000;
        let RequestTimeouts { read, retry } = RequestTimeouts::for_part(part);
        assert!(read > minutes(6) && read < minutes(8) && retry > read, "{read:?}, {retry:?}");
        assert_eq!(RequestTimeouts::for_part(10 * part).retry, LAST_RETRY);
    }
}
