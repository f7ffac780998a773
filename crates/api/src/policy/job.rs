//! How the pods of backups run.

use std::collections::BTreeMap;

use k8s_openapi::{
    api::core::v1::{Affinity, Toleration},
    apimachinery::pkg::util::intstr::IntOrString,
};
use kube::KubeSchema;
use serde::{Deserialize, Serialize};
use serde_with::skip_serializing_none;

use crate::messages;

/// How the Jobs of backups and scrubs and their pods run. The names are those of Kubernetes.
#[skip_serializing_none]
#[derive(KubeSchema, Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct JobOptions {
    /// What the backup's container requests, and its limits. Default: requests of 50m CPU and 64Mi of memory, no limits. A
    /// memory limit that is too small ends backups as OutOfMemory; the runner and the client programs together need about
    /// 100Mi, and 5Ki more for each table.
    pub resources: Option<Resources>,

    /// How long a run may take, in seconds, from a minute to a week. One that takes longer hangs, and is ended as
    /// DeadlineExceeded. Default: 21600 (six hours).
    #[serde(default = "default_deadline")]
    #[schemars(range(min = 60, max = 604_800))]
    pub active_deadline_seconds: i64,

    /// How often a try that failed for a reason which may pass is repeated, ten seconds and more apart. Default: 2.
    #[serde(default = "default_backoff_limit")]
    #[schemars(range(min = 0, max = 10))]
    pub backoff_limit: i32,

    /// How many Jobs that succeeded stay to be looked at. The history in the status does not depend on it. Default: 3.
    #[serde(default = "default_history")]
    #[schemars(range(min = 0, max = 100))]
    pub successful_jobs_history_limit: i32,

    /// How many Jobs that failed stay to be looked at, with the logs of their pods. Default: 3.
    #[serde(default = "default_history")]
    #[schemars(range(min = 1, max = 100))]
    pub failed_jobs_history_limit: i32,

    /// The user, the group and the volumes' group that the pods run as, instead of 65532: for a volume that keeps its
    /// directory's owner (hostPath, many NFS servers). Never root. Backups that were written as another user may not be
    /// readable any more: choose it once. Default: 65532, whatever the image.
    #[schemars(range(min = 1, max = 2_147_483_647_i64))]
    pub run_as_user: Option<i64>,

    /// Labels that nodes must have.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    #[schemars(extend("maxProperties" = 20))]
    pub node_selector: BTreeMap<String, String>,

    /// Taints of nodes that do not keep the pods away.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    #[schemars(length(max = 20))]
    pub tolerations: Vec<Toleration>,

    /// Which nodes the pods are drawn to or kept from. With a volume, runs that overlap share a node whatever this says: most
    /// volumes can be mounted on one node at a time only.
    pub affinity: Option<Affinity>,

    /// The PriorityClass of the pods.
    #[schemars(length(max = 253))]
    #[x_kube(validation = Rule::new(messages::IS_OBJECT_NAME).message(messages::OBJECT_NAME))]
    pub priority_class_name: Option<String>,

    /// Labels of the pods, for network policies or an identity of the cloud. Those of pgbackup stay as they are.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    #[schemars(extend("maxProperties" = 20))]
    #[x_kube(validation = Rule::new("self.all(key, !key.startsWith('pgbackup.dev/') && key != 'app.kubernetes.io/managed-by')").message(messages::OWN_LABEL))]
    pub pod_labels: BTreeMap<String, String>,

    /// Annotations of the pods.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    #[schemars(extend("maxProperties" = 20))]
    #[x_kube(validation = Rule::new("self.all(key, !key.startsWith('pgbackup.dev/'))").message(messages::OWN_ANNOTATION))]
    pub pod_annotations: BTreeMap<String, String>,

    /// The ServiceAccount of the pods, for an identity of the cloud that may use the bucket. Its token for the Kubernetes API
    /// is never mounted. Default: the namespace's default.
    #[schemars(length(max = 253))]
    #[x_kube(validation = Rule::new(messages::IS_OBJECT_NAME).message(messages::OBJECT_NAME))]
    pub service_account_name: Option<String>,

    /// Secrets with the credentials of image registries.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    #[schemars(length(max = 10))]
    #[x_kube(validation = Rule::new("self.all(one, self.exists_one(other, other.name == one.name))").message(messages::SECRETS_TWICE))]
    pub image_pull_secrets: Vec<super::SecretRef>,
}

/// What a container requests, and its limits: quantities by the names of resources.
#[derive(KubeSchema, Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Resources {
    /// What the scheduler backups aside, for example cpu: 100m and memory: 256Mi.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    #[schemars(extend("maxProperties" = 10))]
    #[x_kube(validation = Rule::new(messages::ARE_QUANTITIES).message(messages::QUANTITY))]
    pub requests: BTreeMap<String, IntOrString>,

    /// What the container may not go beyond.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    #[schemars(extend("maxProperties" = 10))]
    #[x_kube(validation = Rule::new(messages::ARE_QUANTITIES).message(messages::QUANTITY))]
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
