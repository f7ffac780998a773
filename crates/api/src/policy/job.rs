//! How Jobs and their pods run. The fields have the names that Kubernetes gives them.

use std::collections::BTreeMap;

use k8s_openapi::{
    api::core::v1::{Affinity, Toleration},
    apimachinery::pkg::util::intstr::IntOrString,
};
use kube::KubeSchema;
use serde::{Deserialize, Serialize};
use serde_with::skip_serializing_none;

use super::secret::SecretRef;
use crate::checks::{job as check, object};

/// How the Jobs of backups and scrubs, and the pods of these Jobs, run.
#[skip_serializing_none]
#[derive(KubeSchema, Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct JobOptions {
    /// resources defines the resource requests and limits of the container that runs the backup or the scrub. The
    /// container needs about 100Mi of memory, and 5Ki more for each table that is backed up. If a run exceeds the
    /// memory limit, it fails with the reason OutOfMemory. Defaults to requests of 50m CPU and 64Mi memory, and no
    /// limits.
    pub resources: Option<Resources>,

    /// activeDeadlineSeconds is the maximum duration of a run, with all its retries, in seconds. Kubernetes stops a
    /// run that takes longer, and the run fails with the reason DeadlineExceeded. Defaults to 21600 (6 hours). From
    /// 60 to 604800 (7 days).
    #[serde(default = "default_deadline")]
    #[schemars(range(min = 60, max = 604_800))]
    pub active_deadline_seconds: i64,

    /// backoffLimit is the maximum number of retries of a run. An attempt that failed is retried if the reason can be
    /// temporary, for example Unreachable, and is not retried if it is not, for example AuthenticationFailed.
    /// Kubernetes waits at least ten seconds before each retry. Defaults to 2. From 0 to 10.
    #[serde(default = "default_backoff_limit")]
    #[schemars(range(min = 0, max = 10))]
    pub backoff_limit: i32,

    /// successfulJobsHistoryLimit is the number of successful Jobs that Kubernetes keeps for backups, and the same
    /// number for scrubs. It does not limit status.history. Defaults to 3. From 0 to 100.
    #[serde(default = "default_history")]
    #[schemars(range(min = 0, max = 100))]
    pub successful_jobs_history_limit: i32,

    /// failedJobsHistoryLimit is the number of failed Jobs, with the logs of their pods, that Kubernetes keeps for
    /// backups, and the same number for scrubs. Defaults to 3. From 1 to 100.
    #[serde(default = "default_history")]
    #[schemars(range(min = 1, max = 100))]
    pub failed_jobs_history_limit: i32,

    /// runAsUser is the user ID, the group ID and the fsGroup of the pods. Set it if Kubernetes cannot change the
    /// owner of the volume's directory, as with hostPath and many NFS servers. Set it before the first backup: after
    /// a change, the new user can lack permission to read the existing backups. Defaults to 65532. At least 1,
    /// because pods never run as root.
    #[schemars(range(min = 1, max = 2_147_483_647_i64))]
    pub run_as_user: Option<i64>,

    /// nodeSelector lists the labels that a node must have so that the pods can run there. At most 20 entries. For
    /// example, {disk: ssd}.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    #[schemars(extend("maxProperties" = 20))]
    pub node_selector: BTreeMap<String, String>,

    /// tolerations lists the taints of nodes that the pods tolerate. At most 20 entries.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    #[schemars(length(max = 20))]
    pub tolerations: Vec<Toleration>,

    /// affinity defines which nodes the pods require, prefer or avoid. If storage is a volume, the operator adds a
    /// required pod affinity: all pods of the policy that run at the same time share a node, because most volumes can
    /// be mounted on only one node at a time.
    pub affinity: Option<Affinity>,

    /// priorityClassName is the name of the PriorityClass of the pods.
    #[schemars(length(max = 253))]
    #[x_kube(validation = object::NAME.rule())]
    pub priority_class_name: Option<String>,

    /// podLabels are labels that are added to the pods, for example for network policies or for workload identity.
    /// The keys that pgbackup and Kubernetes set are not allowed: pgbackup.dev/*, batch.kubernetes.io/*,
    /// app.kubernetes.io/managed-by, job-name and controller-uid. At most 20 entries.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    #[schemars(extend("maxProperties" = 20))]
    #[x_kube(validation = check::RESERVED_LABEL.rule())]
    pub pod_labels: BTreeMap<String, String>,

    /// podAnnotations are annotations that are added to the pods. Keys that start with pgbackup.dev/ are not allowed.
    /// At most 20 entries.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    #[schemars(extend("maxProperties" = 20))]
    #[x_kube(validation = check::RESERVED_ANNOTATION.rule())]
    pub pod_annotations: BTreeMap<String, String>,

    /// serviceAccountName is the name of the ServiceAccount of the pods. Set it if the pods access the bucket by
    /// workload identity. The ServiceAccount's token for the Kubernetes API is not mounted. Defaults to the
    /// ServiceAccount named default.
    #[schemars(length(max = 253))]
    #[x_kube(validation = object::NAME.rule())]
    pub service_account_name: Option<String>,

    /// imagePullSecrets lists the Secrets that contain the credentials of image registries. At most 10 entries.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    #[schemars(length(max = 10))]
    #[x_kube(validation = check::SECRETS_TWICE.rule())]
    pub image_pull_secrets: Vec<SecretRef>,
}

/// Resource requests and limits of a container.
#[derive(KubeSchema, Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Resources {
    /// requests are the resources that the scheduler reserves for the container. At most 10 entries. For example,
    /// {cpu: 100m, memory: 256Mi}.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    #[schemars(extend("maxProperties" = 10))]
    #[x_kube(validation = check::QUANTITIES.rule())]
    pub requests: BTreeMap<String, IntOrString>,

    /// limits are the maximum resources that the container can use. At most 10 entries. For example, {memory: 1Gi}.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    #[schemars(extend("maxProperties" = 10))]
    #[x_kube(validation = check::QUANTITIES.rule())]
    pub limits: BTreeMap<String, IntOrString>,
}

impl Default for JobOptions {
    fn default() -> Self {
        Self {
            resources: None,
            active_deadline_seconds: default_deadline(),
            backoff_limit: default_backoff_limit(),
            successful_jobs_history_limit: default_history(),
            failed_jobs_history_limit: default_history(),
            run_as_user: None,
            node_selector: BTreeMap::new(),
            tolerations: Vec::new(),
            affinity: None,
            priority_class_name: None,
            pod_labels: BTreeMap::new(),
            pod_annotations: BTreeMap::new(),
            service_account_name: None,
            image_pull_secrets: Vec::new(),
        }
    }
}

const fn default_deadline() -> i64 {
    6 * 60 * 60
}

const fn default_backoff_limit() -> i32 {
    2
}

const fn default_history() -> i32 {
    3
}
