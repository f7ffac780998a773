//! Names of the runner's options, without the leading `--`.

use crate::retention::Bucket;

/// The option with the namespace of the policy.
pub const NAMESPACE: &str = "namespace";
/// The option with the name of the policy.
pub const POLICY: &str = "policy";
/// The option with the UID of the policy.
pub const POLICY_UID: &str = "policy-uid";

/// The option with the folder or the bucket URL of the store.
pub const STORE: &str = "store";
/// The option with the PEM file of the certificate authorities that verify the store's certificate.
pub const STORE_CA: &str = "store-ca";
/// The option with the storage class of new objects.
pub const STORAGE_CLASS: &str = "storage-class";
/// The option that puts the bucket's name into the path of URLs, instead of into the host name.
pub const S3_PATH_STYLE: &str = "s3-path-style";
/// The option with the server-side encryption of S3.
pub const S3_ENCRYPTION: &str = "s3-encryption";
/// The option with the id of the KMS key for server-side encryption.
pub const S3_KMS_KEY_ID: &str = "s3-kms-key-id";
/// The option with the algorithm of the checksum that S3 verifies for each upload.
pub const S3_CHECKSUM: &str = "s3-checksum";
/// The option with the age at which a backup without a manifest is removed from a bucket, in seconds.
pub const LEFTOVER_AGE: &str = "leftover-age";

/// The option with the name or pattern of databases to back up. It can be repeated.
pub const INCLUDE: &str = "include";
/// The option with the name or pattern of databases to exclude. It can be repeated.
pub const EXCLUDE: &str = "exclude";
/// The option that selects whether the backup contains roles and tablespaces.
pub const GLOBALS: &str = "globals";
/// The option with the compression of archives, for example `zstd:1`.
pub const COMPRESS: &str = "compress";
/// The option with the maximum time that a backup waits for the lock of a table, in seconds.
pub const LOCK_TIMEOUT: &str = "lock-timeout";
/// The option with the pattern of tables whose rows are excluded. It can be repeated.
pub const EXCLUDE_TABLE_DATA: &str = "exclude-table-data";
/// The option with the maximum lag of a standby behind its primary, in seconds.
pub const MAX_REPLICA_LAG: &str = "max-replica-lag";
/// The option that allows client programs with a newer major version than the server.
pub const ALLOW_NEWER_CLIENT: &str = "allow-newer-client";
/// The option that makes a backup fail if pg_dump leaves out rows of a table that belongs to an extension.
pub const STRICT_EXTENSIONS: &str = "strict-extensions";
/// The option with the UID of the policy whose repository the policy takes over.
pub const ADOPT_FROM: &str = "adopt-from";

/// The option with the time zone of the retention rules.
pub const TIME_ZONE: &str = "time-zone";
/// The option with the number of newest verified backups of each database that are always kept.
pub const MINIMUM_VERIFIED: &str = "minimum-verified";
/// The option with the name of a database that no longer exists. It can be repeated.
pub const RETIRED: &str = "retired";
/// The option that makes retention only report which backups it would delete.
pub const DRY_RUN: &str = "dry-run";

/// The option with the level of verification.
pub const VERIFY: &str = "verify";
/// The option with the percentage of its rows or bytes that a database can lose before a backup is
/// suspicious.
pub const MAX_SHRINK: &str = "max-shrink";
/// The option with the name of a suspicious backup that a person acknowledged. It can be repeated.
pub const ACKNOWLEDGED: &str = "acknowledged";

/// The option with the percentage of the stored bytes that a scrub reads.
pub const SHARE: &str = "share";

/// Returns the option with a count rule of retention, for example `keep-daily`. The names are those of
/// restic.
pub const fn keep(bucket: Bucket) -> &'static str {
    match bucket {
        Bucket::Last => "keep-last",
        Bucket::Hourly => "keep-hourly",
        Bucket::Daily => "keep-daily",
        Bucket::Weekly => "keep-weekly",
        Bucket::Monthly => "keep-monthly",
        Bucket::Yearly => "keep-yearly",
    }
}

/// Returns the option with a duration rule of retention, for example `keep-within-daily`. The names are those
/// of restic.
pub const fn keep_within(bucket: Bucket) -> &'static str {
    match bucket {
        Bucket::Last => "keep-within",
        Bucket::Hourly => "keep-within-hourly",
        Bucket::Daily => "keep-within-daily",
        Bucket::Weekly => "keep-within-weekly",
        Bucket::Monthly => "keep-within-monthly",
        Bucket::Yearly => "keep-within-yearly",
    }
}
