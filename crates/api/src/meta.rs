//! Labels, annotations and names that the programs and people share.

/// The API group.
pub const GROUP: &str = "pgbackup.dev";

/// What the keys of our labels and annotations begin with.
pub const OWN_KEYS: &str = "pgbackup.dev/";

/// Who writes: the field manager of everything that the operator applies.
pub const FIELD_MANAGER: &str = "pgbackup-operator";

/// On every object that is made for a policy: which program made it. Watches select by it.
pub const MANAGED_BY_LABEL: &str = "app.kubernetes.io/managed-by";

/// The value of [`MANAGED_BY_LABEL`].
pub const MANAGED_BY: &str = "pgbackup";

/// On every object that is made for a policy: the policy's name.
pub const POLICY_LABEL: &str = "pgbackup.dev/policy";

/// On every object that is made for a policy: what its Jobs do (`backup`).
pub const OPERATION_LABEL: &str = "pgbackup.dev/operation";

/// On a policy: take a backup now, or when it is no longer suspended, once for each value. An empty value, or none, does
/// nothing.
pub const REQUESTED_AT: &str = "pgbackup.dev/requested-at";

/// On a policy: the names of suspicious backups that are as they should be, separated by commas.
pub const ACKNOWLEDGED: &str = "pgbackup.dev/acknowledged";

/// On the objects of a policy: a hash of what was applied, so that a field taken away is noticed.
pub const APPLIED_HASH: &str = "pgbackup.dev/applied-hash";

/// On the objects of a policy: the generation that our last write gave them, so that a field which others add is
/// noticed.
pub const APPLIED_GENERATION: &str = "pgbackup.dev/applied-generation";

/// What the keys of the labels begin with that the Job controller sets on a Job's pods.
pub const JOB_KEYS: &str = "batch.kubernetes.io/";

/// The labels that the Job controller sets on a Job's pods under their old names.
pub const OLD_JOB_KEYS: [&str; 2] = ["job-name", "controller-uid"];

/// On a Job's pods, set by the Job controller: the Job's name.
pub const JOB_NAME_LABEL: &str = "batch.kubernetes.io/job-name";

/// On a Job's pods, set by the Job controller: the Job's UID.
pub const JOB_UID_LABEL: &str = "batch.kubernetes.io/controller-uid";

/// The container of a Job's pod that does the work and leaves the report.
pub const RUNNER_CONTAINER: &str = "runner";

/// The init container that brings the runner into the pod.
pub const INSTALL_CONTAINER: &str = "install";

/// Whether pgbackup or Kubernetes sets this label on the pods, so that a policy cannot.
pub fn is_reserved_label(key: &str) -> bool {
    key.starts_with(OWN_KEYS)
        || key.starts_with(JOB_KEYS)
        || key == MANAGED_BY_LABEL
        || OLD_JOB_KEYS.contains(&key)
}
