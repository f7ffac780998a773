//! Rules for `spec.storage`: volumes, buckets, and the access to stores.

use super::Check;

/// Exactly one of `volume`, `s3`, `gcs` and `azure` must be set.
pub const ONE_STORAGE: Check = Check {
    cel: "[has(self.volume), has(self.s3), has(self.gcs), has(self.azure)].filter(given, given).size() == 1",
    message: "write exactly one of volume, s3, gcs and azure",
};

/// `adoptFrom` must have the form of a policy's UID.
pub const ADOPT_FROM: Check = Check {
    cel: "self.matches('^[A-Za-z0-9-]+$')",
    message: "adoptFrom must be the UID of a policy. Copy it from the message of the condition RetentionHealthy.",
};

/// A path in a volume or bucket must be relative, and none of its parts must start with a dot.
pub const PATH: Check = Check {
    cel: "self.matches('^[A-Za-z0-9_-][A-Za-z0-9._-]*(/[A-Za-z0-9_-][A-Za-z0-9._-]*)*$')",
    message: "a path must be relative, without \"/\" at its end and without \"//\". Its parts consist of letters, digits, \"-\", \"_\" and \".\", and do not start with \".\", for example backups/shop.",
};

/// `endpoint`, the address of a store, must be an HTTP or HTTPS URL without a user.
pub const ENDPOINT: Check = Check {
    cel: r"self.matches('^https?://([A-Za-z0-9._-]+|\\[[0-9A-Fa-f:.]+\\])(:[0-9]+)?(/[A-Za-z0-9._~/-]*)?$')",
    message: "endpoint must be an http:// or https:// URL without a user, for example https://s3.example.org:9000",
};

/// The port in `endpoint` must be from 1 to 65535.
pub const ENDPOINT_PORT: Check = Check {
    cel: "!self.matches('^https?://[^/]+:[0-9]+(/.*)?$') || self.matches('^https?://[^/]+:([1-9][0-9]{0,3}|[1-5][0-9]{4}|6[0-4][0-9]{3}|65[0-4][0-9]{2}|655[0-2][0-9]|6553[0-5])(/.*)?$')",
    message: "the port in endpoint must be from 1 to 65535, for example https://s3.example.org:9000",
};

/// `bucket` of `s3` must be the name of a bucket, without a path.
pub const S3_BUCKET: Check = Check {
    cel: "self.matches('^[A-Za-z0-9][A-Za-z0-9._-]*$')",
    message: "bucket must be the name of a bucket without a path, for example backups. Write the path in prefix.",
};

/// `region` must consist of letters, digits and `-`.
pub const REGION: Check = Check {
    cel: "self.matches('^[A-Za-z0-9-]+$')",
    message: "region must consist of letters, digits and \"-\", for example eu-central-1",
};

/// `caSecretRef` of `s3` requires an `endpoint` with HTTPS, because only then the certificate is used.
pub const S3_CA_UNUSED: Check = Check {
    cel: "has(self.caSecretRef) ? has(self.endpoint) && !self.endpoint.startsWith('http://') : true",
    message: "caSecretRef requires an endpoint that starts with https://. Change endpoint, or remove caSecretRef.",
};

/// `storageClass` of `s3` must have the form of an S3 storage class, such as `STANDARD_IA`.
pub const S3_CLASS: Check = Check {
    cel: "self.matches('^[A-Za-z0-9_-]+$')",
    message: "storageClass must be a storage class of S3, for example STANDARD_IA",
};

/// `storageClass` of `s3` must not be an archive class. Objects of such a class cannot be read at once, but
/// the runner reads each backup back right after it stored it.
pub const ARCHIVE_CLASS: Check = Check {
    cel: "!(self in ['GLACIER', 'DEEP_ARCHIVE'])",
    message: "storageClass must not be GLACIER or DEEP_ARCHIVE, because backups are read back right after they are stored. Write another class, for example GLACIER_IR.",
};

/// `kmsKeyId` must have the form of the id, the ARN or the alias of a key in the AWS Key Management Service
/// (KMS).
pub const KMS_KEY: Check = Check {
    cel: "self.matches('^[A-Za-z0-9:/_-]+$')",
    message: "kmsKeyId must be the id, the ARN or the alias of a KMS key, for example alias/backups",
};

/// `kmsKeyId` requires the encryption algorithm `aws:kms`, the only one that uses a KMS key.
pub const KMS_KEY_UNUSED: Check = Check {
    cel: "has(self.kmsKeyId) ? self.algorithm == 'aws:kms' : true",
    message: "kmsKeyId requires the algorithm aws:kms. Change algorithm, or remove kmsKeyId.",
};

/// `bucket` of `gcs` must be the name of a bucket, without a path.
pub const GCS_BUCKET: Check = Check {
    cel: "self.matches('^[a-z0-9][a-z0-9._-]{2,}$')",
    message: "bucket must be the name of a bucket without a path: at least 3 lower-case letters, digits, \"-\", \"_\" and \".\", for example shop-backups. Write the path in prefix.",
};

/// `storageClass` of `gcs` must have the form of a storage class of Google Cloud Storage, such as `NEARLINE`.
pub const GCS_CLASS: Check = Check {
    cel: "self.matches('^[A-Z_]+$')",
    message: "storageClass must be a storage class of Google Cloud Storage in upper case, for example NEARLINE",
};

/// `account` of `azure` must have the form of a storage account's name.
pub const ACCOUNT: Check = Check {
    cel: "self.matches('^[a-z0-9]{3,24}$')",
    message: "account must have 3 to 24 lower-case letters and digits, for example shopbackups",
};

/// `container` of `azure` must have the form of a container's name.
pub const CONTAINER: Check = Check {
    cel: "self.matches('^[a-z0-9][a-z0-9-]{2,62}$')",
    message: "container must have 3 to 63 lower-case letters, digits and \"-\", and start with a letter or digit, for example shop-backups",
};

/// Exactly one of `accountKeySecretRef` and `sasTokenSecretRef` must be set. They are the two kinds of Azure
/// credentials.
pub const KEY_OR_TOKEN: Check = Check {
    cel: "has(self.accountKeySecretRef) != has(self.sasTokenSecretRef)",
    message: "write exactly one of accountKeySecretRef and sasTokenSecretRef",
};
