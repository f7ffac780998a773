//! One reconcile of a policy in five steps: observe, validate, apply, explain, status. Each step returns a
//! value and does not change the results of other steps.

use std::{sync::Arc, time::Duration};

use api::{BackupPolicy, BackupPolicyStatus};
use desired::{Images, Observed, ObservedCronJob, ObservedOperation, ValidPolicy};
use domain::operation::PerOperation;
use jiff::{SignedDuration, Timestamp};
use kube::{Client, ResourceExt as _};

use crate::{
    apply,
    client::CallError,
    clock::Clock,
    event_writer::Events,
    observe::{Children, FoundCronJob, FoundOperation},
    pending_statuses::PendingStatuses,
    requested_at::{self, Request},
    start_failures::{self, Explanations},
    status_patch,
};

/// The pause until the next reconcile while an object is blocked. No watch shows that a name has become free,
/// or that the API server would now accept what it rejected.
const BLOCKED_PAUSE: Duration = Duration::from_mins(1);

/// The time that is added to the pause until a status changes by itself, so that the change is due when the
/// reconcile starts.
const MARGIN: Duration = Duration::from_millis(50);

pub struct Reconciler {
    client: Client,
    images: Images,
    events: Events,
    pending: Arc<PendingStatuses>,
    pub children: Children,
    pub clock: Arc<Clock>,
}

/// The state of the policy's objects after the writes.
struct Applied {
    cron_jobs: PerOperation<ObservedCronJob>,
    request: Request,
    /// The error of the call that failed. Nothing was written after it.
    error: Option<CallError>,
}

impl Reconciler {
    /// Creates a reconciler. `identity` is this replica's name in events.
    pub fn new(client: Client, images: Images, identity: &str, pending: Arc<PendingStatuses>) -> Self {
        let events = Events::new(client.clone(), identity);
        Self { client, images, events, pending, children: Children::default(), clock: Arc::default() }
    }

    /// Reconciles a policy. Returns the pause until the next reconcile even if nothing changes; `None` if
    /// only a change requires one.
    pub async fn reconcile(&self, policy: &BackupPolicy) -> Result<Option<Duration>, CallError> {
        let policy = &self.pending.with_newest_status(policy);
        let found = self.children.observe(policy);
        let valid = desired::validate(policy);
        let applied = Box::pin(self.apply(policy, valid.as_ref().ok(), &found)).await;
        let now = self.clock.now();
        let explanations = self.explain(policy, &found, now).await;
        let observed = observed(&found, &applied, &explanations);
        let outcome = desired::status(policy, valid.as_ref(), &observed, now);
        self.write_status(policy, outcome.status).await?;
        self.children.remove_deleted(policy, &found);
        let blocked = applied.is_blocked(valid.as_ref().ok()).then_some(BLOCKED_PAUSE);
        // The status is written even if a call failed. If the API server accepts no Jobs, no backups start
        // either, and the status must report that.
        if let Some(error) = applied.error {
            return Err(error);
        }
        let next_change = outcome.next_change.map(|at| until(at, now));
        Ok(next_change.into_iter().chain(blocked).chain(explanations.ask_again).min())
    }

    /// Writes the CronJobs and starts the requested run. Does nothing for an invalid policy.
    async fn apply(
        &self,
        policy: &BackupPolicy,
        valid: Option<&ValidPolicy>,
        found: &PerOperation<FoundOperation>,
    ) -> Applied {
        let mut cron_jobs = found.as_ref().map(|_, found| found.cron_job.clone());
        let written = match valid {
            Some(valid) => self.write_objects(policy, valid, &mut cron_jobs).await,
            None => Ok(Request::None),
        };
        let (request, error) =
            written.map_or_else(|error| (Request::None, Some(error)), |request| (request, None));
        Applied { cron_jobs: cron_jobs.map(|_, cron_job| cron_job.state), request, error }
    }

    async fn write_objects(
        &self,
        policy: &BackupPolicy,
        valid: &ValidPolicy,
        cron_jobs: &mut PerOperation<FoundCronJob>,
    ) -> Result<Request, CallError> {
        for (operation, wanted) in desired::objects(valid, &self.images).cron_jobs {
            let cron_job = cron_jobs.get_mut(operation);
            *cron_job = match wanted {
                Some(wanted) => Box::pin(apply::cron_job(&self.client, policy, &wanted, cron_job)).await?,
                None => apply::remove_cron_job(&self.client, policy, cron_job).await?,
            };
            if let Some(metadata) = &cron_job.metadata {
                self.children.add_written(policy, operation, metadata);
            }
        }
        match &cron_jobs.backup {
            FoundCronJob { state: ObservedCronJob::Ours, metadata: Some(cron_job) } => {
                Box::pin(requested_at::start(&self.client, policy, valid, cron_job)).await
            }
            _ => Ok(Request::None),
        }
    }

    async fn explain(
        &self,
        policy: &BackupPolicy,
        found: &PerOperation<FoundOperation>,
        now: Timestamp,
    ) -> Explanations {
        let namespace = policy.namespace().unwrap_or_default();
        let runs = found.iter().flat_map(|(_, found)| &found.runs);
        start_failures::explain(&self.client, &namespace, runs, now).await
    }

    /// Writes the status if it changed, and publishes events about the change.
    async fn write_status(&self, policy: &BackupPolicy, status: BackupPolicyStatus) -> Result<(), CallError> {
        if let Some(written) = status_patch::write(&self.client, policy, &status).await? {
            let events = desired::events(policy.status.as_ref(), &status);
            self.pending.add(&written, status);
            self.events.publish(policy, events).await;
        }
        Ok(())
    }
}

impl Applied {
    /// Returns whether the policy's objects wait for a person, or for a controller that no watch shows.
    fn is_blocked(&self, valid: Option<&ValidPolicy>) -> bool {
        let Some(valid) = valid else { return false };
        let in_place = self.cron_jobs.iter().all(|(operation, cron_job)| {
            valid.schedule_of(operation).is_none() || *cron_job == ObservedCronJob::Ours
        });
        !in_place || matches!(self.request, Request::Waiting | Request::Blocked(_))
    }
}

fn observed(
    found: &PerOperation<FoundOperation>,
    applied: &Applied,
    explanations: &Explanations,
) -> Observed {
    let operations = found.as_ref().map(|operation, found| ObservedOperation {
        cron_job: applied.cron_jobs.get(operation).clone(),
        runs: found.runs.iter().map(|run| explanations.apply_to(run.clone())).collect(),
    });
    let (handled_request, refused_request) = match &applied.request {
        Request::Started(token) => (Some(token.clone()), None),
        Request::Blocked(obstacle) => (None, Some(obstacle.clone())),
        Request::None | Request::Waiting => (None, None),
    };
    Observed { operations, handled_request, refused_request }
}

fn until(at: Timestamp, now: Timestamp) -> Duration {
    at.duration_since(now).max(SignedDuration::ZERO).unsigned_abs() + MARGIN
}
