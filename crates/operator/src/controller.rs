//! The reconciler: observe, validate, apply, status, and what wakes it.

use std::{
    collections::HashMap,
    hash::{BuildHasher, RandomState},
    panic::AssertUnwindSafe,
    pin::pin,
    sync::{Arc, Mutex, MutexGuard, PoisonError},
    time::Duration,
};

use api::{BackupPolicy, BackupPolicyStatus, meta};
use desired::{Images, ObservedCronJob};
use futures::{FutureExt, Stream, StreamExt, future};
use jiff::Timestamp;
use k8s_openapi::{
    NamespaceResourceScope,
    api::{
        batch::v1::{CronJob, Job},
        core::v1::Pod,
    },
};
use kube::{
    Api, Client, Resource, ResourceExt,
    runtime::{
        Controller, PredicateConfig, WatchStreamExt,
        controller::{self, Action},
        reflector::{self, ObjectRef},
        watcher::{self, watcher},
    },
};
use serde::de::DeserializeOwned;
use tokio::sync::SetOnce;
use tokio_util::sync::CancellationToken;

use crate::{
    apply,
    client::CallError,
    events::Events,
    observe::{Children, Relisting},
    ops::Readiness,
};

/// Reconciles at a time. Each waits for the API server nearly all of its time.
const CONCURRENCY: u16 = 16;

/// The first minor version whose API server answers streaming lists by default.
const STREAMING_LISTS_SINCE: u32 = 34;

/// A page of a list, for older servers: larger ones cost memory, smaller ones time.
const PAGE: u32 = 50;

/// The first pause after a failed reconcile; each further one doubles it.
const FIRST_PAUSE: Duration = Duration::from_millis(500);
const LONGEST_PAUSE: Duration = Duration::from_mins(5);

/// Somebody else's CronJob is not watched: look again now and then whether the name is free.
const NAME_TAKEN_PAUSE: Duration = Duration::from_mins(1);

/// What a reconcile works with.
pub struct Context {
    client: Client,
    images: Images,
    events: Events,
    children: Children,
    /// The children's first lists are in: before that, everything would look missing.
    listed: [SetOnce<()>; 3],
    failures: Mutex<HashMap<ObjectRef<BackupPolicy>, u32>>,
    /// Our newest write of each status, until our own watch shows it.
    written: Mutex<HashMap<String, Written>>,
}

#[derive(Clone)]
struct Written {
    version: u64,
    status: Option<BackupPolicyStatus>,
}

/// A reconcile that could not do its I/O, or that panicked.
#[derive(Debug, thiserror::Error)]
pub enum ReconcileError {
    /// A call failed.
    #[error(transparent)]
    Call(#[from] CallError),
    /// A bug: contained to this policy.
    #[error("the reconcile panicked")]
    Panic,
}

impl Context {
    /// Nothing seen yet.
    pub fn new(client: Client, images: Images, identity: &str) -> Self {
        Self {
            events: Events::new(client.clone(), identity),
            client,
            images,
            children: Children::default(),
            listed: Default::default(),
            failures: Mutex::default(),
            written: Mutex::default(),
        }
    }

    fn failures(&self) -> MutexGuard<'_, HashMap<ObjectRef<BackupPolicy>, u32>> {
        self.failures.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn written(&self) -> MutexGuard<'_, HashMap<String, Written>> {
        self.written.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// Works until `stop`, then lets running reconciles end.
pub async fn run(
    context: Arc<Context>,
    namespace: Option<&str>,
    server_minor: u32,
    readiness: Arc<Readiness>,
    stop: CancellationToken,
) {
    readiness.syncing();
    let config = watch_config(server_minor);
    let (store, writer) = reflector::store();
    let policies = watcher(api::<BackupPolicy>(&context.client, namespace), config.clone())
        .default_backoff()
        .modify(|policy| policy.managed_fields_mut().clear())
        .reflect(writer)
        .applied_objects()
        .predicate_filter(generation_or_request, PredicateConfig::default());
    let children = config.labels(&format!("{}={}", meta::MANAGED_BY_LABEL, meta::MANAGED_BY));
    let results = Controller::for_stream(policies, store)
        .with_config(controller::Config::default().concurrency(CONCURRENCY))
        .reconcile_on(cron_jobs(context.clone(), namespace, children.clone()))
        .reconcile_on(jobs(context.clone(), namespace, children.clone()))
        .reconcile_on(pods(context.clone(), namespace, children))
        .graceful_shutdown_on(stop.cancelled_owned())
        .run(contained_reconcile, pause_after_failure, context.clone());
    let synced = async {
        for listed in &context.listed {
            listed.wait().await;
        }
        readiness.synced();
        future::pending::<()>().await;
    };
    let work = pin!(results.for_each(|result| {
        if let Err(controller::Error::ObjectNotFound(policy)) = &result {
            context.children.forget(policy.namespace.as_deref(), &policy.name);
        }
        future::ready(())
    }));
    tokio::select! {
        () = work => {}
        () = synced => {}
    }
}

fn api<K>(client: &Client, namespace: Option<&str>) -> Api<K>
where
    K: Resource<Scope = NamespaceResourceScope, DynamicType = ()>,
{
    namespace.map_or_else(|| Api::all(client.clone()), |namespace| Api::namespaced(client.clone(), namespace))
}

fn watch_config(server_minor: u32) -> watcher::Config {
    if server_minor >= STREAMING_LISTS_SINCE {
        watcher::Config::default().streaming_lists()
    } else {
        watcher::Config::default().page_size(PAGE)
    }
}

/// Our own writes of the status change neither, and must not wake us.
#[expect(clippy::unnecessary_wraps, reason = "the shape that predicates have")]
fn generation_or_request(policy: &BackupPolicy) -> Option<u64> {
    let request = policy.annotations().get(meta::REQUESTED_AT);
    Some(
        std::hash::BuildHasherDefault::<std::hash::DefaultHasher>::default()
            .hash_one((policy.metadata.generation, request)),
    )
}

fn cron_jobs(
    context: Arc<Context>,
    namespace: Option<&str>,
    config: watcher::Config,
) -> impl Stream<Item = ObjectRef<BackupPolicy>> + use<> {
    let api = api::<CronJob>(&context.client, namespace);
    triggers(api, config, move |event| {
        if matches!(event, watcher::Event::InitDone) {
            let _ = context.listed[0].set(());
        }
        context.children.note_cron_job(event)
    })
}

fn jobs(
    context: Arc<Context>,
    namespace: Option<&str>,
    config: watcher::Config,
) -> impl Stream<Item = ObjectRef<BackupPolicy>> + use<> {
    let api = api::<Job>(&context.client, namespace);
    let mut relisting = Relisting::default();
    triggers(api, config, move |event| {
        if matches!(event, watcher::Event::InitDone) {
            let _ = context.listed[1].set(());
        }
        context.children.note_job(event, &mut relisting)
    })
}

fn pods(
    context: Arc<Context>,
    namespace: Option<&str>,
    config: watcher::Config,
) -> impl Stream<Item = ObjectRef<BackupPolicy>> + use<> {
    let api = api::<Pod>(&context.client, namespace);
    triggers(api, config, move |event| {
        if matches!(event, watcher::Event::InitDone) {
            let _ = context.listed[2].set(());
        }
        context.children.note_pod(event)
    })
}

/// A watch whose events are noted as they arrive, and wake the policies that they are about.
fn triggers<K>(
    api: Api<K>,
    config: watcher::Config,
    mut note: impl FnMut(watcher::Event<K>) -> Vec<ObjectRef<BackupPolicy>> + Send + 'static,
) -> impl Stream<Item = ObjectRef<BackupPolicy>>
where
    K: Resource<DynamicType = ()> + Clone + DeserializeOwned + std::fmt::Debug + Send + 'static,
{
    watcher(api, config)
        .default_backoff()
        .modify(|object| object.managed_fields_mut().clear())
        .filter_map(|event| {
            future::ready(
                event.inspect_err(|error| tracing::warn!("watch of {}: {error}", K::kind(&()))).ok(),
            )
        })
        .flat_map(move |event| futures::stream::iter(note(event)))
}

/// A panic in one reconcile is that policy's error; without this it would end the whole controller.
async fn contained_reconcile(
    policy: Arc<BackupPolicy>,
    context: Arc<Context>,
) -> Result<Action, ReconcileError> {
    let outcome = AssertUnwindSafe(Box::pin(reconcile(&policy, &context))).catch_unwind().await;
    let result = outcome.unwrap_or(Err(ReconcileError::Panic));
    if result.is_ok() {
        context.failures().remove(&ObjectRef::from_obj(&*policy));
    }
    result
}

async fn reconcile(policy: &BackupPolicy, context: &Context) -> Result<Action, ReconcileError> {
    if policy.metadata.deletion_timestamp.is_some() {
        return Ok(Action::await_change());
    }
    for listed in &context.listed {
        listed.wait().await;
    }
    let policy = &context.newest(policy);
    let (mut observed, mut cron_job) = context.children.observe(policy);
    let valid = desired::validate(policy);
    if let Ok(valid) = &valid {
        let wanted = desired::objects(valid, &context.images);
        (observed.cron_job, cron_job) =
            apply::cron_job(&context.client, policy, &wanted, (observed.cron_job, cron_job)).await?;
        if let (ObservedCronJob::Ours, Some(cron_job)) = (&observed.cron_job, &cron_job) {
            observed.handled_request = apply::requested(&context.client, policy, valid, cron_job).await?;
        }
    }
    let now = Timestamp::now();
    let outcome = desired::status(policy, valid.as_ref(), &observed, now);
    if let Some(written) = apply::status(&context.client, policy, &outcome.status).await? {
        context.remember(written);
        context.events.publish(policy, desired::events(policy.status.as_ref(), &outcome.status)).await;
    }
    context.children.forget_deleted(policy, &observed);
    let name_taken = matches!(observed.cron_job, ObservedCronJob::Foreign { .. }).then_some(NAME_TAKEN_PAUSE);
    let pause = outcome.next_change.map(|at| until(at, now)).into_iter().chain(name_taken).min();
    Ok(pause.map_or_else(Action::await_change, Action::requeue))
}

/// The time until `at`, and a little more, so that it has passed.
fn until(at: Timestamp, now: Timestamp) -> Duration {
    let left = at.duration_since(now).max(jiff::SignedDuration::ZERO);
    left.unsigned_abs() + Duration::from_millis(50)
}

impl Context {
    /// The policy with the newest status: our own last write, if our watch has not shown it yet.
    fn newest(&self, policy: &BackupPolicy) -> BackupPolicy {
        let mut policy = policy.clone();
        let uid = policy.uid().unwrap_or_default();
        let mut written = self.written();
        if let Some(ours) = written.get(&uid) {
            if version(&policy) < ours.version {
                policy.status.clone_from(&ours.status);
            } else {
                written.remove(&uid);
            }
        }
        policy
    }

    fn remember(&self, policy: BackupPolicy) {
        let uid = policy.uid().unwrap_or_default();
        self.written().insert(uid, Written { version: version(&policy), status: policy.status });
    }
}

/// Versions of one object grow (Kubernetes API concepts, "resource versions", comparable since 1.35 and in fact
/// before).
fn version(policy: &BackupPolicy) -> u64 {
    policy.resource_version().and_then(|version| version.parse().ok()).unwrap_or_default()
}

/// Exponential, for each policy by itself, and up to a third longer by chance, so that many that failed together
/// do not come back together.
#[expect(clippy::needless_pass_by_value, reason = "the controller calls it with owned values")]
fn pause_after_failure(policy: Arc<BackupPolicy>, error: &ReconcileError, context: Arc<Context>) -> Action {
    let mut failures = context.failures();
    let count = failures.entry(ObjectRef::from_obj(&*policy)).or_insert(0);
    *count += 1;
    let pause = FIRST_PAUSE.saturating_mul(1 << (*count - 1).min(10)).min(LONGEST_PAUSE);
    let chance = u32::try_from(RandomState::new().hash_one(*count) % 1000).unwrap_or_default();
    let pause = pause + pause * chance / 3000;
    tracing::warn!(
        namespace = policy.namespace(),
        policy = policy.name_any(),
        "reconcile failed, again in {pause:.1?}: {error}"
    );
    Action::requeue(pause)
}
