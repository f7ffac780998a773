//! Volumes, buckets and how they are reached.

use super::Check;

/// Where backups are stored.
pub const ONE_STORAGE: Check = Check {
    cel: "[has(self.volume), has(self.s3), has(self.gcs), has(self.azure)].filter(given, given).size() == 1",
    message: "write exactly one of volume, s3, gcs and azure",
};

/// The UID of a policy.
pub const ADOPT_FROM: Check = Check {
    cel: "self.matches('^[A-Za-z0-9-]+$')",
    message: "adoptFrom must be the UID of a policy. Copy it from the message of the condition RetentionHealthy.",
};

/// A path in a volume or bucket. No part of it starts with a dot.
pub const PATH: Check = Check {
    cel: "self.matches('^[A-Za-z0-9_-][A-Za-z0-9._-]*(/[A-Za-z0-9_-][A-Za-z0-9._-]*)*$')",
    message: "a path must be relative, consist of letters, digits, \"-\", \"_\" and \".\", and have no part that starts with \".\", for example backups/shop",
};

/// A store's address.
pub const ENDPOINT: Check = Check {
    cel: r"self.matches('^https?://([A-Za-z0-9._-]+|\\[[0-9A-Fa-f:.]+\\])(:[0-9]+)?(/[A-Za-z0-9._~/-]*)?$')",
    message: "endpoint must be an http:// or https:// URL without a user, for example https://s3.example.org:9000",
};

/// The port in a store's address.
pub const ENDPOINT_PORT: Check = Check {
    cel: "!self.matches('^https?://[^/]+:[0-9]+(/.*)?$') || self.matches('^https?://[^/]+:([1-9][0-9]{0,3}|[1-5][0-9]{4}|6[0-4][0-9]{3}|65[0-4][0-9]{2}|655[0-2][0-9]|6553[0-5])(/.*)?$')",
    message: "the port in endpoint must be from 1 to 65535, for example https://s3.example.org:9000",
};

/// The name of a bucket at S3 and stores like it.
pub const S3_BUCKET: Check = Check {
    cel: "self.matches('^[A-Za-z0-9][A-Za-z0-9._-]*$')",
    message: "bucket must be the name of a bucket without a path, for example backups. Write the path in prefix.",
};

/// A region.
pub const REGION: Check = Check {
    cel: "self.matches('^[A-Za-z0-9-]+$')",
    message: "region must consist of letters, digits and \"-\", for example eu-central-1",
};

/// An authority's certificate for a store that encrypts.
pub const S3_CA_UNUSED: Check = Check {
    cel: "has(self.caSecretRef) ? has(self.endpoint) && !self.endpoint.startsWith('http://') : true",
    message: "caSecretRef requires an endpoint that starts with https://. Change endpoint, or remove caSecretRef.",
};

/// A storage class of S3.
pub const S3_CLASS: Check = Check {
    cel: "self.matches('^[A-Za-z0-9_-]+$')",
    message: "storageClass must be a storage class of S3, for example STANDARD_IA",
};

/// A storage class whose objects can be read at once.
pub const ARCHIVE_CLASS: Check = Check {
    cel: "!(self in ['GLACIER', 'DEEP_ARCHIVE'])",
    message: "storageClass must not be GLACIER or DEEP_ARCHIVE, because backups are read back right after they are stored. Write another class, for example GLACIER_IR.",
};

/// A key of the key management service.
pub const KMS_KEY: Check = Check {
    cel: "self.matches('^[A-Za-z0-9:/_-]+$')",
    message: "kmsKeyId must be the id, the ARN or the alias of a KMS key, for example alias/backups",
};

/// The algorithm that uses a key.
pub const KMS_KEY_UNUSED: Check = Check {
    cel: "has(self.kmsKeyId) ? self.algorithm == 'aws:kms' : true",
    message: "kmsKeyId requires the algorithm aws:kms. Change algorithm, or remove kmsKeyId.",
};

/// The name of a bucket at Google Cloud Storage.
pub const GCS_BUCKET: Check = Check {
    cel: "self.matches('^[a-z0-9][a-z0-9._-]{2,}$')",
    message: "bucket must be the name of a bucket without a path: at least 3 lower-case letters, digits, \"-\", \"_\" and \".\", for example shop-backups. Write the path in prefix.",
};

/// A storage class of Google Cloud Storage.
pub const GCS_CLASS: Check = Check {
    cel: "self.matches('^[A-Z_]+$')",
    message: "storageClass must be a storage class of Google Cloud Storage in upper case, for example NEARLINE",
};

/// A storage account of Azure.
pub const ACCOUNT: Check = Check {
    cel: "self.matches('^[a-z0-9]{3,24}$')",
    message: "account must have 3 to 24 lower-case letters and digits, for example shopbackups",
};

/// A container of Azure.
pub const CONTAINER: Check = Check {
    cel: "self.matches('^[a-z0-9][a-z0-9-]{2,62}$')",
    message: "container must have 3 to 63 lower-case letters, digits and \"-\", and start with a letter or digit, for example shop-backups",
};

/// Credentials of Azure.
pub const KEY_OR_TOKEN: Check = Check {
    cel: "has(self.accountKeySecretRef) != has(self.sasTokenSecretRef)",
    message: "write exactly one of accountKeySecretRef and sasTokenSecretRef",
};
