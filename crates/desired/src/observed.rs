//! What is seen of a policy in the cluster, reduced to what its status needs.

use domain::{operation::PerOperation, reason::Reason, report::RunReport};
use jiff::{SignedDuration, Timestamp};
use serde::{Deserialize, Serialize};

/// How long a pod may take to start before anybody is told. A new one often waits for a moment: a volume that is made for
/// its first pod is bound, a node is added, an image comes. Half of the minute within which people are promised to hear of
/// it.
pub const START_GRACE: SignedDuration = SignedDuration::from_secs(30);

/// What is seen of one policy.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Observed {
    /// Each operation's CronJob and Jobs.
    #[serde(flatten)]
    pub operations: PerOperation<ObservedOperation>,
    /// The `requested-at` token whose Job is known to exist.
    #[serde(default)]
    pub handled_request: Option<String>,
    /// Why the API server refuses the Job that `requested-at` asks for, in its words.
    #[serde(default)]
    pub refused_request: Option<String>,
}

/// What is seen of one operation of a policy.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct ObservedOperation {
    /// The object of the CronJob's name.
    #[serde(default)]
    pub cron_job: ObservedCronJob,
    /// The Jobs, those that have just vanished included, in any order.
    #[serde(default)]
    pub runs: Vec<ObservedRun>,
}

impl Observed {
    /// The runs of all operations.
    pub fn runs(&self) -> impl Iterator<Item = &ObservedRun> {
        self.operations.iter().flat_map(|(_, operation)| &operation.runs)
    }

    /// The runs of all operations, to change them.
    pub fn runs_mut(&mut self) -> impl Iterator<Item = &mut ObservedRun> {
        self.operations.values_mut().flat_map(|operation| &mut operation.runs)
    }
}

/// The object of the CronJob's name.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub enum ObservedCronJob {
    /// There is none.
    #[default]
    Missing,
    /// It is the policy's.
    Ours,
    /// It is somebody else's: never adopted, never changed.
    Foreign {
        /// Who controls it, for people.
        owner: String,
    },
    /// The API server refuses to have it made, or corrected.
    Refused {
        /// Why, in its words.
        message: String,
    },
}

/// One Job and its newest pod.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct ObservedRun {
    /// The Job's name.
    pub job: String,
    /// The Job's UID.
    pub job_uid: String,
    /// When the Job was made.
    pub created: Timestamp,
    /// How far it is.
    pub state: JobState,
    /// When the Job ended, by the control plane's clock.
    #[serde(default)]
    pub ended: Option<Timestamp>,
    /// The newest report of its pods; a final one outranks a provisional one of the same pod.
    #[serde(default)]
    pub report: Option<RunReport>,
    /// How the newest pod's runner ended, if it has.
    #[serde(default)]
    pub container: Option<ContainerExit>,
    /// Why the newest pod cannot start, while that is so.
    #[serde(default)]
    pub problem: Option<Problem>,
    /// It has not started, and nothing that is seen of it says why.
    #[serde(default)]
    pub unexplained_wait: Option<UnexplainedWait>,
}

/// A Job without a pod, or a pod whose containers have not started, that says nothing.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct UnexplainedWait {
    /// The UID of the Job or the pod: events about it may tell.
    pub uid: String,
    /// When it was made.
    pub since: Timestamp,
}

impl UnexplainedWait {
    /// When it has lasted so long that somebody should be told.
    pub fn ends(&self) -> Timestamp {
        self.since.saturating_add(START_GRACE).unwrap_or(self.since)
    }

    /// Whether it has.
    pub fn is_over(&self, now: Timestamp) -> bool {
        self.ends() <= now
    }
}

/// How far a Job is.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum JobState {
    /// It runs, or will.
    Active,
    /// A pod succeeded.
    Succeeded,
    /// It was given up.
    Failed {
        /// The Job condition's reason: `BackoffLimitExceeded`, `DeadlineExceeded`, `PodFailurePolicy`.
        reason: String,
    },
    /// It was deleted before its end was seen.
    Gone,
}

/// How a pod's runner container ended.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct ContainerExit {
    /// The kubelet's word: `Error`, `OOMKilled`; or, if the pod was taken away, `Evicted` or `NodeLost`.
    pub reason: String,
    /// Its exit code.
    pub exit_code: i32,
    /// The words of the kubelet, if it could not even start it; or of who took the pod away.
    #[serde(default)]
    pub message: Option<String>,
}

impl ContainerExit {
    /// The pod was taken away from it: by its node, or with its node.
    pub fn was_taken_away(&self) -> bool {
        [Reason::Evicted, Reason::NodeLost].iter().any(|reason| reason.as_str() == self.reason)
    }
}

/// Why a pod cannot start.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Problem {
    /// The reason word.
    pub reason: Reason,
    /// The words of the kubelet or the scheduler.
    pub message: String,
    /// Since when, where the cluster says so.
    #[serde(default)]
    pub since: Option<Timestamp>,
}
