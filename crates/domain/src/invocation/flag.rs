//! Names of the runner's options, without the leading `--`.

use crate::retention::Bucket;

/// The namespace of the policy.
pub const NAMESPACE: &str = "namespace";
/// The name of the policy.
pub const POLICY: &str = "policy";
/// The UID of the policy.
pub const POLICY_UID: &str = "policy-uid";

/// The folder or the bucket of the store.
pub const STORE: &str = "store";
/// The certificate authorities that the store's certificate is verified with.
pub const STORE_CA: &str = "store-ca";
/// The storage class of objects.
pub const STORAGE_CLASS: &str = "storage-class";
/// The bucket's name is in the path of URLs.
pub const S3_PATH_STYLE: &str = "s3-path-style";
/// Server-side encryption.
pub const S3_ENCRYPTION: &str = "s3-encryption";
/// The key of server-side encryption.
pub const S3_KMS_KEY_ID: &str = "s3-kms-key-id";
/// The checksum of each request.
pub const S3_CHECKSUM: &str = "s3-checksum";
/// The age of leftovers in a bucket, in seconds.
pub const LEFTOVER_AGE: &str = "leftover-age";

/// A database to back up.
pub const INCLUDE: &str = "include";
/// A database that is not backed up.
pub const EXCLUDE: &str = "exclude";
/// Whether the backup contains roles and tablespaces.
pub const GLOBALS: &str = "globals";
/// The compression of archives.
pub const COMPRESS: &str = "compress";
/// How long a backup waits for locks, in seconds.
pub const LOCK_TIMEOUT: &str = "lock-timeout";
/// A table whose rows are excluded.
pub const EXCLUDE_TABLE_DATA: &str = "exclude-table-data";
/// How far a standby can be behind, in seconds.
pub const MAX_REPLICA_LAG: &str = "max-replica-lag";
/// Client tools can be newer than the server.
pub const ALLOW_NEWER_CLIENT: &str = "allow-newer-client";
/// Rows of extensions that are left out fail the backup.
pub const STRICT_EXTENSIONS: &str = "strict-extensions";
/// The UID of the policy whose repository is taken over.
pub const ADOPT_FROM: &str = "adopt-from";

/// The time zone of the retention rules.
pub const TIME_ZONE: &str = "time-zone";
/// How many verified backups of each database are kept regardless of the rules.
pub const MINIMUM_VERIFIED: &str = "minimum-verified";
/// A database that no longer exists.
pub const RETIRED: &str = "retired";
/// Retention only reports what it would delete.
pub const DRY_RUN: &str = "dry-run";

/// The level of verification.
pub const VERIFY: &str = "verify";
/// How much a database can lose, in percent.
pub const MAX_SHRINK: &str = "max-shrink";
/// A suspicious backup that a person acknowledged.
pub const ACKNOWLEDGED: &str = "acknowledged";

/// The share of the stored bytes that a scrub reads, in percent.
pub const SHARE: &str = "share";

/// The retention rule that keeps the newest backup of each of so many periods. The names are those of restic.
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

/// The retention rule that keeps the newest backup of each period within a time. The names are those of restic.
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
