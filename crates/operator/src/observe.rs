//! What is seen of the policies' children, filled from watch events as they arrive.
//!
//! Jobs past their history limit and pods at their deadline are gone within moments, so what they said is kept
//! here until a status holds it.

use std::{
    collections::{BTreeMap, HashMap, HashSet},
    sync::{Mutex, MutexGuard, PoisonError},
};

use api::{BackupPolicy, meta};
use desired::{JobState, Observed, ObservedCronJob, ObservedOperation, ObservedRun, UnexplainedWait};
use domain::operation::{Operation, PerOperation};
use jiff::{SignedDuration, Timestamp};
use k8s_openapi::{
    api::{
        batch::v1::{CronJob, Job, JobCondition},
        core::v1::Pod,
    },
    apimachinery::pkg::apis::meta::v1::ObjectMeta,
};
use kube::{
    Resource, ResourceExt,
    core::PartialObjectMeta,
    runtime::{reflector::ObjectRef, watcher::Event},
};

use crate::{
    cron_job::{self, SeenCronJob, ownership},
    pods::{self, SeenPod},
};

/// Namespace and name of a policy.
type Key = (String, String);

/// Everything seen.
#[derive(Debug, Default)]
pub struct Children(Mutex<HashMap<Key, Seen>>);

/// What is seen of one policy.
#[derive(Debug, Default)]
struct Seen {
    /// By their operation.
    cron_jobs: PerOperation<Option<SeenCronJob>>,
    /// What we wrote ourselves and the watch has not shown yet.
    written: PerOperation<Option<SeenCronJob>>,
    /// By the Job's UID.
    jobs: BTreeMap<String, SeenJob>,
}

/// A Job and its pods, reduced.
#[derive(Debug, Default)]
struct SeenJob {
    /// `None` while only a pod of it was seen.
    job: Option<JobIdentity>,
    state: Option<JobState>,
    /// When it ended.
    ended: Option<Timestamp>,
    /// It is no longer in the cluster: kept until a status holds what it said.
    deleted: bool,
    /// By the pod's UID.
    pods: BTreeMap<String, SeenPod>,
}

/// What a Job is.
#[derive(Clone, Debug)]
struct JobIdentity {
    operation: Operation,
    name: String,
    created: Timestamp,
}

/// The metadata of a policy's CronJobs, as they are in the cluster.
pub type CronJobs = PerOperation<Option<ObjectMeta>>;

/// The UIDs that a watch lists as it starts anew: what was seen and is not among them vanished meanwhile, and no
/// event will ever say so.
#[derive(Debug, Default)]
pub struct Relisting(HashSet<String>);

impl Relisting {
    fn take<K: Resource>(&mut self, event: &Event<K>) {
        match event {
            Event::Init => self.0.clear(),
            Event::InitApply(object) => {
                self.0.insert(object.meta().uid.clone().unwrap_or_default());
            }
            Event::Apply(_) | Event::Delete(_) | Event::InitDone => {}
        }
    }

    fn has(&self, uid: &str) -> bool {
        self.0.contains(uid)
    }
}

impl Children {
    /// Takes an event of the CronJobs' watch; names the policies that it is about.
    pub fn note_cron_job(
        &self,
        event: Event<PartialObjectMeta<CronJob>>,
        listed: &mut Relisting,
    ) -> Vec<ObjectRef<BackupPolicy>> {
        listed.take(&event);
        match event {
            Event::Apply(cron_job) | Event::InitApply(cron_job) => self.cron_job(cron_job, false),
            Event::Delete(cron_job) => self.cron_job(cron_job, true),
            Event::Init => Vec::new(),
            Event::InitDone => self.change_all(|seen| seen.lose_cron_job(listed)),
        }
    }

    /// Takes an event of the Jobs' watch.
    pub fn note_job(&self, event: Event<Job>, listed: &mut Relisting) -> Vec<ObjectRef<BackupPolicy>> {
        listed.take(&event);
        match event {
            Event::Apply(job) | Event::InitApply(job) => self.job(&job, false),
            Event::Delete(job) => self.job(&job, true),
            Event::Init => Vec::new(),
            Event::InitDone => self.change_all(|seen| seen.lose_jobs(listed)),
        }
    }

    /// Takes an event of the Pods' watch. A pod's last words outlive it.
    pub fn note_pod(&self, event: Event<Pod>, listed: &mut Relisting) -> Vec<ObjectRef<BackupPolicy>> {
        listed.take(&event);
        match event {
            Event::Apply(pod) | Event::InitApply(pod) => self.pod(&pod, false),
            Event::Delete(pod) => self.pod(&pod, true),
            Event::Init => Vec::new(),
            Event::InitDone => self.change_all(|seen| seen.lose_pods(listed)),
        }
    }

    /// What is seen of `policy`.
    pub fn observe(&self, policy: &BackupPolicy) -> (Observed, CronJobs) {
        let all = self.lock();
        let Some(seen) = all.get(&key_of(policy)) else { return Default::default() };
        let found = seen.cron_jobs.as_ref().map(|_, found| found.as_ref().map(SeenCronJob::read));
        let operations = found.as_ref().map(|operation, found| ObservedOperation {
            cron_job: found.as_ref().map_or(ObservedCronJob::Missing, |found| ownership(policy, found)),
            runs: seen.runs(policy, operation),
        });
        let observed = Observed { operations, handled_request: None, refused_request: None };
        (observed, found)
    }

    /// Forgets the Jobs that are deleted and whose last words are in `observed`, now that the status of `policy`
    /// holds those. What came in between is kept for the next reconcile.
    pub fn forget_deleted(&self, policy: &BackupPolicy, observed: &Observed) {
        let born = policy.creation_timestamp().map_or(Timestamp::MIN, |time| time.0);
        if let Some(seen) = self.lock().get_mut(&key_of(policy)) {
            seen.jobs.retain(|uid, job| {
                let told = |run: &ObservedRun| observed.runs().any(|told| told == run);
                let is_told = || job.run(uid).is_none_or(|run| run.created < born || told(&run));
                !(job.deleted && !job.is_speaking() && is_told())
            });
        }
    }

    /// Forgets a policy that is gone.
    pub fn forget(&self, policy: &str, namespace: &str) {
        self.lock().remove(&(namespace.to_owned(), policy.to_owned()));
    }

    /// Notes what a reconcile has made of a CronJob: when the watch shows the same, that wakes nobody.
    pub fn note_written(&self, policy: &BackupPolicy, operation: Operation, metadata: &ObjectMeta) {
        let mut all = self.lock();
        let seen = all.entry(key_of(policy)).or_default();
        let written = SeenCronJob::new(metadata.clone());
        let is_shown = seen.cron_jobs.get(operation).as_ref() == Some(&written);
        *seen.written.get_mut(operation) = Some(written).filter(|_| !is_shown);
    }

    fn cron_job(&self, cron_job: PartialObjectMeta<CronJob>, deleted: bool) -> Vec<ObjectRef<BackupPolicy>> {
        let Some((operation, policy)) = cron_job::purpose(&cron_job) else { return Vec::new() };
        let key = (cron_job.namespace().unwrap_or_default(), policy);
        let now = (!deleted).then(|| SeenCronJob::new(cron_job.metadata));
        let mut is_known = false;
        let touched = self.change(key, |seen| {
            let before = seen.cron_jobs.get_mut(operation);
            let written = seen.written.get_mut(operation).take_if(|written| Some(&*written) == now.as_ref());
            is_known = now.is_some() && (*before == now || written.is_some());
            *before = now;
        });
        if is_known { Vec::new() } else { touched }
    }

    fn job(&self, job: &Job, deleted: bool) -> Vec<ObjectRef<BackupPolicy>> {
        let uid = job.uid().unwrap_or_default();
        // One that lost its owner (`kubectl delete cronjob --cascade=orphan`) is still the run that it was.
        let Some(operation) = purpose(job).or_else(|| self.known_purpose(job, &uid)) else {
            return Vec::new();
        };
        let created = job.creation_timestamp().map_or(Timestamp::UNIX_EPOCH, |time| time.0);
        let identity = JobIdentity { operation, name: job.name_any(), created };
        self.change(key(job), |seen| {
            let seen_job = seen.jobs.entry(uid).or_default();
            seen_job.job = Some(identity);
            (seen_job.state, seen_job.ended) = (Some(state(job)), end(job).and_then(when));
            if deleted {
                seen_job.delete();
            }
        })
    }

    fn known_purpose(&self, job: &Job, uid: &str) -> Option<Operation> {
        let all = self.lock();
        all.get(&key(job))?.jobs.get(uid)?.job.as_ref().map(|job| job.operation)
    }

    fn pod(&self, pod: &Pod, deleted: bool) -> Vec<ObjectRef<BackupPolicy>> {
        let Some(job_uid) = pod.labels().get(meta::JOB_UID_LABEL).cloned() else { return Vec::new() };
        let (uid, mut seen_pod) = (pod.uid().unwrap_or_default(), pods::seen(pod));
        seen_pod.unfinished &= !deleted;
        self.change(key(pod), |seen| {
            let job = seen.jobs.entry(job_uid.clone()).or_default();
            job.pods.insert(uid, seen_pod);
            if deleted && job.job.is_none() {
                // A pod of a Job that was forgotten, or that is not the policy's.
                seen.jobs.remove(&job_uid);
            }
        })
    }

    fn change(&self, key: Key, change: impl FnOnce(&mut Seen)) -> Vec<ObjectRef<BackupPolicy>> {
        let reference = reference(&key);
        change(self.lock().entry(key).or_default());
        vec![reference]
    }

    /// Names the policies of which `change` says that it changed something.
    fn change_all(&self, mut change: impl FnMut(&mut Seen) -> bool) -> Vec<ObjectRef<BackupPolicy>> {
        let mut all = self.lock();
        all.iter_mut().filter_map(|(key, seen)| change(seen).then(|| reference(key))).collect()
    }

    /// A panic in another reconcile leaves the map whole: each change is one insertion.
    fn lock(&self) -> MutexGuard<'_, HashMap<Key, Seen>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Seen {
    /// What is seen of an operation's Jobs. Those of a policy that had the same name before may still be on their way out.
    fn runs(&self, policy: &BackupPolicy, operation: Operation) -> Vec<ObservedRun> {
        let born = policy.creation_timestamp().map_or(Timestamp::MIN, |time| time.0);
        let is_of = |job: &JobIdentity| job.operation == operation && job.created >= born;
        let jobs = self.jobs.iter().filter(|(_, job)| job.job.as_ref().is_some_and(is_of));
        jobs.filter_map(|(uid, job)| job.run(uid)).collect()
    }
}

/// What vanished while a watch was down. Each says whether anything did.
impl Seen {
    fn lose_cron_job(&mut self, listed: &Relisting) -> bool {
        let mut lost = false;
        for cron_job in self.cron_jobs.values_mut() {
            lost |= cron_job.take_if(|cron_job| !listed.has(&cron_job.uid)).is_some();
        }
        lost
    }

    fn lose_jobs(&mut self, listed: &Relisting) -> bool {
        let mut changed = false;
        // A Job of which only a pod was seen may be newer than the list.
        for (_, job) in self.jobs.iter_mut().filter(|(uid, job)| job.job.is_some() && !listed.has(uid)) {
            changed |= !job.deleted;
            job.delete();
        }
        changed
    }

    fn lose_pods(&mut self, listed: &Relisting) -> bool {
        let mut changed = false;
        self.jobs.retain(|_, job| {
            for (_, pod) in job.pods.iter_mut().filter(|(uid, _)| !listed.has(uid)) {
                changed |= pod.unfinished;
                pod.unfinished = false;
            }
            job.job.is_some() || job.pods.keys().any(|uid| listed.has(uid))
        });
        changed
    }
}

impl SeenJob {
    /// The cluster has it no longer. What did not end before our eyes is gone.
    fn delete(&mut self) {
        self.deleted = true;
        if self.state == Some(JobState::Active) {
            self.state = Some(JobState::Gone);
        }
    }

    /// A pod of it has not said its last words. The watches are not in step, so a Job's end can come before them;
    /// and the pods of a deleted Job are told to stop after it is gone, and say how they stopped.
    fn is_speaking(&self) -> bool {
        self.pods.values().any(|pod| pod.unfinished)
    }

    /// The run, once its Job was seen. The newest pod that says something speaks for it.
    fn run(&self, uid: &str) -> Option<ObservedRun> {
        let JobIdentity { name: job, created, .. } = self.job.clone()?;
        let state = if self.is_speaking() { JobState::Active } else { self.state.clone()? };
        let mut pods: Vec<(&String, &SeenPod)> = self.pods.iter().collect();
        pods.sort_by_key(|(_, pod)| std::cmp::Reverse(pod.created));
        let unexplained_wait = match pods.first() {
            None => Some(UnexplainedWait { uid: uid.to_owned(), since: created }),
            Some((pod_uid, pod)) if pod.silent => {
                Some(UnexplainedWait { uid: (*pod_uid).clone(), since: pod.created })
            }
            // The next try's pod should be there: if it is not, an event of the Job says why.
            Some((_, pod)) if !pod.unfinished => {
                Some(UnexplainedWait { uid: uid.to_owned(), since: next_try(pod, pods.len()) })
            }
            Some(_) => None,
        };
        let unexplained_wait = unexplained_wait.filter(|_| state == JobState::Active);
        let speaker = pods.into_iter().map(|(_, pod)| pod).find(|pod| pod.says_something()).cloned();
        let (report, container, problem) =
            speaker.map_or((None, None, None), |pod| (pod.report, pod.container, pod.problem));
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

/// What a Job does that was made from a CronJob of its policy, by the controller or by hand. A label alone proves nothing.
fn purpose(job: &Job) -> Option<Operation> {
    let policy = job.labels().get(meta::POLICY_LABEL)?;
    let owners = job.owner_references().iter().filter(|owner| owner.kind == "CronJob");
    let mut purposes = owners.filter_map(|owner| Operation::of_cron_job(&owner.name));
    purposes.find(|(_, of)| of == policy).map(|(operation, _)| operation)
}

/// When the Job controller makes the next pod after so many that ended: 10 s after the first, then twice as long each time,
/// up to ten minutes (Kubernetes' documentation of Jobs, "Pod backoff failure policy").
fn next_try(last: &SeenPod, pods: usize) -> Timestamp {
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

/// The condition that says that it has ended.
fn end(job: &Job) -> Option<&JobCondition> {
    let mut conditions = job.status.iter().flat_map(|status| status.conditions.iter().flatten());
    conditions
        .find(|condition| condition.status == "True" && ["Complete", "Failed"].contains(&&*condition.type_))
}

fn when(condition: &JobCondition) -> Option<Timestamp> {
    condition.last_transition_time.as_ref().map(|time| time.0)
}

fn key(object: &impl Resource) -> Key {
    let policy = object.meta().labels.as_ref().and_then(|labels| labels.get(meta::POLICY_LABEL));
    (object.meta().namespace.clone().unwrap_or_default(), policy.cloned().unwrap_or_default())
}

fn key_of(policy: &BackupPolicy) -> Key {
    (policy.namespace().unwrap_or_default(), policy.name_any())
}

fn reference((namespace, policy): &Key) -> ObjectRef<BackupPolicy> {
    ObjectRef::new(policy).within(namespace)
}

#[cfg(test)]
mod tests;
