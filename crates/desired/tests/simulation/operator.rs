//! Simulates the operator without its I/O: it keeps nothing except the status and what it has observed since
//! it started.

use std::sync::Arc;

use api::{BackupPolicy, BackupPolicyStatus, status::ConditionType};
use domain::{
    name,
    operation::{Operation, PerOperation},
    schedule::Schedule,
};
use jiff::{SignedDuration, Timestamp};
use pgbackup_desired::{
    Invalid, Observed, ObservedCronJob, ObservedOperation, ObservedRun, StatusOutcome, ValidPolicy, events,
    open_request, status, validate,
};

use super::{
    cluster::CronJob,
    oracle::Seen,
    time::{MINUTE, at},
    world::{Happening, World},
};

/// The maximum size of a status, in bytes of JSON. etcd accepts 1.5 MiB, and 10,000 statuses must fit into
/// memory.
const LARGEST_STATUS: usize = 64 * 1024;

/// The percentage of reconciles after which another reconcile is made before anything happens.
const LOOKS_BETWEEN: i64 = 30;

/// The starting deadline of a CronJob whose policy does not set `catchUp`, in milliseconds.
const START_WITHIN: i64 = 5 * MINUTE;

/// The state of the operator apart from its observations.
#[derive(Default)]
pub struct Operator {
    pub up: bool,
    /// The error of the operator's clock, in milliseconds.
    pub skew: i64,
    pub reconciles: u64,
    /// The last reconcile; `None` before the first.
    last: Option<Reconcile>,
    /// The error of the operator's clock at the last reconcile.
    last_skew: i64,
}

/// A reconcile: the observation, its time by the operator's clock, and the result.
struct Reconcile {
    valid: Result<ValidPolicy, Invalid>,
    observed: Observed,
    now: i64,
    outcome: StatusOutcome,
}

impl Reconcile {
    /// Returns the result of the same observation for the current policy, at the time `now`.
    fn again(&self, policy: &BackupPolicy, now: i64) -> StatusOutcome {
        status(policy, self.valid.as_ref(), &self.observed, at(now))
    }
}

impl World {
    /// Reconciles, if the operator is running.
    pub fn reconcile(&mut self) {
        if self.operator.reconciles == 0 {
            self.operator.up = true;
        }
        if !self.operator.up {
            return;
        }
        self.operator.reconciles += 1;
        self.counts.add("reconciles", 1);
        let valid = validate(&self.policy);
        let mut handled = None;
        if let Ok(valid) = &valid {
            self.oracle.valid = Some(Arc::new(valid.clone()));
            self.carry_out(valid);
            handled = self.requested(valid);
            if handled.is_some() && self.quiet.is_none() && self.random.percent(10) {
                // The operator stops between creating the Job and writing the status.
                self.counts.add("operators that ended in the middle", 1);
                let pause = self.random.between(MINUTE, 5 * MINUTE);
                self.operator_down(pause);
                return;
            }
        }
        let now = self.now + self.operator.skew;
        let observed = self.observed(handled, now);
        self.oracle.learn(valid.as_ref().ok(), &observed, at(now));
        let outcome = status(&self.policy, valid.as_ref(), &observed, at(now));
        let reconcile = Reconcile { valid, observed, now, outcome };
        self.write(&reconcile);
        let seen = Seen { valid: reconcile.valid.as_ref().ok(), observed: &reconcile.observed, now: at(now) };
        self.oracle.judge(&seen, &reconcile.outcome.status, &self.store);
        self.jobs.retain(|job| !job.deleted);
        self.sleep(reconcile);
    }

    /// Writes the status if it changed, and publishes the events.
    fn write(&mut self, reconcile: &Reconcile) {
        let status = &reconcile.outcome.status;
        let before = self.policy.status.take();
        let emitted = events(before.as_ref(), status);
        let ends = self.oracle.check_events(before.as_ref(), status, &emitted);
        if before.as_ref() == Some(status) {
            assert_eq!(emitted, [], "nothing changed");
            self.policy.status = before;
            return;
        }
        self.counts.add("writes of a status", 1);
        self.counts.add("events", emitted.len());
        let text = serde_json::to_string(status).expect("a status should be JSON");
        assert!(text.len() <= LARGEST_STATUS, "a status of {} bytes", text.len());
        let read: BackupPolicyStatus = serde_json::from_str(&text).expect("a status should be read back");
        self.policy.status = Some(read);
        self.note(|| {
            let health = status.condition(ConditionType::BackupHealthy);
            let health = health.map(|c| format!("{} {}: {}", c.status, c.reason, c.message));
            format!("  status: {}; {ends} runs ended", health.unwrap_or_default())
        });
        let again = reconcile.again(&self.policy, reconcile.now);
        let difference = || difference(&reconcile.outcome, &again);
        assert!(again == reconcile.outcome, "a second reconcile changes nothing: {}", difference());
        assert_eq!(events(self.policy.status.as_ref(), &again.status), [], "and emits no event");
    }

    /// Checks that the status does not change between the last reconcile and `when`, unless the reconcile
    /// announced the change.
    pub fn reconcile_early(&mut self, when: i64) {
        let Operator { up, skew, last_skew, .. } = self.operator;
        let Some(reconcile) = &self.operator.last else { return };
        let next = reconcile.outcome.next_change.map_or(i64::MAX, Timestamp::as_millisecond);
        let end = (when + skew).min(next);
        if up && skew == last_skew && end > reconcile.now && self.random.percent(LOOKS_BETWEEN) {
            let now = self.random.between(reconcile.now, end);
            let between = reconcile.again(&self.policy, now);
            let difference = || difference(&reconcile.outcome, &between);
            assert!(
                between == reconcile.outcome,
                "at {} time alone changes nothing: {}",
                at(now),
                difference()
            );
            self.counts.add("early reconciles", 1);
        }
    }

    fn sleep(&mut self, reconcile: Reconcile) {
        let Reconcile { observed, now, outcome, .. } = &reconcile;
        let over = |run: &ObservedRun| {
            run.unexplained_wait.as_ref().is_some_and(|unexplained_wait| unexplained_wait.is_over(at(*now)))
        };
        // The operator reads events again that may explain why a pod does not start.
        let asks = observed.runs().any(over).then_some(MINUTE);
        let change = outcome.next_change.map(|at| (at.as_millisecond() - now).max(0) + 50);
        if let Some(pause) = change.into_iter().chain(asks).min() {
            self.then(pause, Happening::Wake(self.operator.reconciles));
        }
        self.operator.last_skew = self.operator.skew;
        self.operator.last = Some(reconcile);
    }

    fn observed(&self, handled_request: Option<String>, now: i64) -> Observed {
        let runs = |operation| {
            let jobs = self.jobs.iter().filter(|job| job.operation == operation && job.known);
            jobs.map(|job| job.observed(now)).collect()
        };
        let whose = |there: &Option<CronJob>| match there {
            Some(_) => ObservedCronJob::Ours,
            None => ObservedCronJob::Missing,
        };
        let operations = PerOperation::from_fn(|operation| ObservedOperation {
            cron_job: whose(self.cron_jobs.get(operation)),
            runs: runs(operation),
        });
        Observed { operations, handled_request, refused_request: None }
    }

    /// Creates, changes or deletes the CronJobs as the policy requires.
    fn carry_out(&mut self, valid: &ValidPolicy) {
        for operation in Operation::all() {
            if let Some(schedule) = valid.schedule_of(operation) {
                self.apply(valid, operation, schedule.clone());
            }
        }
    }

    fn apply(&mut self, valid: &ValidPolicy, operation: Operation, schedule: Schedule) {
        let there = self.cron_jobs.get(operation).as_ref();
        let wanted = CronJob {
            schedule,
            zone: valid.zone.clone(),
            zone_name: valid.time_zone.clone(),
            suspend: valid.suspend,
            deadline: (!valid.catch_up).then_some(START_WITHIN),
            acknowledged: valid.backup.acknowledged.clone(),
            last: there.map_or(self.now, |there| there.last),
        };
        let moved =
            |there: &CronJob| (&there.schedule, &there.zone_name) != (&wanted.schedule, &wanted.zone_name);
        let starts_missed = match there {
            None => false,
            // Any write after an edit may start a slot that was missed by the new schedule.
            Some(there) if moved(there) => self.random.percent(50),
            Some(there) if (there.suspend, &there.acknowledged) == (wanted.suspend, &wanted.acknowledged) => {
                return;
            }
            Some(_) => true,
        };
        *self.cron_jobs.get_mut(operation) = Some(wanted);
        self.written(operation, starts_missed);
    }

    /// Starts the run that the annotation `requested-at` requests.
    fn requested(&mut self, valid: &ValidPolicy) -> Option<String> {
        let token = open_request(&self.policy).filter(|_| !valid.suspend)?.to_owned();
        let job = name::requested_job(&valid.identity.name, &token);
        if !self.jobs.iter().any(|there| there.name == job && !there.deleted) {
            self.oracle.start_request(&token);
            self.create_job(Operation::Backup, job, false);
        }
        Some(token)
    }
}

/// Describes only the differences between two statuses.
fn difference(a: &StatusOutcome, b: &StatusOutcome) -> String {
    let [mut before, mut after] =
        [a, b].map(|outcome| serde_json::to_value(&outcome.status).expect("a status should be JSON"));
    if let (Some(before), Some(after)) = (before.as_object_mut(), after.as_object_mut()) {
        before.retain(|field, value| after.get(field) != Some(value) || after.remove(field).is_none());
    }
    format!("{before} next {:?} became {after} next {:?}", a.next_change, b.next_change)
}

/// Returns the grace period after a slot.
pub fn grace(longest_seconds: f64) -> SignedDuration {
    SignedDuration::from_secs_f64(longest_seconds * 2.0).max(SignedDuration::from_mins(15))
}
