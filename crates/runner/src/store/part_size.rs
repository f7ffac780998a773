//! How large the parts of an upload are.

/// The smallest part, in bytes. An upload keeps several in memory. S3 accepts none below 5 MiB.
pub const MIN: u64 = 8 * 1024 * 1024;

/// The most parts of one object that S3 and GCS accept.
const MAX_PARTS: u64 = 10_000;

/// An archive can be larger than its database: bytea is dumped as hexadecimal digits, and TOAST is expanded.
const ARCHIVE_TO_DATABASE: u64 = 3;

/// The part size for the archive of a database of `database_bytes`. All parts but the last have it, as some stores
/// demand.
pub fn for_database(database_bytes: u64) -> u64 {
    MIN.max(ARCHIVE_TO_DATABASE.saturating_mul(database_bytes).div_ceil(MAX_PARTS))
}
