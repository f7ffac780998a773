//! How Jobs and their pods run.

use super::Check;

/// Amounts of resources.
pub const QUANTITIES: Check = Check {
    cel: "self.all(name, type(self[name]) == int || isQuantity(self[name]))",
    message: "requests and limits must be quantities, for example cpu: 500m and memory: 1Gi",
};

/// Labels that pgbackup or Kubernetes sets on the pods: see `meta::is_reserved_label`.
pub const RESERVED_LABEL: Check = Check {
    cel: "self.all(key, !key.startsWith('pgbackup.dev/') && !key.startsWith('batch.kubernetes.io/') && !(key in ['app.kubernetes.io/managed-by', 'job-name', 'controller-uid']))",
    message: "podLabels must not contain keys that pgbackup or Kubernetes sets: pgbackup.dev/*, batch.kubernetes.io/*, app.kubernetes.io/managed-by, job-name and controller-uid. Write another key, for example example.org/team.",
};

/// Annotations that pgbackup sets on the pods.
pub const RESERVED_ANNOTATION: Check = Check {
    cel: "self.all(key, !key.startsWith('pgbackup.dev/'))",
    message: "podAnnotations must not contain keys that start with pgbackup.dev/. Write another key, for example example.org/team.",
};

/// Secrets of registries, which Kubernetes rejects if a pod has one twice.
pub const SECRETS_TWICE: Check = Check {
    cel: "self.all(one, self.exists_one(other, other.name == one.name))",
    message: "imagePullSecrets must not contain the same name twice. Remove one of the two entries.",
};
