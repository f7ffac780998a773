//! Watches policies and pods in parallel to the operator, and records when each run's result appears in a
//! status.

use std::{
    collections::{HashMap, HashSet},
    sync::{Arc, Mutex, MutexGuard, PoisonError},
    time::Instant,
};

use api::{
    BackupPolicy, meta,
    status::{ConditionStatus, ConditionType},
};
use futures::{StreamExt as _, TryStreamExt as _};
use k8s_openapi::api::core::v1::Pod;
use kube::{
    Api, Client, ResourceExt as _,
    runtime::{WatchStreamExt as _, watcher},
};
use tokio::task::JoinHandle;

#[derive(Debug, Default)]
struct State {
    ready: HashSet<String>,
    /// The time at which the result of a Job appeared in a status, by Job name.
    reported: HashMap<String, Instant>,
    /// The time at which the pod of a Job ended, by Job name.
    ended: HashMap<String, Instant>,
}

/// Watches a namespace until this value is dropped.
#[derive(Debug)]
pub struct Observer {
    state: Arc<Mutex<State>>,
    tasks: [JoinHandle<()>; 2],
}

impl Observer {
    pub fn start(client: &Client, namespace: &str) -> Self {
        let state: Arc<Mutex<State>> = Arc::default();
        let policies =
            watcher(Api::<BackupPolicy>::namespaced(client.clone(), namespace), watcher::Config::default());
        let pods = watcher(Api::<Pod>::namespaced(client.clone(), namespace), watcher::Config::default());
        let of_policies = tokio::spawn({
            let state = state.clone();
            policies.default_backoff().applied_objects().into_stream().for_each(move |policy| {
                if let Ok(policy) = policy {
                    record_policy(&mut lock(&state), &policy);
                }
                futures::future::ready(())
            })
        });
        let of_pods = tokio::spawn({
            let state = state.clone();
            pods.default_backoff().applied_objects().into_stream().for_each(move |pod| {
                if let Ok(pod) = pod {
                    record_pod(&mut lock(&state), &pod);
                }
                futures::future::ready(())
            })
        });
        Self { state, tasks: [of_policies, of_pods] }
    }

    /// Returns the number of ready policies.
    pub fn ready(&self) -> usize {
        lock(&self.state).ready.len()
    }

    /// Returns the time from the end of a Job's pod until the status contained the result, in seconds; `None`
    /// until then.
    pub fn report_delay(&self, job: &str) -> Option<f64> {
        let state = lock(&self.state);
        let (reported, ended) = (state.reported.get(job)?, state.ended.get(job)?);
        // There are two separate watches, so the status can arrive first.
        Some(reported.saturating_duration_since(*ended).as_secs_f64())
    }
}

impl Drop for Observer {
    fn drop(&mut self) {
        for task in &self.tasks {
            task.abort();
        }
    }
}

fn lock(state: &Mutex<State>) -> MutexGuard<'_, State> {
    state.lock().unwrap_or_else(PoisonError::into_inner)
}

fn record_policy(state: &mut State, policy: &BackupPolicy) {
    let Some(status) = &policy.status else { return };
    let is_ready = |condition| ConditionStatus::True.is_of(condition);
    if status.condition(ConditionType::Ready).is_some_and(is_ready) {
        state.ready.insert(policy.name_any());
    }
    // The condition reports a failed attempt at once. The history contains the run only after its Job has
    // failed.
    let health = status.condition(ConditionType::BackupHealthy).map(|health| health.message.as_str());
    let message = health.filter(|message| !message.contains("cannot start")).unwrap_or_default();
    let words = message.split(|c: char| !c.is_ascii_alphanumeric() && c != '-').map(str::to_owned);
    for job in status.history.iter().map(|run| run.job.clone()).chain(words) {
        state.reported.entry(job).or_insert_with(Instant::now);
    }
}

/// Records the end of a pod. The kubelet reports the end of the container before the end of the pod.
fn record_pod(state: &mut State, pod: &Pod) {
    let containers = pod.status.iter().flat_map(|status| status.container_statuses.iter().flatten());
    let mut states = containers.filter_map(|container| container.state.as_ref());
    let has_ended = states.any(|state| state.terminated.is_some());
    if let (true, Some(job)) = (has_ended, pod.labels().get(meta::JOB_NAME_LABEL)) {
        state.ended.entry(job.clone()).or_insert_with(Instant::now);
    }
}
