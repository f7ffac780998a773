//! What a bystander sees of policies and pods, with the moment at which it sees it.

use std::{
    collections::{HashMap, HashSet},
    sync::{Arc, Mutex, MutexGuard, PoisonError},
    time::Instant,
};

use api::{
    BackupPolicy,
    status::{ConditionStatus, ConditionType},
};
use futures::{StreamExt as _, TryStreamExt as _};
use k8s_openapi::api::core::v1::Pod;
use kube::{
    Api, Client, ResourceExt as _,
    runtime::{WatchStreamExt as _, watcher},
};
use tokio::task::JoinHandle;

/// The label by which the Job controller names a pod's Job.
const JOB_NAME: &str = "batch.kubernetes.io/job-name";

/// What a condition says before the name of a Job whose pod has failed.
const TRY_FAILED: &str = "a try of ";

/// All of it.
#[derive(Debug, Default)]
struct State {
    ready: HashSet<String>,
    told: HashMap<String, Instant>,
    ended: HashMap<String, Instant>,
}

/// Watches a namespace until it is dropped.
#[derive(Debug)]
pub struct Seen {
    state: Arc<Mutex<State>>,
    tasks: [JoinHandle<()>; 2],
}

impl Seen {
    /// Begins to watch.
    pub fn watch(client: &Client, namespace: &str) -> Self {
        let state: Arc<Mutex<State>> = Arc::default();
        let policies =
            watcher(Api::<BackupPolicy>::namespaced(client.clone(), namespace), watcher::Config::default());
        let pods = watcher(Api::<Pod>::namespaced(client.clone(), namespace), watcher::Config::default());
        let of_policies = tokio::spawn({
            let state = state.clone();
            policies.default_backoff().applied_objects().into_stream().for_each(move |seen| {
                if let Ok(policy) = seen {
                    note_policy(&mut lock(&state), &policy);
                }
                futures::future::ready(())
            })
        });
        let of_pods = tokio::spawn({
            let state = state.clone();
            pods.default_backoff().applied_objects().into_stream().for_each(move |seen| {
                if let Ok(pod) = seen {
                    note_pod(&mut lock(&state), &pod);
                }
                futures::future::ready(())
            })
        });
        Self { state, tasks: [of_policies, of_pods] }
    }

    /// How many policies are ready.
    pub fn ready(&self) -> usize {
        lock(&self.state).ready.len()
    }

    /// How long after its pod ended the status of its policy told how the run of a Job went, in seconds; `None` before that.
    pub fn told_after(&self, job: &str) -> Option<f64> {
        let state = lock(&self.state);
        let (told, ended) = (state.told.get(job)?, state.ended.get(job)?);
        // Two watches are not in step: the status may be seen first.
        Some(told.saturating_duration_since(*ended).as_secs_f64())
    }
}

impl Drop for Seen {
    fn drop(&mut self) {
        for task in &self.tasks {
            task.abort();
        }
    }
}

fn lock(state: &Mutex<State>) -> MutexGuard<'_, State> {
    state.lock().unwrap_or_else(PoisonError::into_inner)
}

fn note_policy(state: &mut State, policy: &BackupPolicy) {
    let Some(status) = &policy.status else { return };
    if status.condition(ConditionType::Ready).is_some_and(|ready| ConditionStatus::True.is_of(ready)) {
        state.ready.insert(policy.name_any());
    }
    // A pod that failed is told of at once, and is in the history when Kubernetes has given its Job up.
    let tries = status.conditions.iter().filter_map(|condition| condition.message.split_once(TRY_FAILED));
    let tries = tries.filter_map(|(_, words)| words.split(' ').next().map(str::to_owned));
    for job in status.history.iter().map(|run| run.job.clone()).chain(tries) {
        state.told.entry(job).or_insert_with(Instant::now);
    }
}

/// The kubelet tells that the container has ended before it calls the pod ended.
fn note_pod(state: &mut State, pod: &Pod) {
    let containers = pod.status.iter().flat_map(|status| status.container_statuses.iter().flatten());
    let mut states = containers.filter_map(|container| container.state.as_ref());
    let has_ended = states.any(|state| state.terminated.is_some());
    if let (true, Some(job)) = (has_ended, pod.labels().get(JOB_NAME)) {
        state.ended.entry(job.clone()).or_insert_with(Instant::now);
    }
}
