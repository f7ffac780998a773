//! Rules for the names of Kubernetes objects and the keys of Secrets.

use super::Check;

/// The policy's name must have at most 45 characters, so that its CronJob's name has at most 52.
pub const POLICY_NAME: Check = Check {
    cel: "size(self.metadata.name) <= 45",
    message: "metadata.name: a policy's name must have at most 45 characters, because its CronJob is named <policy>-backup and Kubernetes allows 52 characters there",
};

/// The name of a Secret, a PersistentVolumeClaim, a service account or a priority class must be a DNS name in
/// lower case.
pub const NAME: Check = Check {
    cel: "self.matches('^[a-z0-9]([a-z0-9.-]*[a-z0-9])?$')",
    message: "an object's name must consist of lower-case letters, digits, \"-\" and \".\", and start and end with a letter or digit, for example shop-db",
};

/// The key of a Secret must consist of letters, digits, `-`, `_` and `.`.
pub const SECRET_KEY: Check = Check {
    cel: "self.matches('^[A-Za-z0-9._-]+$')",
    message: "a Secret's key must consist of letters, digits, \"-\", \"_\" and \".\", for example password",
};
