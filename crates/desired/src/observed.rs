//! The operator's observation of a policy in the cluster, reduced to what the status needs.

use domain::{operation::PerOperation, reason::Reason, report::RunReport};
use jiff::{SignedDuration, Timestamp};
use serde::{Deserialize, Serialize};

/// The time that a pod can take to start before the status reports a problem. A new pod often waits for a
/// volume, a node or an image. The documents promise a report within a minute; this is half of it.
pub const START_GRACE: SignedDuration = SignedDuration::from_secs(30);

/// The observation of one policy.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Observed {
    /// The CronJob and the Jobs of each operation.
    #[serde(flatten)]
    pub operations: PerOperation<ObservedOperation>,
    /// The token of the annotation `requested-at` whose Job exists.
    #[serde(default)]
    pub handled_request: Option<String>,
    /// The reason why the Job of the annotation `requested-at` cannot be created.
    #[serde(default)]
    pub refused_request: Option<RequestObstacle>,
}

/// The observation of one operation of a policy.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct ObservedOperation {
    /// The object that has the CronJob's name, if any.
    #[serde(default)]
    pub cron_job: ObservedCronJob,
    /// The runs of the operation, one for each Job, in any order. Jobs that were just deleted are included.
    #[serde(default)]
    pub runs: Vec<ObservedRun>,
}

impl Observed {
    /// Returns the runs of all operations.
    pub fn runs(&self) -> impl Iterator<Item = &ObservedRun> {
        self.operations.iter().flat_map(|(_, operation)| &operation.runs)
    }

    /// Returns mutable references to the runs of all operations.
    pub fn runs_mut(&mut self) -> impl Iterator<Item = &mut ObservedRun> {
        self.operations.values_mut().flat_map(|operation| &mut operation.runs)
    }
}

/// The object that has the name of an operation's CronJob.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub enum ObservedCronJob {
    /// No object has this name.
    #[default]
    Missing,
    /// The policy owns the object.
    Ours,
    /// The policy does not own the object. The operator never adopts or changes it.
    Foreign(ForeignObject),
    /// The API server rejects the creation or the correction of the CronJob.
    Refused(Rejection),
}

/// An object that has a name which the policy needs, and that the policy does not own.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct ForeignObject {
    /// The kind and the name of the owner that controls the object, for example `HelmRelease shop`; `None` if
    /// no owner controls it.
    #[serde(default)]
    pub owner: Option<String>,
    /// The field manager that created the object, for example `kubectl-create`; `None` if it is unknown or
    /// the object has an owner.
    #[serde(default)]
    pub creator: Option<String>,
}

/// The API server's rejection of an object. The API server rejects the object again until a person changes
/// something.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Rejection {
    /// The message of the API server.
    pub message: String,
    /// The cause that the message states; `None` if the message has no known form.
    #[serde(default)]
    pub cause: Option<Cause>,
}

/// The reason why the Job of the annotation `requested-at` cannot be created.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub enum RequestObstacle {
    /// Another object has the Job's name, and the policy does not own it.
    Foreign(ForeignObject),
    /// The API server rejects the Job.
    Refused(Rejection),
}

/// The observation of a run: its Job and its newest pod.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct ObservedRun {
    /// The Job's name.
    pub job: String,
    /// The Job's UID.
    pub job_uid: String,
    /// The time at which the Job was created.
    pub created: Timestamp,
    /// The state of the Job.
    pub state: JobState,
    /// The time at which the Job ended, by the control plane's clock.
    #[serde(default)]
    pub ended: Option<Timestamp>,
    /// The newest report of the Job's pods. The final report of a pod replaces its provisional report.
    #[serde(default)]
    pub report: Option<RunReport>,
    /// The end of the runner in the newest pod; `None` if it has not ended.
    #[serde(default)]
    pub container: Option<ContainerExit>,
    /// The problem because of which the newest pod cannot start; `None` if there is none.
    #[serde(default)]
    pub problem: Option<Problem>,
    /// The wait of a Job or pod that has not started; `None` if there is no wait, or if an observed problem
    /// explains it.
    #[serde(default)]
    pub unexplained_wait: Option<UnexplainedWait>,
}

/// A wait that nothing observed explains: a Job without a pod, or a pod whose containers have not started and
/// whose status contains no reason.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct UnexplainedWait {
    /// The UID of the Job or the pod that waits. Events about it can explain the wait.
    pub uid: String,
    /// The time at which the Job or the pod was created.
    pub since: Timestamp,
}

impl UnexplainedWait {
    /// Returns the end of the grace period. A wait that lasts longer is a problem.
    pub fn ends(&self) -> Timestamp {
        self.since.saturating_add(START_GRACE).unwrap_or(self.since)
    }

    /// Returns whether the grace period has ended.
    pub fn is_over(&self, now: Timestamp) -> bool {
        self.ends() <= now
    }
}

/// The state of a Job.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum JobState {
    /// The Job is running or will run.
    Active,
    /// A pod of the Job succeeded.
    Succeeded,
    /// The Job failed, and is not retried.
    Failed {
        /// The reason in the Job's condition, for example `BackoffLimitExceeded`, `DeadlineExceeded` or
        /// `PodFailurePolicy`.
        reason: String,
    },
    /// The Job was deleted before its end was observed.
    Gone,
}

/// The end of the runner's container in a pod.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct ContainerExit {
    /// The kubelet's reason, for example `Error` or `OOMKilled`. If the pod was evicted or its node is lost:
    /// `Evicted` or `NodeLost`.
    pub reason: String,
    /// The exit code of the container.
    pub exit_code: i32,
    /// The kubelet's message if it could not start the container, or the message of the program that evicted
    /// the pod.
    #[serde(default)]
    pub message: Option<String>,
}

impl ContainerExit {
    /// Returns whether the pod was evicted or was lost with its node.
    pub fn was_taken_away(&self) -> bool {
        [Reason::Evicted, Reason::NodeLost].iter().any(|reason| reason.as_str() == self.reason)
    }
}

/// The reason why a pod cannot start.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Problem {
    /// The reason for the condition.
    pub reason: Reason,
    /// A text with the message of the kubelet, the scheduler or the API server. The text does not change when
    /// Kubernetes retries.
    pub message: String,
    /// The time at which the problem began, if the cluster reports it.
    #[serde(default)]
    pub since: Option<Timestamp>,
    /// The cause, with the names that a hint needs; `None` if the message has no known form.
    #[serde(default)]
    pub cause: Option<Cause>,
}

/// The cause because of which a pod cannot start or the API server rejects an object, with the names that a
/// hint needs.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", rename_all_fields = "camelCase")]
pub enum Cause {
    /// The image cannot be pulled.
    Image {
        /// The image's name, for example `docker.io/library/postgres:17`.
        image: String,
    },
    /// The Secret does not exist.
    SecretNotFound {
        /// The Secret's name.
        secret: String,
    },
    /// The Secret does not have the key.
    SecretKeyNotFound {
        /// The Secret's name.
        secret: String,
        /// The name of the missing key.
        key: String,
    },
    /// The PersistentVolumeClaim does not exist.
    ClaimNotFound {
        /// The claim's name.
        claim: String,
    },
    /// The PersistentVolumeClaim is not bound to a volume.
    ClaimNotBound {
        /// The claim's name, if the pod has exactly one.
        #[serde(default)]
        claim: Option<String>,
    },
    /// No node on which the pod can run has enough of a resource.
    InsufficientResource {
        /// The resource: `cpu`, `memory` or `ephemeral-storage`.
        resource: String,
    },
    /// The pod does not tolerate the taint of the nodes on which it could run.
    UntoleratedTaint {
        /// The key and the value of the taint, for example `dedicated: db`.
        taint: String,
    },
    /// No node matches `job.nodeSelector` and `job.affinity`.
    NodeSelector,
    /// The namespace's quota allows no further pods or resources.
    QuotaExceeded {
        /// The ResourceQuota's name.
        quota: String,
    },
    /// The namespace's quota requires resource requests or limits that the pod does not have.
    QuotaNeedsResources {
        /// The ResourceQuota's name.
        quota: String,
        /// The missing requests or limits, for example `limits.cpu,limits.memory`.
        resources: String,
    },
    /// The service account does not exist.
    ServiceAccountNotFound {
        /// The service account's name.
        account: String,
    },
    /// The namespace's Pod Security level forbids the pod.
    PodSecurity {
        /// The level and its version, for example `restricted:latest`.
        level: String,
    },
    /// An admission policy or an admission webhook rejects the object.
    AdmissionPolicy {
        /// The name of the ValidatingAdmissionPolicy or of the webhook.
        policy: String,
    },
}
