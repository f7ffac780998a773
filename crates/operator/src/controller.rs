//! The reconciler: observe, validate, apply, status, and what wakes it.

use std::{
    collections::HashMap,
    panic::AssertUnwindSafe,
    pin::pin,
    sync::{Arc, Mutex, MutexGuard, PoisonError},
    time::{Duration, Instant},
};

use api::BackupPolicy;
use desired::{Images, Observed, ObservedCronJob, ObservedOperation, ValidPolicy};
use domain::operation::Operation;
use futures::{FutureExt, StreamExt, future, stream};
use jiff::Timestamp;
use kube::{
    Client, ResourceExt,
    runtime::{
        Controller,
        controller::{self, Action},
        reflector::ObjectRef,
    },
};
use tokio::sync::SetOnce;
use tokio_util::sync::CancellationToken;

use crate::{
    apply::{self, Requested},
    client::CallError,
    clock::Clock,
    cron_job,
    events::Events,
    observe::{Children, CronJobs, Relisting},
    ops::Readiness,
    pending_statuses::PendingStatuses,
    policies::Policies,
    reconcile_metrics::ReconcileMetrics,
    start_failures,
    watches::Scope,
};

/// Reconciles at a time. Each waits for the API server nearly all of its time.
const CONCURRENCY: u16 = 16;

/// The first pause after a failed reconcile; each further one doubles it.
const FIRST_PAUSE: Duration = Duration::from_millis(500);
const LONGEST_PAUSE: Duration = Duration::from_mins(5);

/// Nothing wakes us when a name becomes free, or the API server takes what it refused: look again now and then.
const BLOCKED_PAUSE: Duration = Duration::from_mins(1);

/// What a reconcile works with.
struct Context {
    client: Client,
    images: Images,
    events: Events,
    children: Children,
    written: Arc<PendingStatuses>,
    /// The children's first lists are in: before that, everything would look missing.
    listed: [Arc<SetOnce<()>>; 3],
    failures: Mutex<HashMap<ObjectRef<BackupPolicy>, u32>>,
    reconciles: ReconcileMetrics,
    clock: Arc<Clock>,
}

/// What a controller shares with the ops endpoint.
pub struct Work {
    /// The policies, whose watch may have been at work for long.
    pub policies: Policies,
    /// How its reconciles go.
    pub reconciles: ReconcileMetrics,
    /// Whether it has seen everything.
    pub readiness: Arc<Readiness>,
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
    async fn listed(&self) {
        for listed in &self.listed {
            listed.wait().await;
        }
    }

    fn failures(&self) -> MutexGuard<'_, HashMap<ObjectRef<BackupPolicy>, u32>> {
        self.failures.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// A policy that is gone leaves nothing behind.
    fn forget(&self, name: &str, namespace: &str) {
        self.children.forget(name, namespace);
        self.failures().remove(&ObjectRef::new(name).within(namespace));
    }
}

/// Works until `stop`, then lets running reconciles end.
pub async fn run(
    client: Client,
    images: Images,
    identity: &str,
    scope: Scope,
    Work { policies, reconciles, readiness }: Work,
    stop: CancellationToken,
) {
    readiness.syncing();
    let Policies { changed, store, pending: written } = policies;
    let context = Arc::new(Context {
        events: Events::new(client.clone(), identity),
        client,
        images,
        children: Children::default(),
        written,
        listed: Default::default(),
        failures: Mutex::default(),
        reconciles,
        clock: Arc::default(),
    });
    let [cron_jobs, jobs, pods] = [(); 3].map(|()| (context.clone(), Relisting::default()));
    let results = Controller::for_stream(changed, store.clone())
        .with_config(controller::Config::default().concurrency(CONCURRENCY))
        .reconcile_on(scope.children(context.listed[0].clone(), {
            let (context, mut listed) = cron_jobs;
            move |event| context.children.note_cron_job(event, &mut listed)
        }))
        .reconcile_on(scope.children(context.listed[1].clone(), {
            let (context, mut listed) = jobs;
            move |event| context.children.note_job(event, &mut listed)
        }))
        .reconcile_on(scope.children(context.listed[2].clone(), {
            let (context, mut listed) = pods;
            move |event| context.children.note_pod(event, &mut listed)
        }))
        .reconcile_all_on(stream::once(future::ready(()))) // What changed before this replica led.
        .reconcile_all_on(context.clock.clone().jumps())
        .graceful_shutdown_on(stop.cancelled_owned())
        .run(contained_reconcile, pause_after_failure, context.clone());
    let work = pin!(results.for_each(|result| {
        match result {
            Err(controller::Error::ObjectNotFound(policy)) => {
                context.forget(&policy.name, policy.namespace.as_deref().unwrap_or_default());
            }
            Err(controller::Error::QueueError(error)) => tracing::warn!("watch of BackupPolicy: {error}"),
            // Failed reconciles are logged where their pause is chosen.
            Ok(_) | Err(_) => {}
        }
        future::ready(())
    }));
    let synced = async {
        context.listed().await;
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

/// A panic in one reconcile is that policy's error; without this it would end the whole controller.
async fn contained_reconcile(
    policy: Arc<BackupPolicy>,
    context: Arc<Context>,
) -> Result<Action, ReconcileError> {
    let started = Instant::now();
    let outcome = AssertUnwindSafe(Box::pin(reconcile(&policy, &context))).catch_unwind().await;
    let result = outcome.unwrap_or(Err(ReconcileError::Panic));
    context.reconciles.record(result.is_ok(), started.elapsed());
    if result.is_ok() {
        context.failures().remove(&ObjectRef::from_obj(&*policy));
    }
    result
}

async fn reconcile(policy: &BackupPolicy, context: &Context) -> Result<Action, ReconcileError> {
    if policy.metadata.deletion_timestamp.is_some() {
        return Ok(Action::await_change());
    }
    context.listed().await;
    let policy = &context.written.with_newest_status(policy);
    let (mut observed, cron_jobs) = context.children.observe(policy);
    let valid = desired::validate(policy);
    let mut failed = None;
    let mut waits = false;
    if let Ok(valid) = &valid {
        match Box::pin(carry_out(policy, valid, context, &mut observed, cron_jobs)).await {
            Ok(requested) => match requested {
                Requested::Nothing => {}
                Requested::Waits => waits = true,
                Requested::Started(token) => observed.handled_request = Some(token),
                Requested::Refused(obstacle) => observed.refused_request = Some(obstacle),
            },
            // What can be said of the runs is said all the same: an API server that takes no Jobs starts none either.
            Err(error) => failed = Some(error),
        }
    }
    let now = context.clock.now();
    let namespace = policy.namespace().unwrap_or_default();
    let silent = start_failures::explain(&context.client, &namespace, &mut observed, now).await;
    let outcome = desired::status(policy, valid.as_ref(), &observed, now);
    if let Some(written) = apply::status(&context.client, policy, &outcome.status).await? {
        let events = desired::events(policy.status.as_ref(), &outcome.status);
        context.written.add(&written, outcome.status);
        context.events.publish(policy, events).await;
    }
    context.children.forget_deleted(policy, &observed);
    if let Some(error) = failed {
        return Err(error.into());
    }
    let is_blocked = valid.as_ref().is_ok_and(|valid| is_blocked(valid, &observed));
    let blocked = (waits || is_blocked).then_some(BLOCKED_PAUSE);
    let pause = outcome.next_change.map(|at| until(at, now)).into_iter().chain(blocked).chain(silent).min();
    Ok(pause.map_or_else(Action::await_change, Action::requeue))
}

/// Writes the CronJobs, notes how they stand then, and starts what is requested.
async fn carry_out(
    policy: &BackupPolicy,
    valid: &ValidPolicy,
    context: &Context,
    observed: &mut Observed,
    mut found: CronJobs,
) -> Result<Requested, CallError> {
    let client = &context.client;
    for (operation, wanted) in desired::objects(valid, &context.images).cron_jobs {
        let found = found.get_mut(operation);
        let seen = &mut observed.operations.get_mut(operation).cron_job;
        let Some(wanted) = wanted else {
            if let Some(found) = &*found
                && (*seen == ObservedCronJob::Ours
                    || *seen == ObservedCronJob::Missing && cron_job::is_of_before(policy, found))
            {
                apply::remove(client, found, &format!("the policy asks for no {operation}s")).await?;
            }
            *seen = ObservedCronJob::Missing;
            continue;
        };
        (*seen, *found) =
            Box::pin(apply::cron_job(client, policy, &wanted, (seen.clone(), found.take()))).await?;
        if let Some(metadata) = found {
            context.children.note_written(policy, operation, metadata);
        }
    }
    match (&observed.operations.backup.cron_job, &found.backup) {
        (ObservedCronJob::Ours, Some(cron_job)) => apply::requested(client, policy, valid, cron_job).await,
        _ => Ok(Requested::Nothing),
    }
}

/// Somebody else must do something that no watch of ours shows.
fn is_blocked(valid: &ValidPolicy, observed: &Observed) -> bool {
    let in_place = |(operation, seen): (Operation, &ObservedOperation)| {
        valid.schedule_of(operation).is_none() || seen.cron_job == ObservedCronJob::Ours
    };
    !observed.operations.iter().all(in_place) || observed.refused_request.is_some()
}

/// The time until `at`, and a little more, so that it has passed.
fn until(at: Timestamp, now: Timestamp) -> Duration {
    let left = at.duration_since(now).max(jiff::SignedDuration::ZERO);
    left.unsigned_abs() + Duration::from_millis(50)
}

/// For each policy by itself.
#[expect(clippy::needless_pass_by_value, reason = "the controller calls it with owned values")]
fn pause_after_failure(policy: Arc<BackupPolicy>, error: &ReconcileError, context: Arc<Context>) -> Action {
    let mut failures = context.failures();
    let count = failures.entry(ObjectRef::from_obj(&*policy)).or_insert(0);
    *count += 1;
    let pause = pause(*count, fastrand::u32(..1000));
    tracing::warn!(
        namespace = policy.namespace(),
        policy = policy.name_any(),
        "reconcile failed, again in {pause:.1?}: {error}"
    );
    Action::requeue(pause)
}

/// Exponential, and up to a third longer by chance (of a thousand), so that many that failed together do not come back
/// together.
fn pause(failures: u32, chance: u32) -> Duration {
    let doublings = failures.saturating_sub(1).min(10);
    let pause = FIRST_PAUSE.saturating_mul(1 << doublings).min(LONGEST_PAUSE);
    pause + pause * chance / 3000
}

#[cfg(test)]
mod tests;
