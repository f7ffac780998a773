//! The policies' CronJobs, Jobs and pods as the watches show them, reduced to the parts that a status needs.
//!
//! Jobs above the history limit and pods at their deadline disappear quickly. Their results are kept here
//! until a status contains them.

pub mod cron_job;
mod job;
mod pod;
mod relisting;

use std::{
    collections::{BTreeMap, HashMap},
    sync::{Mutex, MutexGuard, PoisonError},
};

use api::{BackupPolicy, meta};
use desired::{ObservedCronJob, ObservedRun};
use domain::operation::{Operation, PerOperation};
use jiff::Timestamp;
use k8s_openapi::{
    api::{
        batch::v1::{CronJob, Job},
        core::v1::Pod,
    },
    apimachinery::pkg::apis::meta::v1::ObjectMeta,
};
use kube::{
    Resource, ResourceExt,
    core::PartialObjectMeta,
    runtime::{reflector::ObjectRef, watcher::Event},
};

pub use self::relisting::Relisting;
use self::{
    cron_job::{CronJobSummary, ownership},
    job::{JobIdentity, JobSummary},
    pod::PodSummary,
};

/// The namespace and the name of a policy.
type Key = (String, String);

/// The CronJobs, Jobs and pods ("children") of all policies.
#[derive(Debug, Default)]
pub struct Children(Mutex<HashMap<Key, PolicyChildren>>);

#[derive(Debug, Default)]
struct PolicyChildren {
    cron_jobs: PerOperation<Option<CronJobSummary>>,
    /// CronJobs that the operator wrote and the watch has not shown yet.
    pending_cron_jobs: PerOperation<Option<CronJobSummary>>,
    /// The Jobs, by UID.
    jobs: BTreeMap<String, JobSummary>,
}

/// The objects of one operation of a policy that were found in the cluster.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct FoundOperation {
    pub cron_job: FoundCronJob,
    pub runs: Vec<ObservedRun>,
}

#[derive(Clone, Debug, Default, PartialEq)]
pub struct FoundCronJob {
    pub state: ObservedCronJob,
    /// The CronJob's metadata; `None` if no CronJob of this name is known.
    pub metadata: Option<ObjectMeta>,
}

/// Each `note_...` function processes an event of a watch, and returns the policies to reconcile.
impl Children {
    pub fn note_cron_job(
        &self,
        event: Event<PartialObjectMeta<CronJob>>,
        listed: &mut Relisting,
    ) -> Vec<ObjectRef<BackupPolicy>> {
        listed.note(&event);
        match event {
            Event::Apply(cron_job) | Event::InitApply(cron_job) => self.set_cron_job(cron_job, false),
            Event::Delete(cron_job) => self.set_cron_job(cron_job, true),
            Event::Init => Vec::new(),
            Event::InitDone => self.change_all(|children| children.remove_unlisted_cron_jobs(listed)),
        }
    }

    pub fn note_job(&self, event: Event<Job>, listed: &mut Relisting) -> Vec<ObjectRef<BackupPolicy>> {
        listed.note(&event);
        match event {
            Event::Apply(job) | Event::InitApply(job) => self.set_job(&job, false),
            Event::Delete(job) => self.set_job(&job, true),
            Event::Init => Vec::new(),
            Event::InitDone => self.change_all(|children| children.mark_unlisted_jobs(listed)),
        }
    }

    /// Processes an event about a pod. Keeps the last result of a deleted pod.
    pub fn note_pod(&self, event: Event<Pod>, listed: &mut Relisting) -> Vec<ObjectRef<BackupPolicy>> {
        listed.note(&event);
        match event {
            Event::Apply(pod) | Event::InitApply(pod) => self.set_pod(&pod, false),
            Event::Delete(pod) => self.set_pod(&pod, true),
            Event::Init => Vec::new(),
            Event::InitDone => self.change_all(|children| children.mark_unlisted_pods(listed)),
        }
    }

    pub fn observe(&self, policy: &BackupPolicy) -> PerOperation<FoundOperation> {
        let all = self.lock();
        let Some(children) = all.get(&key_of(policy)) else { return PerOperation::default() };
        PerOperation::from_fn(|operation| FoundOperation {
            cron_job: children.cron_job(policy, operation),
            runs: children.runs(policy, operation),
        })
    }

    /// Removes deleted Jobs whose results are in `found`, after a status with `found` was written. A result
    /// that arrived later is kept for the next reconcile.
    pub fn remove_deleted(&self, policy: &BackupPolicy, found: &PerOperation<FoundOperation>) {
        let policy_created = created(policy);
        if let Some(children) = self.lock().get_mut(&key_of(policy)) {
            children.jobs.retain(|uid, job| {
                let is_in_status =
                    |run: &ObservedRun| found.iter().any(|(_, found)| found.runs.contains(run));
                let is_done =
                    || job.run(uid).is_none_or(|run| run.created < policy_created || is_in_status(&run));
                !(job.deleted && !job.has_unfinished_pod() && is_done())
            });
        }
    }

    /// Removes all data about a deleted policy.
    pub fn remove(&self, policy: &str, namespace: &str) {
        self.lock().remove(&(namespace.to_owned(), policy.to_owned()));
    }

    /// Adds a CronJob that the operator has written, so that the watch event of this write starts no
    /// reconcile.
    pub fn add_written(&self, policy: &BackupPolicy, operation: Operation, metadata: &ObjectMeta) {
        let mut all = self.lock();
        let children = all.entry(key_of(policy)).or_default();
        let written = CronJobSummary::new(metadata.clone());
        let is_shown = children.cron_jobs.get(operation).as_ref() == Some(&written);
        *children.pending_cron_jobs.get_mut(operation) = Some(written).filter(|_| !is_shown);
    }

    fn set_cron_job(
        &self,
        cron_job: PartialObjectMeta<CronJob>,
        deleted: bool,
    ) -> Vec<ObjectRef<BackupPolicy>> {
        let Some((operation, policy)) = cron_job::operation_and_policy(&cron_job) else { return Vec::new() };
        let key = (cron_job.namespace().unwrap_or_default(), policy);
        let new = (!deleted).then(|| CronJobSummary::new(cron_job.metadata));
        let mut is_known = false;
        let touched = self.change(key, |children| {
            let old = children.cron_jobs.get_mut(operation);
            let pending = children.pending_cron_jobs.get_mut(operation);
            let written = pending.take_if(|written| Some(&*written) == new.as_ref());
            is_known = new.is_some() && (*old == new || written.is_some());
            *old = new;
        });
        if is_known { Vec::new() } else { touched }
    }

    fn set_job(&self, job: &Job, deleted: bool) -> Vec<ObjectRef<BackupPolicy>> {
        let uid = job.uid().unwrap_or_default();
        // A Job that has lost its owner (`kubectl delete cronjob --cascade=orphan`) is still the same run.
        let Some(operation) = job::operation(job).or_else(|| self.known_operation(job, &uid)) else {
            return Vec::new();
        };
        self.change(key(job), |children| {
            let summary = children.jobs.entry(uid).or_default();
            summary.update(operation, job);
            if deleted {
                summary.mark_deleted();
            }
        })
    }

    fn known_operation(&self, job: &Job, uid: &str) -> Option<Operation> {
        let all = self.lock();
        all.get(&key(job))?.jobs.get(uid)?.identity.as_ref().map(|job| job.operation)
    }

    fn set_pod(&self, pod: &Pod, deleted: bool) -> Vec<ObjectRef<BackupPolicy>> {
        let Some(job_uid) = pod.labels().get(meta::JOB_UID_LABEL).cloned() else { return Vec::new() };
        let (uid, mut summary) = (pod.uid().unwrap_or_default(), PodSummary::new(pod));
        summary.unfinished &= !deleted;
        self.change(key(pod), |children| {
            let job = children.jobs.entry(job_uid.clone()).or_default();
            job.pods.insert(uid, summary);
            if deleted && job.identity.is_none() {
                // The Job was removed before, or does not belong to the policy.
                children.jobs.remove(&job_uid);
            }
        })
    }

    fn change(&self, key: Key, change: impl FnOnce(&mut PolicyChildren)) -> Vec<ObjectRef<BackupPolicy>> {
        let reference = reference(&key);
        change(self.lock().entry(key).or_default());
        vec![reference]
    }

    /// Applies `change` to all policies, and returns those for which it returns true.
    fn change_all(
        &self,
        mut change: impl FnMut(&mut PolicyChildren) -> bool,
    ) -> Vec<ObjectRef<BackupPolicy>> {
        let mut all = self.lock();
        all.iter_mut().filter_map(|(key, children)| change(children).then(|| reference(key))).collect()
    }

    /// Locks the map. If a panic happened while it was locked, the map is still consistent, because each
    /// change is one insertion.
    fn lock(&self) -> MutexGuard<'_, HashMap<Key, PolicyChildren>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl PolicyChildren {
    fn cron_job(&self, policy: &BackupPolicy, operation: Operation) -> FoundCronJob {
        let metadata = self.cron_jobs.get(operation).as_ref().map(CronJobSummary::metadata);
        let state = metadata.as_ref().map_or(ObservedCronJob::Missing, |found| ownership(policy, found));
        FoundCronJob { state, metadata }
    }

    /// Returns the runs of an operation. Leaves out Jobs of an earlier policy of the same name that are not
    /// deleted yet.
    fn runs(&self, policy: &BackupPolicy, operation: Operation) -> Vec<ObservedRun> {
        let policy_created = created(policy);
        let is_of = |job: &JobIdentity| job.operation == operation && job.created >= policy_created;
        let jobs = self.jobs.iter().filter(|(_, job)| job.identity.as_ref().is_some_and(is_of));
        jobs.filter_map(|(uid, job)| job.run(uid)).collect()
    }
}

/// Removes or marks objects that a new list lacks, because they were deleted while a watch was down. Each
/// function returns whether anything changed.
impl PolicyChildren {
    fn remove_unlisted_cron_jobs(&mut self, listed: &Relisting) -> bool {
        let mut changed = false;
        for cron_job in self.cron_jobs.values_mut() {
            changed |= cron_job.take_if(|cron_job| !listed.has(&cron_job.uid)).is_some();
        }
        changed
    }

    fn mark_unlisted_jobs(&mut self, listed: &Relisting) -> bool {
        let mut changed = false;
        // If only a pod of the Job was observed, the Job may be newer than the list.
        for (_, job) in self.jobs.iter_mut().filter(|(uid, job)| job.identity.is_some() && !listed.has(uid)) {
            changed |= !job.deleted;
            job.mark_deleted();
        }
        changed
    }

    fn mark_unlisted_pods(&mut self, listed: &Relisting) -> bool {
        let mut changed = false;
        self.jobs.retain(|_, job| {
            for (_, pod) in job.pods.iter_mut().filter(|(uid, _)| !listed.has(uid)) {
                changed |= pod.unfinished;
                pod.unfinished = false;
            }
            job.identity.is_some() || job.pods.keys().any(|uid| listed.has(uid))
        });
        changed
    }
}

fn created(policy: &BackupPolicy) -> Timestamp {
    policy.creation_timestamp().map_or(Timestamp::MIN, |time| time.0)
}

/// Returns the policy of a Job or pod, according to its labels.
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
