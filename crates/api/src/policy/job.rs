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
use crate::messages::{job as check, object};

/// How the Jobs of backups and scrubs, and the pods of these Jobs, run.
#[skip_serializing_none]
#[derive(KubeSchema, Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct JobOptions {
    /// resources defines the resource requests and limits of the container that does the work. Defaults to requests
    /// of 50m CPU and 64Mi memory, without limits. The runner and the client tools need about 100Mi together, and 5Ki
    /// more for each table. A run that needs more memory than its limit fails with the reason OutOfMemory.
    pub resources: Option<Resources>,

    /// activeDeadlineSeconds is how long a run can take, in seconds. A run that takes longer is stopped and fails
    /// with the reason DeadlineExceeded. Defaults to 21600 (6 hours). From 60 to 604800 (7 days).
    #[serde(default = "default_deadline")]
    #[schemars(range(min = 60, max = 604_800))]
    pub active_deadline_seconds: i64,

    /// backoffLimit is how often a failed attempt is retried if its reason can be temporary. Attempts are at least
    /// ten seconds apart. Defaults to 2. From 0 to 10.
    #[serde(default = "default_backoff_limit")]
    #[schemars(range(min = 0, max = 10))]
    pub backoff_limit: i32,

    /// successfulJobsHistoryLimit is the number of successful Jobs that Kubernetes keeps. status.history is
    /// independent of it. Defaults to 3. From 0 to 100.
    #[serde(default = "default_history")]
    #[schemars(range(min = 0, max = 100))]
    pub successful_jobs_history_limit: i32,

    /// failedJobsHistoryLimit is the number of failed Jobs that Kubernetes keeps, with the logs of their pods.
    /// Defaults to 3. From 1 to 100.
    #[serde(default = "default_history")]
    #[schemars(range(min = 1, max = 100))]
    pub failed_jobs_history_limit: i32,

    /// runAsUser is the user ID, the group ID and the fsGroup of the pods. Set it for a volume whose directory keeps
    /// its owner, as with hostPath and many NFS servers. Set it before the first backup, because another user may
    /// have no permission to read existing backups. Defaults to 65532. At least 1, so that pods never run as root.
    #[schemars(range(min = 1, max = 2_147_483_647_i64))]
    pub run_as_user: Option<i64>,

    /// nodeSelector lists the labels that a node must have to run the pods. At most 20 entries. For example, {disk:
    /// ssd}.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    #[schemars(extend("maxProperties" = 20))]
    pub node_selector: BTreeMap<String, String>,

    /// tolerations lists the node taints that the pods tolerate. At most 20 entries.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    #[schemars(length(max = 20))]
    pub tolerations: Vec<Toleration>,

    /// affinity defines the nodes that the pods require, prefer or avoid. If storage is a volume, the operator adds
    /// one term: runs that overlap share a node, because most volumes can be mounted on only one node at a time.
    pub affinity: Option<Affinity>,

    /// priorityClassName is the name of the PriorityClass of the pods.
    #[schemars(length(max = 253))]
    #[x_kube(validation = object::NAME.rule())]
    pub priority_class_name: Option<String>,

    /// podLabels are labels that are added to the pods, for example for network policies or for workload identity.
    /// They must not contain the keys that pgbackup and Kubernetes set: pgbackup.dev/*, batch.kubernetes.io/*,
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

    /// serviceAccountName is the ServiceAccount of the pods. Set it if workload identity gives a ServiceAccount
    /// access to the bucket. Its token for the Kubernetes API is not mounted. Defaults to the default ServiceAccount
    /// of the namespace.
    #[schemars(length(max = 253))]
    #[x_kube(validation = object::NAME.rule())]
    pub service_account_name: Option<String>,

    /// imagePullSecrets lists the Secrets that contain credentials for image registries. At most 10 entries.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    #[schemars(length(max = 10))]
    #[x_kube(validation = check::SECRETS_TWICE.rule())]
    pub image_pull_secrets: Vec<SecretRef>,
}

/// Resource requests and limits of a container.
#[derive(KubeSchema, Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Resources {
    /// requests are the amounts of resources that the scheduler reserves for the container. At most 10 entries. For
    /// example, {cpu: 100m, memory: 256Mi}.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    #[schemars(extend("maxProperties" = 10))]
    #[x_kube(validation = check::QUANTITIES.rule())]
    pub requests: BTreeMap<String, IntOrString>,

    /// limits are the greatest amounts of resources that the container can use. At most 10 entries. For example,
    /// {memory: 1Gi}.
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
