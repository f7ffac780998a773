//! What the API server says of a value that cannot work, and the CEL that finds it: one sentence that says what to write
//! instead.
//!
//! The operator says the same of a policy that came past an older definition, so the sentences stand here once. A length
//! that is too great and a word that is none of an enumeration have the API server's own sentences, which are good.

/// `metadata.name`.
pub const POLICY_NAME: &str = "metadata.name: write at most 45 characters; the policy's CronJob is named <policy>-backup, and Kubernetes allows 52 there";

/// A schedule without times that can be known.
pub const EVERY: &str = "@every counts from the last run, so its times cannot be known; write five cron fields, for example \"0 */6 * * *\"";
/// A schedule with a time zone.
pub const ZONE_IN_SCHEDULE: &str = "write the time zone in spec.timeZone, not in the schedule";
/// A schedule's shorthand that is none.
pub const NICKNAME: &str = "write @yearly, @annually, @monthly, @weekly, @daily, @midnight or @hourly in lower case, or five cron fields, for example \"15 2 * * *\"";
/// A schedule of other than five fields.
pub const FIVE_FIELDS: &str = "write five fields (minute, hour, day of month, month, day of week), for example \"15 2 * * *\"; there is no field for seconds";
/// The names that stand for five fields.
pub const IS_NICKNAME: &str = "!self.startsWith('@') || self.startsWith('@every') || self in ['@yearly', '@annually', '@monthly', '@weekly', '@daily', '@midnight', '@hourly']";
/// Five fields, or what another rule looks at.
pub const HAS_FIVE_FIELDS: &str =
    r"self.startsWith('@') || self.contains('TZ') || self.matches(r'^\s*\S+(\s+\S+){4}\s*$')";

/// A time zone that is no name.
pub const ZONE: &str = "write an IANA name such as Europe/Berlin, or Etc/UTC";
/// The host's time zone.
pub const ZONE_LOCAL: &str = "write an IANA name such as Europe/Berlin; Local would be the zone of whatever host the controller runs on";
/// The form of a zone's name.
pub const IS_ZONE: &str = "self.matches('^[A-Za-z0-9_+-]+(/[A-Za-z0-9_+-]+)*$')";

/// An image with white space in it, or nothing.
pub const IMAGE: &str = "write an image's name, for example docker.io/library/postgres:17";
/// No white space, and not nothing.
pub const IS_IMAGE: &str = r"self.matches(r'^\S+$')";

/// A host that is none, most often one with its port.
pub const HOST: &str =
    "write one host name or address alone, for example shop-db.shop.svc; the port is a field of its own";
/// A name, an address of four numbers, or one of IPv6.
pub const IS_HOST: &str = "self.matches('^[A-Za-z0-9._-]+$') || isIP(self)";

/// Two ways to say where the server is, or none.
pub const HOST_OR_URI: &str = "write either host or uriSecretRef, not both";
/// What the URI has.
pub const URI_HAS_THEM: &str =
    "with uriSecretRef leave out port, user, userSecretRef and passwordSecretRef: the URI has them";
/// Two ways to say who logs in, or none.
pub const USER_OR_SECRET: &str = "write either user or userSecretRef, not both";
/// No way to log in.
pub const PASSWORD_OR_CERTIFICATE: &str = "write passwordSecretRef, or clientCertificateSecretRef, or both";
/// Nothing to verify against.
pub const CA_MISSING: &str =
    "sslMode verify-ca and verify-full need caSecretRef: the certificate of the CA that signed the server's";
/// Nothing that is verified.
pub const CA_UNUSED: &str = "caSecretRef has a meaning with sslMode verify-ca or verify-full only";
/// A certificate that is never shown.
pub const CERTIFICATE_UNUSED: &str =
    "a client certificate needs an encrypted connection: write another sslMode than disable";
/// Two ways to say what backups run in, or none.
pub const VERSION_OR_IMAGE: &str =
    "write either version (17) or image (docker.io/library/postgres:17), not both";
/// Two kinds of credentials of Azure, or none.
pub const KEY_OR_TOKEN: &str = "write either accountKeySecretRef or sasTokenSecretRef, not both";

/// The name of an object.
pub const OBJECT_NAME: &str = "write the name of an object in the policy's namespace: lower case letters, digits, - and ., for example shop-db";
/// The form of the names of Secrets, claims and service accounts.
pub const IS_OBJECT_NAME: &str = "self.matches('^[a-z0-9]([a-z0-9.-]*[a-z0-9])?$')";
/// A key of a Secret.
pub const KEY: &str = "write a key of the Secret: letters, digits, -, _ and ., for example password";
/// The form of a Secret's keys.
pub const IS_KEY: &str = "self.matches('^[A-Za-z0-9._-]+$')";

/// A database that is wanted and unwanted.
pub const INCLUDED_AND_EXCLUDED: &str =
    "the same name is in include and in exclude, which leaves it out: take it out of one of them";
/// A database that is backed up and gone.
pub const INCLUDED_AND_RETIRED: &str = "the same name is in include and in retired, which is for databases that are gone: take it out of one of them";

/// A way into a volume or bucket.
pub const PATH: &str = "write a relative path of plain names, for example backups/shop";
/// Names of letters, digits, -, _ and ., none of which begins with a dot.
pub const IS_PATH: &str = "self.matches('^[A-Za-z0-9_-][A-Za-z0-9._-]*(/[A-Za-z0-9_-][A-Za-z0-9._-]*)*$')";

/// A bucket of S3.
pub const S3_BUCKET: &str =
    "write the bucket's name alone, for example backups; what comes below it goes to prefix";
/// The form of a bucket's name at S3 and its like.
pub const IS_S3_BUCKET: &str = "self.matches('^[A-Za-z0-9][A-Za-z0-9._-]*$')";
/// A bucket of Google.
pub const GCS_BUCKET: &str = "write the bucket's name alone, 3 lower case letters or digits at least; what comes below it goes to prefix";
/// The form of a bucket's name at Google.
pub const IS_GCS_BUCKET: &str = "self.matches('^[a-z0-9][a-z0-9._-]{2,}$')";
/// A storage account of Azure.
pub const ACCOUNT: &str = "write the storage account's name: 3 to 24 lower case letters and digits";
/// The form of an account's name.
pub const IS_ACCOUNT: &str = "self.matches('^[a-z0-9]{3,24}$')";
/// A container of Azure.
pub const CONTAINER: &str = "write the container's name: 3 to 63 lower case letters, digits and -";
/// The form of a container's name.
pub const IS_CONTAINER: &str = "self.matches('^[a-z0-9][a-z0-9-]{2,62}$')";
/// A store's address.
pub const ENDPOINT: &str =
    "write a URL with http:// or https:// and without a user, for example https://s3.example.org:9000";
/// The form of a store's address.
pub const IS_ENDPOINT: &str = r"self.matches('^https?://[A-Za-z0-9._:\\[\\]-]+(/[A-Za-z0-9._~/-]*)?$')";
/// A region.
pub const REGION: &str = "write the region as the store names it, for example eu-central-1";
/// The form of a region.
pub const IS_REGION: &str = "self.matches('^[A-Za-z0-9-]+$')";
/// A storage class of S3.
pub const S3_CLASS: &str = "write a storage class as S3 names it, for example STANDARD_IA";
/// The form of a storage class of S3.
pub const IS_S3_CLASS: &str = "self.matches('^[A-Za-z0-9_-]+$')";
/// A storage class that cannot be read at once.
pub const ARCHIVE_CLASS: &str = "backups are read back after they are stored, and this class cannot be read at once: write another one, for example GLACIER_IR";
/// A storage class of Google.
pub const GCS_CLASS: &str = "write a storage class as Google names it, for example NEARLINE";
/// The form of a storage class of Google.
pub const IS_GCS_CLASS: &str = "self.matches('^[A-Z_]+$')";
/// A key of the key management service.
pub const KMS_KEY: &str = "write the key's id, its ARN, or alias/ and its alias";
/// The form of a key's id.
pub const IS_KMS_KEY: &str = "self.matches('^[A-Za-z0-9:/_-]+$')";
/// A key where none is used.
pub const KMS_KEY_UNUSED: &str = "kmsKeyId has a meaning with the algorithm aws:kms only";
/// A CA where nothing is encrypted.
pub const S3_CA_UNUSED: &str = "caSecretRef has a meaning with an endpoint that begins with https:// only";
/// A policy's UID.
pub const OWNER: &str = "write the UID that the condition RetentionHealthy names";
/// The form of a UID.
pub const IS_OWNER: &str = "self.matches('^[A-Za-z0-9-]+$')";
/// Nowhere, or more than one place.
pub const ONE_STORAGE: &str = "write exactly one of volume, s3, gcs and azure";

/// A count that keeps nothing.
pub const COUNT: &str = "write how many to keep, or -1 for all; leave a rule out to not have it";
/// What a rule may count.
pub const IS_COUNT: &str = "self == -1 || self >= 1";
/// A length of time on the calendar.
pub const LENGTH: &str =
    "write a length of time such as 14d, 1y6m or 2d12h: years, months, days and hours, each at most once";
/// The form of a length of time on the calendar.
pub const IS_LENGTH: &str = "self.matches('^([0-9]{1,4}[ymdh]){1,4}$') && !self.matches('(y.*y|m.*m|d.*d|h.*h)') && self.matches('[1-9]')";

/// How long a lock is waited for.
pub const LOCK_TIMEOUT: &str = "write a time from 1s to 4m, for example 5s";
/// Its form and bounds.
pub const IS_LOCK_TIMEOUT: &str = "self.matches('^[0-9]{1,4}[smh]$') && duration(self) >= duration('1s') && duration(self) <= duration('4m')";
/// How far a standby may be behind.
pub const REPLICA_LAG: &str = "write a time from 1s to 24h, for example 5m";
/// Its form and bounds.
pub const IS_REPLICA_LAG: &str = "self.matches('^[0-9]{1,5}[smh]$') && duration(self) >= duration('1s') && duration(self) <= duration('24h')";
/// A table without its schema.
pub const TABLE: &str = "write <schema>.<table>, for example public.sessions or audit.*";
/// A level where nothing is compressed.
pub const NO_LEVEL: &str = "leave level out: without compression there is none";
/// A level of gzip.
pub const GZIP_LEVEL: &str = "level: gzip has 1 to 9";
/// A level of lz4.
pub const LZ4_LEVEL: &str = "level: lz4 has 1 to 12";
/// A level of zstd.
pub const ZSTD_LEVEL: &str = "level: zstd has 1 to 22";
/// How old a backup may get.
pub const MAX_AGE: &str = "write a length of time such as 26h, 90m or 8d, at most 399d";
/// Its form and bounds.
pub const IS_MAX_AGE: &str =
    "self.matches('^([1-9][0-9]{0,4}m|[1-9][0-9]{0,3}h|([1-9][0-9]?|[1-3][0-9]{2})d)$')";

/// An amount of a resource.
pub const QUANTITY: &str = "write quantities, for example cpu: 500m and memory: 1Gi";
/// Whole numbers, and what Kubernetes reads as a quantity.
pub const ARE_QUANTITIES: &str = "self.all(name, type(self[name]) == int || isQuantity(self[name]))";
/// A label of ours.
pub const OWN_LABEL: &str =
    "labels under pgbackup.dev/ and app.kubernetes.io/managed-by are pgbackup's own; choose other keys";
/// An annotation of ours.
pub const OWN_ANNOTATION: &str = "annotations under pgbackup.dev/ are pgbackup's own; choose other keys";
/// A Secret that is named twice, which Kubernetes refuses in a pod.
pub const SECRETS_TWICE: &str = "the same Secret is named twice: take one of them out";
