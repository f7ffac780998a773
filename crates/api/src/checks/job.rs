//! Rules for `spec.job`: resources, labels, annotations and image pull secrets of the pods.

use super::Check;

/// The amounts in `requests` and `limits` must be quantities of Kubernetes, such as `500m` or `1Gi`.
pub const QUANTITIES: Check = Check {
    cel: "self.all(name, type(self[name]) == int || isQuantity(self[name]))",
    message: "requests and limits must be quantities, for example cpu: 500m and memory: 1Gi",
};

/// `podLabels` must not contain a key that pgbackup or Kubernetes sets. [`crate::meta::is_reserved_label`] is
/// the same rule in Rust.
pub const RESERVED_LABEL: Check = Check {
    cel: "self.all(key, !key.startsWith('pgbackup.dev/') && !key.startsWith('batch.kubernetes.io/') && !(key in ['app.kubernetes.io/managed-by', 'job-name', 'controller-uid']))",
    message: "podLabels must not contain keys that pgbackup or Kubernetes sets: pgbackup.dev/*, batch.kubernetes.io/*, app.kubernetes.io/managed-by, job-name and controller-uid. Write another key, for example example.org/team.",
};

/// `podAnnotations` must not contain a key that starts with `pgbackup.dev/`, because pgbackup sets those.
pub const RESERVED_ANNOTATION: Check = Check {
    cel: "self.all(key, !key.startsWith('pgbackup.dev/'))",
    message: "podAnnotations must not contain keys that start with pgbackup.dev/. Write another key, for example example.org/team.",
};

/// `imagePullSecrets` must not contain a name twice, because Kubernetes rejects such a pod.
pub const SECRETS_TWICE: Check = Check {
    cel: "self.all(one, self.exists_one(other, other.name == one.name))",
    message: "imagePullSecrets must not contain the same name twice. Remove one of the two entries.",
};
