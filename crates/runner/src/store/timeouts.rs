//! The timeouts and retries of requests to an object store.

use std::time::Duration;

use super::part_size;

/// The time limit for establishing a connection.
pub const CONNECT_TIMEOUT: Duration = Duration::from_secs(10);

/// The longest time between two chunks of a response. While the store receives a request, it sends nothing:
/// this allows a part of 8 MiB at 70 kB/s.
pub const READ_TIMEOUT: Duration = Duration::from_mins(2);

/// The expected minimum speed for sending a part larger than [`part_size::MIN`]. Only large databases have
/// such parts; at a lower speed their backups would take weeks.
const PART_BYTES_A_SECOND: u64 = 1_000_000;

/// The maximum number of retries of a request. The pauses double from 0.1 s and are about half a minute in
/// total.
pub const RETRIES: usize = 8;

/// The latest time after the first attempt at which a retry may start. All retries have the same signature,
/// which S3 accepts for 15 minutes.
pub const LAST_RETRY: Duration = Duration::from_mins(14);

/// The timeouts of one client, which depend on the size of its requests.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct RequestTimeouts {
    /// The longest time without a byte from the store.
    pub read: Duration,
    /// The longest time from the first attempt of a request to the start of its last retry.
    pub retry: Duration,
}

impl RequestTimeouts {
    /// Returns the timeouts for requests of at most `part` bytes.
    pub fn for_part(part: u64) -> Self {
        let more = Duration::from_secs(part.saturating_sub(part_size::MIN).div_ceil(PART_BYTES_A_SECOND));
        let read = READ_TIMEOUT + more;
        // Longer than `read`, so that an attempt that times out is followed by another.
        Self { read, retry: (read + Duration::from_mins(1)).min(LAST_RETRY) }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn store_timeouts_grow_with_the_upload_part_size() {
        let minutes = Duration::from_mins;
        let smallest = RequestTimeouts::for_part(part_size::MIN);
        assert_eq!(smallest, RequestTimeouts { read: minutes(2), retry: minutes(3) });
        // The part size of a database of 1 TB.
        let part = 300 * 1_000_000;
        let RequestTimeouts { read, retry } = RequestTimeouts::for_part(part);
        assert!(read > minutes(6) && read < minutes(8) && retry > read, "{read:?}, {retry:?}");
        assert_eq!(RequestTimeouts::for_part(10 * part).retry, LAST_RETRY);
    }
}
