//! Labels, annotations and names on Kubernetes objects that the operator, the kubectl plugin and people use.

/// The API group of `BackupPolicy`.
pub const GROUP: &str = "pgbackup.dev";

/// The prefix of every label key and annotation key that pgbackup defines.
pub const OWN_KEYS: &str = "pgbackup.dev/";

/// The field manager under which the operator applies objects.
pub const FIELD_MANAGER: &str = "pgbackup-operator";

/// The label that names the program which made an object. The operator sets it on each object of a policy,
/// and watches only objects that have it.
pub const MANAGED_BY_LABEL: &str = "app.kubernetes.io/managed-by";

/// The value of [`MANAGED_BY_LABEL`] on each object that the operator makes.
pub const MANAGED_BY: &str = "pgbackup";

/// The label with the policy's name, on each object that the operator makes for the policy.
pub const POLICY_LABEL: &str = "pgbackup.dev/policy";

/// The label with the operation of a policy's Jobs, such as `backup`, on each object that the operator makes
/// for the policy.
pub const OPERATION_LABEL: &str = "pgbackup.dev/operation";

/// The annotation that requests a backup of a policy. Each new value requests one backup, which starts at
/// once, or when the policy is no longer suspended. An empty value requests nothing.
pub const REQUESTED_AT: &str = "pgbackup.dev/requested-at";

/// The annotation of a policy with the names of suspicious backups that a person accepted, separated by
/// commas.
pub const ACKNOWLEDGED: &str = "pgbackup.dev/acknowledged";

/// The annotation with the hash of what the operator applied to an object. A different hash shows that the
/// object must be applied again.
pub const APPLIED_HASH: &str = "pgbackup.dev/applied-hash";

/// The annotation with the `metadata.generation` that the operator's last write gave an object. A later
/// generation shows that somebody else changed the spec of the object.
pub const APPLIED_GENERATION: &str = "pgbackup.dev/applied-generation";

/// The prefix of the labels that Kubernetes' Job controller sets on a Job's pods.
pub const JOB_KEYS: &str = "batch.kubernetes.io/";

/// The labels that Kubernetes' Job controller also sets on a Job's pods, under the names of older versions.
pub const OLD_JOB_KEYS: [&str; 2] = ["job-name", "controller-uid"];

/// The label with the Job's name, which Kubernetes' Job controller sets on the Job's pods.
pub const JOB_NAME_LABEL: &str = "batch.kubernetes.io/job-name";

/// The label with the Job's UID, which Kubernetes' Job controller sets on the Job's pods.
pub const JOB_UID_LABEL: &str = "batch.kubernetes.io/controller-uid";

/// The name of the container in a Job's pod that runs the operation and writes the report.
pub const RUNNER_CONTAINER: &str = "runner";

/// The name of the init container in a Job's pod that copies the runner's program into the pod.
pub const INSTALL_CONTAINER: &str = "install";

/// Returns whether pgbackup or Kubernetes sets the label `key` on pods. A policy must not set such a label.
pub fn is_reserved_label(key: &str) -> bool {
    key.starts_with(OWN_KEYS)
        || key.starts_with(JOB_KEYS)
        || key == MANAGED_BY_LABEL
        || OLD_JOB_KEYS.contains(&key)
}
