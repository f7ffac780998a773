//! The size of the parts of a multipart upload.

/// The smallest part size, in bytes. It is small because an upload keeps several parts in memory. S3 accepts
/// no parts below 5 MiB.
pub const MIN: u64 = 8 * 1024 * 1024;

/// The maximum number of parts of one object that S3 and GCS accept.
const MAX_PARTS: u64 = 10_000;

/// The largest expected ratio of an archive's size to its database's size. An archive can be larger because
/// bytea is dumped as hexadecimal digits and TOAST values are decompressed.
const ARCHIVE_TO_DATABASE: u64 = 3;

/// Returns the part size for the archive of a database of `database_bytes`. All parts except the last have
/// this size, because some stores require equal sizes.
pub fn for_database(database_bytes: u64) -> u64 {
    MIN.max(ARCHIVE_TO_DATABASE.saturating_mul(database_bytes).div_ceil(MAX_PARTS))
}
