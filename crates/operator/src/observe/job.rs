//! A Job and its pods, reduced to the parts that the status of a run needs.

use std::{cmp::Reverse, collections::BTreeMap};

use api::meta;
use desired::{JobState, ObservedRun, UnexplainedWait};
use domain::{name, operation::Operation};
use jiff::{SignedDuration, Timestamp};
use k8s_openapi::api::batch::v1::{Job, JobCondition};
use kube::ResourceExt;

use super::pod::PodSummary;

#[derive(Debug, Default)]
pub struct JobSummary {
    /// The Job's name and operation; `None` if only a pod of the Job was observed so far.
    pub identity: Option<JobIdentity>,
    state: Option<JobState>,
    ended: Option<Timestamp>,
    /// Whether the Job was deleted from the cluster. It is kept here until a status contains its result.
    pub deleted: bool,
    /// The Job's pods, by UID.
    pub pods: BTreeMap<String, PodSummary>,
}

#[derive(Clone, Debug)]
pub struct JobIdentity {
    pub operation: Operation,
    pub name: String,
    pub created: Timestamp,
}

impl JobSummary {
    pub fn update(&mut self, operation: Operation, job: &Job) {
        let created = job.creation_timestamp().map_or(Timestamp::UNIX_EPOCH, |time| time.0);
        self.identity = Some(JobIdentity { operation, name: job.name_any(), created });
        self.state = Some(state(job));
        self.ended = end(job).and_then(|end| end.last_transition_time.as_ref()).map(|time| time.0);
    }

    /// Marks the Job as deleted. If it was active so far, its result becomes unknown ([`JobState::Gone`]).
    pub fn mark_deleted(&mut self) {
        self.deleted = true;
        if self.state == Some(JobState::Active) {
            self.state = Some(JobState::Gone);
        }
    }

    /// Returns whether a pod can still report. The end of a Job can arrive before that of its pod, because
    /// Jobs and pods have separate watches. The pods of a deleted Job stop later than the Job, and report how
    /// they stopped.
    pub fn has_unfinished_pod(&self) -> bool {
        self.pods.values().any(|pod| pod.unfinished)
    }

    /// Returns the run; `None` until its Job was observed. If the Job has several pods, the newest pod with a
    /// result determines the run's result.
    pub fn run(&self, uid: &str) -> Option<ObservedRun> {
        let JobIdentity { name: job, created, .. } = self.identity.clone()?;
        let state = if self.has_unfinished_pod() { JobState::Active } else { self.state.clone()? };
        let mut pods: Vec<(&String, &PodSummary)> = self.pods.iter().collect();
        pods.sort_by_key(|(_, pod)| Reverse(pod.created));
        let unexplained_wait = unexplained_wait((uid, created), &pods).filter(|_| state == JobState::Active);
        let newest = pods.into_iter().map(|(_, pod)| pod).find(|pod| pod.has_result()).cloned();
        let (report, container, problem) =
            newest.map_or((None, None, None), |pod| (pod.report, pod.container, pod.problem));
        Some(ObservedRun {
            job,
            job_uid: uid.to_owned(),
            created,
            state,
            ended: self.ended,
            report,
            container,
            problem,
            unexplained_wait,
        })
    }
}

/// Returns the current wait of an active Job: for its next pod, or for the containers of its newest pod.
/// `pods` is sorted newest first.
fn unexplained_wait(
    (job_uid, created): (&str, Timestamp),
    pods: &[(&String, &PodSummary)],
) -> Option<UnexplainedWait> {
    let Some((pod_uid, pod)) = pods.first() else {
        return Some(UnexplainedWait { uid: job_uid.to_owned(), since: created });
    };
    if pod.unexplained {
        return Some(UnexplainedWait { uid: (*pod_uid).clone(), since: pod.created });
    }
    // The next attempt has no pod yet. An event of the Job may explain why.
    (!pod.unfinished)
        .then(|| UnexplainedWait { uid: job_uid.to_owned(), since: next_attempt(pod, pods.len()) })
}

/// Returns the operation of a Job that was created from a CronJob of its policy, by the controller or by
/// hand. The label alone is no proof.
pub fn operation(job: &Job) -> Option<Operation> {
    let policy = job.labels().get(meta::POLICY_LABEL)?;
    let owners = job.owner_references().iter().filter(|owner| owner.kind == "CronJob");
    let mut operations = owners.filter_map(|owner| name::of_cron_job(&owner.name));
    operations.find(|(_, of)| of == policy).map(|(operation, _)| operation)
}

/// Returns the time at which the Job controller creates the next pod after `pods` pods have ended: 10 s after
/// the first, then twice as long each time, up to ten minutes (Kubernetes' documentation of Jobs, "Pod
/// backoff failure policy").
fn next_attempt(last: &PodSummary, pods: usize) -> Timestamp {
    let doublings = u32::try_from(pods.saturating_sub(1)).unwrap_or(u32::MAX).min(6);
    let pause = SignedDuration::from_secs((10 << doublings).min(600));
    let ended = last.ended.unwrap_or(last.created);
    ended.saturating_add(pause).unwrap_or(ended)
}

fn state(job: &Job) -> JobState {
    match end(job) {
        None => JobState::Active,
        Some(end) if end.type_ == "Complete" => JobState::Succeeded,
        Some(end) => JobState::Failed { reason: end.reason.clone().unwrap_or_default() },
    }
}

/// Returns the condition `Complete` or `Failed` of a Job that has ended; `None` while it is active.
fn end(job: &Job) -> Option<&JobCondition> {
    let mut conditions = job.status.iter().flat_map(|status| status.conditions.iter().flatten());
    conditions
        .find(|condition| condition.status == "True" && ["Complete", "Failed"].contains(&&*condition.type_))
}
