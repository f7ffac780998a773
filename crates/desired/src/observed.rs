//! The operator's observation of a policy in the cluster, reduced to what the status needs.

use domain::{operation::PerOperation, reason::Reason, report::RunReport};
use jiff::{SignedDuration, Timestamp};
use serde::{Deserialize, Serialize};

/// How long a pod may take to start before the status reports it. A new pod often waits for a volume, a node
/// or an image. The documents promise a report within a minute. This is half of it.
pub const START_GRACE: SignedDuration = SignedDuration::from_secs(30);

/// The observation of one policy.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Observed {
    /// Each operation's CronJob and Jobs.
    #[serde(flatten)]
    pub operations: PerOperation<ObservedOperation>,
    /// The `requested-at` token whose Job is known to exist.
    #[serde(default)]
    pub handled_request: Option<String>,
    /// Why the Job of the `requested-at` token cannot be created.
    #[serde(default)]
    pub refused_request: Option<RequestObstacle>,
}

/// The observation of one operation of a policy.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct ObservedOperation {
    /// The object of the CronJob's name.
    #[serde(default)]
    pub cron_job: ObservedCronJob,
    /// The Jobs, including those that were just deleted, in any order.
    #[serde(default)]
    pub runs: Vec<ObservedRun>,
}

impl Observed {
    /// Returns the runs of all operations.
    pub fn runs(&self) -> impl Iterator<Item = &ObservedRun> {
        self.operations.iter().flat_map(|(_, operation)| &operation.runs)
    }

    /// Returns the runs of all operations, to change them.
    pub fn runs_mut(&mut self) -> impl Iterator<Item = &mut ObservedRun> {
        self.operations.values_mut().flat_map(|operation| &mut operation.runs)
    }
}

/// The object of the CronJob's name.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub enum ObservedCronJob {
    /// No object has this name.
    #[default]
    Missing,
    /// The policy owns the object.
    Ours,
    /// The policy does not own the object, so the operator never adopts or changes it.
    Foreign(ForeignObject),
    /// The API server rejects the creation or the correction of the CronJob.
    Refused(Rejection),
}

/// An object that has the name the policy needs, and that the policy does not own.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct ForeignObject {
    /// Kind and name of the owner that controls the object: `HelmRelease shop`. `None` if no owner does.
    #[serde(default)]
    pub owner: Option<String>,
    /// The program that created the object, as the field manager names it: `kubectl-create`. `None` if it is
    /// not known, or if the object has an owner.
    #[serde(default)]
    pub creator: Option<String>,
}

/// The API server's rejection of an object. It is repeated until a person changes something.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Rejection {
    /// The API's message.
    pub message: String,
    /// The cause, if the message has a known form.
    #[serde(default)]
    pub cause: Option<Cause>,
}

/// Why the Job of the `requested-at` token cannot be created.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub enum RequestObstacle {
    /// A Job of its name exists and is not the policy's.
    Foreign(ForeignObject),
    /// The API server rejects the Job.
    Refused(Rejection),
}

/// One Job and its newest pod.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct ObservedRun {
    /// The Job's name.
    pub job: String,
    /// The Job's UID.
    pub job_uid: String,
    /// When the Job was created.
    pub created: Timestamp,
    /// The state of the Job.
    pub state: JobState,
    /// When the Job ended, by the control plane's clock.
    #[serde(default)]
    pub ended: Option<Timestamp>,
    /// The newest report of its pods. A final report replaces a provisional one of the same pod.
    #[serde(default)]
    pub report: Option<RunReport>,
    /// How the newest pod's runner ended, if it has.
    #[serde(default)]
    pub container: Option<ContainerExit>,
    /// Why the newest pod cannot start; `None` if it can.
    #[serde(default)]
    pub problem: Option<Problem>,
    /// The wait of a Job or pod that has not started, if nothing observed explains it.
    #[serde(default)]
    pub unexplained_wait: Option<UnexplainedWait>,
}

/// The wait of a Job without a pod, or of a pod whose containers have not started, without a reason in its
/// status.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct UnexplainedWait {
    /// The UID of the Job or the pod: events about it can explain the wait.
    pub uid: String,
    /// When the Job or the pod was created.
    pub since: Timestamp,
}

impl UnexplainedWait {
    /// Returns when the grace ends, after which the wait is a problem.
    pub fn ends(&self) -> Timestamp {
        self.since.saturating_add(START_GRACE).unwrap_or(self.since)
    }

    /// Returns whether the grace has ended.
    pub fn is_over(&self, now: Timestamp) -> bool {
        self.ends() <= now
    }
}

/// The state of a Job.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum JobState {
    /// The Job runs, or will run.
    Active,
    /// A pod succeeded.
    Succeeded,
    /// The Job failed, and is not retried.
    Failed {
        /// The Job condition's reason: `BackoffLimitExceeded`, `DeadlineExceeded`, `PodFailurePolicy`.
        reason: String,
    },
    /// The Job was deleted before its end was observed.
    Gone,
}

/// How a pod's runner container ended.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct ContainerExit {
    /// The kubelet's reason: `Error`, `OOMKilled`. If the pod was taken from its node: `Evicted` or
    /// `NodeLost`.
    pub reason: String,
    /// The exit code.
    pub exit_code: i32,
    /// The message of the kubelet if it could not start the container, or of the program that evicted the
    /// pod.
    #[serde(default)]
    pub message: Option<String>,
}

impl ContainerExit {
    /// Returns whether the pod was evicted or lost with its node.
    pub fn was_taken_away(&self) -> bool {
        [Reason::Evicted, Reason::NodeLost].iter().any(|reason| reason.as_str() == self.reason)
    }
}

/// Why a pod cannot start.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Problem {
    /// The condition reason.
    pub reason: Reason,
    /// The fact, with the message of the kubelet, the scheduler or the API server. Retries do not change it.
    pub message: String,
    /// When the problem began, if the cluster reports it.
    #[serde(default)]
    pub since: Option<Timestamp>,
    /// The cause, with the names for a hint. `None` if the message has no known form.
    #[serde(default)]
    pub cause: Option<Cause>,
}

/// The cause that keeps a pod from starting, or an object from being accepted, with the names that a hint
/// needs.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", rename_all_fields = "camelCase")]
pub enum Cause {
    /// The image cannot be pulled.
    Image {
        /// The image's name: `docker.io/library/postgres:17`.
        image: String,
    },
    /// The Secret does not exist.
    SecretNotFound {
        /// The Secret's name.
        secret: String,
    },
    /// The Secret has no such key.
    SecretKeyNotFound {
        /// The Secret's name.
        secret: String,
        /// The key.
        key: String,
    },
    /// The volume claim does not exist.
    ClaimNotFound {
        /// The claim's name.
        claim: String,
    },
    /// The volume claim has no volume.
    ClaimNotBound {
        /// The claim's name, if the pod has exactly one.
        #[serde(default)]
        claim: Option<String>,
    },
    /// No node that the pod may run on has enough of a resource.
    InsufficientResource {
        /// `cpu`, `memory`, `ephemeral-storage`.
        resource: String,
    },
    /// The pod does not tolerate the taint of the nodes that it could run on.
    UntoleratedTaint {
        /// Key and value: `dedicated: db`.
        taint: String,
    },
    /// No node matches `job.nodeSelector` and `job.affinity`.
    NodeSelector,
    /// A quota leaves no room.
    QuotaExceeded {
        /// The ResourceQuota's name.
        quota: String,
    },
    /// A quota demands requests or limits that the pod does not have.
    QuotaNeedsResources {
        /// The ResourceQuota's name.
        quota: String,
        /// What is missing: `limits.cpu,limits.memory`.
        resources: String,
    },
    /// The service account does not exist.
    ServiceAccountNotFound {
        /// The service account's name.
        account: String,
    },
    /// The namespace's Pod Security level forbids the pod.
    PodSecurity {
        /// The level and its version: `restricted:latest`.
        level: String,
    },
    /// An admission policy or an admission webhook forbids the object.
    AdmissionPolicy {
        /// The name of the ValidatingAdmissionPolicy or of the webhook.
        policy: String,
    },
}
