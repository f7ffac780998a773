//! The controller: starts a reconcile when a watch shows a change, retries failed reconciles, and catches
//! panics.

use std::{
    collections::HashMap,
    fmt::Debug,
    panic::AssertUnwindSafe,
    pin::pin,
    sync::{Arc, Mutex, MutexGuard, PoisonError},
    time::{Duration, Instant},
};

use api::BackupPolicy;
use futures::{FutureExt, Stream, StreamExt, future, stream};
use k8s_openapi::NamespaceResourceScope;
use kube::{
    Resource, ResourceExt,
    runtime::{
        Controller,
        controller::{self, Action},
        reflector::ObjectRef,
        watcher::Event,
    },
};
use serde::de::DeserializeOwned;
use tokio::sync::SetOnce;
use tokio_util::sync::CancellationToken;

use crate::{
    client::CallError,
    observe::{Children, Relisting},
    ops::Readiness,
    policies::Policies,
    reconcile::Reconciler,
    reconcile_metrics::ReconcileMetrics,
    watches::Scope,
};

/// The number of concurrent reconciles. Each waits for the API server nearly all of the time.
const CONCURRENCY: u16 = 16;

/// The pause after the first failed reconcile of a policy. Each further failure doubles it, up to
/// [`LONGEST_PAUSE`].
const FIRST_PAUSE: Duration = Duration::from_millis(500);
const LONGEST_PAUSE: Duration = Duration::from_mins(5);

/// The values that all reconciles share.
struct Context {
    reconciler: Reconciler,
    /// A flag for each kind of child objects (CronJobs, Jobs, Pods), set when the first list of that kind is
    /// complete. Before that, all children would seem to be missing.
    listed: [Arc<SetOnce<()>>; 3],
    /// The number of consecutive failed reconciles of each policy.
    failures: Mutex<HashMap<ObjectRef<BackupPolicy>, u32>>,
    metrics: ReconcileMetrics,
}

/// The values that the controller shares with the ops endpoint.
pub struct Shared {
    pub policies: Policies,
    pub metrics: ReconcileMetrics,
    pub readiness: Arc<Readiness>,
}

#[derive(Debug, thiserror::Error)]
pub enum ReconcileError {
    #[error(transparent)]
    Call(#[from] CallError),
    #[error("the reconcile panicked; the panic message is in the log before this line")]
    Panic,
}

impl Context {
    async fn wait_until_listed(&self) {
        for listed in &self.listed {
            listed.wait().await;
        }
    }

    fn failures(&self) -> MutexGuard<'_, HashMap<ObjectRef<BackupPolicy>, u32>> {
        self.failures.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Removes all data about a deleted policy.
    fn remove(&self, name: &str, namespace: &str) {
        self.reconciler.children.remove(name, namespace);
        self.failures().remove(&ObjectRef::new(name).within(namespace));
    }
}

/// Runs reconciles until `stop` is cancelled, then waits for running reconciles to end.
pub async fn run(reconciler: Reconciler, scope: Scope, shared: Shared, stop: CancellationToken) {
    let Shared { policies: Policies { changed, store, .. }, metrics, readiness } = shared;
    readiness.syncing();
    let clock = reconciler.clock.clone();
    let context =
        Arc::new(Context { reconciler, listed: Default::default(), failures: Mutex::default(), metrics });
    let results = Controller::for_stream(changed, store.clone())
        .with_config(controller::Config::default().concurrency(CONCURRENCY))
        .reconcile_on(watch(&scope, &context, 0, Children::note_cron_job))
        .reconcile_on(watch(&scope, &context, 1, Children::note_job))
        .reconcile_on(watch(&scope, &context, 2, Children::note_pod))
        .reconcile_all_on(stream::once(future::ready(()))) // For changes before this replica led.
        .reconcile_all_on(clock.jumps())
        .graceful_shutdown_on(stop.cancelled_owned())
        .run(contained_reconcile, pause_after_failure, context.clone());
    let work = pin!(results.for_each(|result| {
        match result {
            Err(controller::Error::ObjectNotFound(policy)) => {
                context.remove(&policy.name, policy.namespace.as_deref().unwrap_or_default());
            }
            Err(controller::Error::QueueError(error)) => {
                tracing::warn!("watching BackupPolicies failed, retrying: {error}");
            }
            // `pause_after_failure` has already logged failed reconciles.
            Ok(_) | Err(_) => {}
        }
        future::ready(())
    }));
    let synced = async {
        context.wait_until_listed().await;
        if store.wait_until_ready().await.is_ok() {
            readiness.synced();
        }
        future::pending::<()>().await;
    };
    tokio::select! {
        () = work => {}
        () = synced => {}
    }
}

/// Watches one kind of children and returns the policies to reconcile. `listed` is the kind's index in
/// [`Context::listed`].
fn watch<K>(
    scope: &Scope,
    context: &Arc<Context>,
    listed: usize,
    note: fn(&Children, Event<K>, &mut Relisting) -> Vec<ObjectRef<BackupPolicy>>,
) -> impl Stream<Item = ObjectRef<BackupPolicy>> + use<K>
where
    K: Resource<Scope = NamespaceResourceScope, DynamicType = ()>
        + Clone
        + DeserializeOwned
        + Debug
        + Send
        + 'static,
{
    let context = context.clone();
    let mut relisting = Relisting::default();
    scope.children(context.listed[listed].clone(), move |event| {
        note(&context.reconciler.children, event, &mut relisting)
    })
}

/// Reconciles a policy and converts a panic into an error of this policy. Otherwise a panic would end the
/// whole controller.
async fn contained_reconcile(
    policy: Arc<BackupPolicy>,
    context: Arc<Context>,
) -> Result<Action, ReconcileError> {
    let started = Instant::now();
    let outcome = AssertUnwindSafe(reconcile(&policy, &context)).catch_unwind().await;
    let result = outcome.unwrap_or(Err(ReconcileError::Panic));
    context.metrics.record(result.is_ok(), started.elapsed());
    if result.is_ok() {
        context.failures().remove(&ObjectRef::from_obj(&*policy));
    }
    result
}

async fn reconcile(policy: &BackupPolicy, context: &Context) -> Result<Action, ReconcileError> {
    if policy.metadata.deletion_timestamp.is_some() {
        return Ok(Action::await_change());
    }
    context.wait_until_listed().await;
    let pause = Box::pin(context.reconciler.reconcile(policy)).await?;
    Ok(pause.map_or_else(Action::await_change, Action::requeue))
}

#[expect(clippy::needless_pass_by_value, reason = "the controller calls it with owned values")]
fn pause_after_failure(policy: Arc<BackupPolicy>, error: &ReconcileError, context: Arc<Context>) -> Action {
    let mut failures = context.failures();
    let count = failures.entry(ObjectRef::from_obj(&*policy)).or_insert(0);
    *count += 1;
    let pause = pause(*count, fastrand::u32(..1000));
    tracing::warn!(
        namespace = policy.namespace(),
        policy = policy.name_any(),
        "reconcile failed, retrying in {pause:.1?}: {error}"
    );
    Action::requeue(pause)
}

/// Returns the pause after this number of consecutive failures. It grows exponentially. `jitter` (0 to 999)
/// makes it up to a third longer, so that policies that failed together are not retried together.
fn pause(failures: u32, jitter: u32) -> Duration {
    let doublings = failures.saturating_sub(1).min(10);
    let pause = FIRST_PAUSE.saturating_mul(1 << doublings).min(LONGEST_PAUSE);
    pause + pause * jitter / 3000
}

#[cfg(test)]
mod tests;
