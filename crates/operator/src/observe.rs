//! What is seen of the policies' children, filled from watch events as they arrive.
//!
//! Jobs past their history limit and pods at their deadline are gone within moments, so what they said is kept
//! here until a status holds it.

use std::{
    collections::{BTreeMap, HashMap, HashSet},
    sync::{Mutex, MutexGuard, PoisonError},
};

use api::{BackupPolicy, meta};
use desired::{JobState, Observed, ObservedCronJob, ObservedRun};
use domain::name;
use jiff::Timestamp;
use k8s_openapi::api::{
    batch::v1::{CronJob, Job},
    core::v1::Pod,
};
use kube::{
    Resource, ResourceExt,
    runtime::{reflector::ObjectRef, watcher::Event},
};

use crate::pods::{self, SeenPod};

/// Namespace and name of a policy.
type Key = (String, String);

/// Everything seen.
#[derive(Debug, Default)]
pub struct Children(Mutex<HashMap<Key, Seen>>);

/// What is seen of one policy.
#[derive(Debug, Default)]
struct Seen {
    cron_job: Option<CronJob>,
    /// By the Job's UID.
    jobs: BTreeMap<String, SeenJob>,
}

#[derive(Debug, Default)]
struct SeenJob {
    /// `None` while only a pod of it was seen.
    job: Option<(String, Timestamp)>,
    state: Option<JobState>,
    /// It is no longer in the cluster: kept until a status holds what it said.
    deleted: bool,
    /// By the pod's UID.
    pods: BTreeMap<String, SeenPod>,
}

/// What a watch had listed when it was started anew: the rest has vanished meanwhile.
#[derive(Debug, Default)]
pub struct Relisting(HashSet<String>);

impl Children {
    /// Takes an event of the CronJobs' watch; names the policies that it is about.
    pub fn note_cron_job(&self, event: Event<CronJob>) -> Vec<ObjectRef<BackupPolicy>> {
        match event {
            Event::Apply(cron_job) | Event::InitApply(cron_job) => {
                let key = key(&cron_job);
                self.change(key, |seen| seen.cron_job = Some(cron_job))
            }
            Event::Delete(cron_job) => self.change(key(&cron_job), |seen| seen.cron_job = None),
            Event::Init | Event::InitDone => Vec::new(),
        }
    }

    /// Takes an event of the Jobs' watch.
    pub fn note_job(&self, event: Event<Job>, listed: &mut Relisting) -> Vec<ObjectRef<BackupPolicy>> {
        match event {
            Event::Init => {
                listed.0.clear();
                Vec::new()
            }
            Event::InitApply(job) => {
                listed.0.insert(job.uid().unwrap_or_default());
                self.job(&job, false)
            }
            Event::Apply(job) => self.job(&job, false),
            Event::Delete(job) => self.job(&job, true),
            Event::InitDone => self.vanished(&listed.0),
        }
    }

    /// Takes an event of the Pods' watch. A pod's last words outlive it.
    pub fn note_pod(&self, event: Event<Pod>) -> Vec<ObjectRef<BackupPolicy>> {
        let deleted = matches!(event, Event::Delete(_));
        let (Event::Apply(pod) | Event::InitApply(pod) | Event::Delete(pod)) = event else {
            return Vec::new();
        };
        let Some(job_uid) = pod.labels().get(meta::JOB_UID_LABEL).cloned() else { return Vec::new() };
        let (uid, mut seen_pod) = (pod.uid().unwrap_or_default(), pods::seen(&pod));
        seen_pod.unfinished &= !deleted;
        self.change(key(&pod), |seen| {
            let job = seen.jobs.entry(job_uid.clone()).or_default();
            job.pods.insert(uid, seen_pod);
            if deleted && job.job.is_none() {
                // A pod of a Job that was forgotten, or that is not the policy's.
                seen.jobs.remove(&job_uid);
            }
        })
    }

    /// What is seen of `policy`.
    pub fn observe(&self, policy: &BackupPolicy) -> (Observed, Option<CronJob>) {
        let all = self.lock();
        let Some(seen) = all.get(&key_of(policy)) else {
            return (
                Observed { cron_job: ObservedCronJob::Missing, runs: Vec::new(), handled_request: None },
                None,
            );
        };
        let cron_job =
            seen.cron_job.as_ref().map_or(ObservedCronJob::Missing, |cron_job| ownership(policy, cron_job));
        let runs = seen.jobs.iter().filter_map(|(uid, job)| job.run(uid)).collect();
        (Observed { cron_job, runs, handled_request: None }, seen.cron_job.clone())
    }

    /// Forgets the Jobs that are deleted, now that the status of `policy` holds what they said.
    pub fn forget_deleted(&self, policy: &BackupPolicy, observed: &Observed) {
        let recorded: HashSet<&String> = observed.runs.iter().map(|run| &run.job_uid).collect();
        if let Some(seen) = self.lock().get_mut(&key_of(policy)) {
            seen.jobs.retain(|uid, job| !(job.deleted && recorded.contains(uid)));
        }
    }

    /// Forgets a policy that is gone.
    pub fn forget(&self, namespace: Option<&str>, name: &str) {
        self.lock().remove(&(namespace.unwrap_or_default().to_owned(), name.to_owned()));
    }

    fn job(&self, job: &Job, deleted: bool) -> Vec<ObjectRef<BackupPolicy>> {
        if !is_of_its_policy(job) {
            return Vec::new();
        }
        let uid = job.uid().unwrap_or_default();
        let created = job.creation_timestamp().map_or(Timestamp::UNIX_EPOCH, |time| time.0);
        let described = (job.name_any(), created);
        self.change(key(job), |seen| {
            let seen_job = seen.jobs.entry(uid).or_default();
            seen_job.job = Some(described);
            seen_job.state = Some(state(job));
            if deleted {
                seen_job.delete();
            }
        })
    }

    /// Jobs that were seen and are not in the new list.
    fn vanished(&self, listed: &HashSet<String>) -> Vec<ObjectRef<BackupPolicy>> {
        let mut touched = Vec::new();
        for (key, seen) in self.lock().iter_mut() {
            for (_, job) in
                seen.jobs.iter_mut().filter(|(uid, job)| job.job.is_some() && !listed.contains(*uid))
            {
                job.delete();
                touched.push(reference(key));
            }
        }
        touched
    }

    fn change(&self, key: Key, change: impl FnOnce(&mut Seen)) -> Vec<ObjectRef<BackupPolicy>> {
        let reference = reference(&key);
        change(self.lock().entry(key).or_default());
        vec![reference]
    }

    /// A panic in another reconcile leaves the map whole: each change is one insertion.
    fn lock(&self) -> MutexGuard<'_, HashMap<Key, Seen>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
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

    /// The run, once its Job was seen. The newest pod that says something speaks for it.
    fn run(&self, uid: &str) -> Option<ObservedRun> {
        let (job, created) = self.job.clone()?;
        // The watches are not in step: a Job's end can come before its pod's last words.
        let waiting = !self.deleted && self.pods.values().any(|pod| pod.unfinished);
        let state = if waiting { JobState::Active } else { self.state.clone()? };
        let mut pods: Vec<&SeenPod> = self.pods.values().collect();
        pods.sort_by_key(|pod| std::cmp::Reverse(pod.created));
        let speaker = pods.into_iter().find(|pod| pod.says_something()).cloned();
        let (report, container, problem) =
            speaker.map_or((None, None, None), |pod| (pod.report, pod.container, pod.problem));
        Some(ObservedRun { job, job_uid: uid.to_owned(), created, state, report, container, problem })
    }
}

/// Whose the CronJob is.
pub fn ownership(policy: &BackupPolicy, cron_job: &CronJob) -> ObservedCronJob {
    let controller = cron_job.owner_references().iter().find(|owner| owner.controller == Some(true));
    match controller {
        Some(owner) if Some(&owner.uid) == policy.uid().as_ref() => ObservedCronJob::Ours,
        Some(owner) => ObservedCronJob::Foreign { owner: format!("{} {}", owner.kind, owner.name) },
        None => ObservedCronJob::Foreign { owner: "nobody that Kubernetes knows".to_owned() },
    }
}

/// A Job that was made from the policy's CronJob, by the controller or by hand. A label alone proves nothing.
fn is_of_its_policy(job: &Job) -> bool {
    let Some(policy) = job.labels().get(meta::POLICY_LABEL) else { return false };
    let cron_job = name::backup_cron_job(policy);
    job.owner_references().iter().any(|owner| owner.kind == "CronJob" && owner.name == cron_job)
}

fn state(job: &Job) -> JobState {
    let conditions = job.status.iter().flat_map(|status| status.conditions.iter().flatten());
    for condition in conditions.filter(|condition| condition.status == "True") {
        match condition.type_.as_str() {
            "Complete" => return JobState::Succeeded,
            "Failed" => return JobState::Failed { reason: condition.reason.clone().unwrap_or_default() },
            _ => {}
        }
    }
    JobState::Active
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
mod tests {
    use serde_json::{Value, json};

    use super::*;

    fn job(status: &Value) -> Job {
        serde_json::from_value(json!({
            "metadata": {
                "name": "shop-backup-29923291", "namespace": "n", "uid": "j1",
                "creationTimestamp": "2026-11-23T02:15:00Z",
                "labels": {"pgbackup.dev/policy": "shop"},
                "ownerReferences": [{"apiVersion": "batch/v1", "kind": "CronJob", "name": "shop-backup", "uid": "c", "controller": true}]
            },
            "status": status
        }))
        .unwrap()
    }

    fn pod(uid: &str, created: &str, exit_code: i32) -> Pod {
        serde_json::from_value(json!({
            "metadata": {
                "name": uid, "namespace": "n", "uid": uid, "creationTimestamp": created,
                "labels": {"pgbackup.dev/policy": "shop", "batch.kubernetes.io/controller-uid": "j1"}
            },
            "status": {"phase": "Failed", "containerStatuses": [{
                "name": "runner", "image": "i", "imageID": "", "ready": false, "restartCount": 0,
                "state": {"terminated": {"exitCode": exit_code, "reason": "Error"}}
            }]}
        }))
        .unwrap()
    }

    fn policy() -> BackupPolicy {
        serde_json::from_value(json!({
            "metadata": {"name": "shop", "namespace": "n", "uid": "p"},
            "spec": {
                "schedule": "* * * * *",
                "postgres": {"version": 17, "connection": {"host": "h", "user": "u", "passwordSecretRef": {"name": "s", "key": "k"}}},
                "storage": {"volume": {"claimName": "c"}}
            }
        }))
        .unwrap()
    }

    #[test]
    fn the_newest_pod_that_says_something_speaks_for_its_job() {
        let children = Children::default();
        children.note_job(Event::Apply(job(&json!({}))), &mut Relisting::default());
        children.note_pod(Event::Apply(pod("new", "2026-11-23T02:16:00Z", 2)));
        let touched = children.note_pod(Event::Apply(pod("old", "2026-11-23T02:15:00Z", 1)));
        assert_eq!(touched, [ObjectRef::new("shop").within("n")]);
        let (observed, _) = children.observe(&policy());
        assert_eq!(observed.runs[0].container.as_ref().map(|container| container.exit_code), Some(2));
    }

    #[test]
    fn a_job_has_not_ended_before_its_pod_has_spoken() {
        let children = Children::default();
        let mut running = pod("p", "2026-11-23T02:15:00Z", 1);
        running.status = None;
        children.note_pod(Event::Apply(running));
        let ended = json!({"conditions": [{"type": "Complete", "status": "True"}]});
        children.note_job(Event::Apply(job(&ended)), &mut Relisting::default());
        assert_eq!(children.observe(&policy()).0.runs[0].state, JobState::Active);
        children.note_pod(Event::Apply(pod("p", "2026-11-23T02:15:00Z", 1)));
        assert_eq!(children.observe(&policy()).0.runs[0].state, JobState::Succeeded);
    }

    #[test]
    fn a_deleted_job_is_remembered_until_its_status_is_written() {
        let children = Children::default();
        let mut listed = Relisting::default();
        children.note_job(Event::Apply(job(&json!({}))), &mut listed);
        children.note_pod(Event::Delete(pod("p", "2026-11-23T02:15:00Z", 1)));
        children.note_job(Event::Delete(job(&json!({}))), &mut listed);
        let (observed, _) = children.observe(&policy());
        assert_eq!(observed.runs[0].state, JobState::Gone);
        assert!(observed.runs[0].container.is_some());
        children.forget_deleted(&policy(), &observed);
        assert!(children.observe(&policy()).0.runs.is_empty());
    }

    #[test]
    fn a_job_that_vanished_while_the_watch_was_down_is_gone() {
        let children = Children::default();
        let mut listed = Relisting::default();
        children.note_job(Event::Apply(job(&json!({}))), &mut listed);
        children.note_job(Event::Init, &mut listed);
        children.note_job(Event::InitDone, &mut listed);
        assert_eq!(children.observe(&policy()).0.runs[0].state, JobState::Gone);
    }

    #[test]
    fn a_strangers_job_with_the_policys_label_is_not_its_run() {
        let children = Children::default();
        let mut stranger = job(&json!({}));
        stranger.metadata.owner_references = None;
        assert!(children.note_job(Event::Apply(stranger), &mut Relisting::default()).is_empty());
        assert!(children.observe(&policy()).0.runs.is_empty());
    }

    #[test]
    fn a_cron_job_of_another_owner_is_foreign() {
        let mut cron_job: CronJob = serde_json::from_value(json!({
            "metadata": {"name": "shop-backup", "ownerReferences": [
                {"apiVersion": "v1", "kind": "BackupPolicy", "name": "shop", "uid": "p", "controller": true}]},
            "spec": {"schedule": "* * * * *", "jobTemplate": {}}
        }))
        .unwrap();
        assert_eq!(ownership(&policy(), &cron_job), ObservedCronJob::Ours);
        cron_job.metadata.owner_references.as_mut().unwrap()[0].uid = "another".into();
        assert_eq!(
            ownership(&policy(), &cron_job),
            ObservedCronJob::Foreign { owner: "BackupPolicy shop".into() }
        );
    }
}
