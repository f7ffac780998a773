//! The world of one policy: which happenings occur, and when. The seed determines everything.

mod jobs;
mod troubles;

use std::{
    cmp::Reverse,
    collections::{BTreeMap, BinaryHeap, VecDeque},
    sync::atomic::{AtomicBool, Ordering},
};

use api::BackupPolicy;
use domain::{
    catalog::BackupState,
    name,
    operation::{Operation, PerOperation},
    reason::Reason,
};

use super::{
    cluster::{self, CronJob, Job},
    kind::{Kind, policy},
    operator::Operator,
    oracle::Oracle,
    random::Random,
    store::Store,
    time::{DAY, HOUR, MINUTE, SECOND, at},
};

/// The beginning of the simulated year: in winter, so that the year has both changes of the clocks.
pub const BEGIN: i64 = 1_767_225_600 * SECOND;
pub const END: i64 = BEGIN + 365 * DAY;

/// The deadline of Jobs, which is the policy's default.
const JOB_DEADLINE: i64 = 6 * HOUR;

/// The number of attempts after the first one, which is the policy's default.
const BACKOFF_LIMIT: u32 = 2;

/// The number of last happenings that are printed when an invariant is violated.
const REMEMBERED: usize = 60;

/// Something that happens at a time.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Happening {
    /// The CronJob controller checks a CronJob, unless it was written since this was planned.
    Slot(Operation, u64),
    /// The newest pod of a Job starts.
    Start(String),
    /// The obstacle that kept the newest pod of a Job from starting is removed.
    Mend(String),
    /// The newest pod of a Job ends.
    End(String),
    /// A Job exceeds its deadline.
    Deadline(String),
    /// The operator reconciles without a change, unless it reconciled since this was planned.
    Wake(u64),
    /// The operator starts again.
    OperatorUp,
    /// Something fails, or a person changes something.
    Trouble,
    /// A person creates a Job.
    ByHand,
    /// A person corrects the spec.
    Correct,
    /// A person acknowledges a suspicious backup.
    Acknowledge(String),
    /// The time of troubles ends.
    Quiet,
}

/// The errors of the nodes' clocks in milliseconds, one chosen at random for each policy: none in four of ten
/// cases, else 40 minutes (tolerated), 3 hours or 500 days.
const CLOCKS: [i64; 10] = [0, 0, 0, 0, 40 * MINUTE, -40 * MINUTE, 3 * HOUR, -3 * HOUR, 500 * DAY, -500 * DAY];

/// The numbers of happenings, by kind.
#[derive(Default)]
pub struct Counts(pub BTreeMap<&'static str, u64>);

impl Counts {
    pub fn add(&mut self, what: &'static str, count: usize) {
        *self.0.entry(what).or_default() += u64::try_from(count).unwrap_or(u64::MAX);
    }

    pub fn merge(&mut self, other: Self) {
        for (what, count) in other.0 {
            *self.0.entry(what).or_default() += count;
        }
    }
}

/// Failures that last for some time.
#[derive(Default)]
struct Troubles {
    /// Each attempt fails for this reason until this time.
    failing: Option<(i64, Reason)>,
    /// Pods cannot start until this time.
    stuck: Option<(i64, Stuck)>,
}

#[derive(Clone, Copy, Debug)]
enum Stuck {
    ImagePull,
    Secret,
    Unscheduled,
    Volume,
}

pub struct World {
    pub random: Random,
    pub now: i64,
    pub kind: Kind,
    pub policy: BackupPolicy,
    pub cron_jobs: PerOperation<Option<CronJob>>,
    versions: [u64; 2],
    pub jobs: Vec<Job>,
    pub store: Store,
    pub operator: Operator,
    pub oracle: Oracle,
    pub counts: Counts,
    pub quiet: Option<i64>,
    /// The errors of the two nodes' clocks, in milliseconds.
    clocks: [i64; 2],
    pub checksum: bool,
    pub less_since: Option<i64>,
    pub tokens: u64,
    jobs_made: u64,
    troubles: Troubles,
    queue: BinaryHeap<Reverse<(i64, u64, Happening)>>,
    queued: u64,
    past: VecDeque<String>,
}

impl Drop for World {
    fn drop(&mut self) {
        static SHOWN: AtomicBool = AtomicBool::new(false);
        // Print the first violation only.
        if std::thread::panicking() && !SHOWN.swap(true, Ordering::Relaxed) {
            let name = self.policy.metadata.name.as_deref().unwrap_or_default();
            let status = serde_json::to_string_pretty(&self.policy.status).unwrap_or_default();
            let past: String = self.past.iter().map(|line| format!("{line}\n")).collect();
            let spec = &self.policy.spec;
            eprintln!("{name} at {}: {} {}\n{past}{status}", at(self.now), spec.schedule, spec.time_zone);
        }
    }
}

impl World {
    pub fn new(seed: u64, index: u64, kind: Kind) -> Self {
        let mut random = Random::of(seed, index);
        let now = BEGIN + random.between(0, kind.period.min(DAY));
        let checksum = random.percent(15);
        let policy = policy(&mut random, index, kind, checksum, now);
        let mut world = Self {
            random,
            now,
            kind,
            policy,
            cron_jobs: PerOperation::default(),
            versions: [0, 0],
            jobs: Vec::new(),
            store: Store::default(),
            operator: Operator::default(),
            oracle: Oracle::default(),
            counts: Counts::default(),
            quiet: None,
            clocks: [0, Random::of(!seed, index).pick(&CLOCKS)],
            checksum,
            less_since: None,
            tokens: 0,
            jobs_made: 0,
            troubles: Troubles::default(),
            queue: BinaryHeap::new(),
            queued: 0,
            past: VecDeque::new(),
        };
        world.then(END - now, Happening::Quiet);
        world.next_trouble();
        world.reconcile();
        world
    }

    /// Simulates the year, and then further until the last failures are over.
    pub fn live(mut self) -> Counts {
        while let Some(Reverse((when, _, happening))) = self.queue.pop() {
            self.reconcile_early(when);
            self.now = when;
            if self.happen(happening) {
                self.reconcile();
            }
            if self.is_over() {
                Oracle::judge_the_end(&self.policy, &self.store);
                return std::mem::take(&mut self.counts);
            }
        }
        unreachable!("a schedule goes on for ever");
    }

    /// Plans a happening after some milliseconds.
    pub fn then(&mut self, after: i64, happening: Happening) {
        self.queued += 1;
        self.queue.push(Reverse((self.now + after.max(0), self.queued, happening)));
    }

    pub fn note(&mut self, line: impl FnOnce() -> String) {
        if self.past.len() == REMEMBERED {
            self.past.pop_front();
        }
        let line = format!("{} {}", at(self.now), line());
        self.past.push_back(line);
    }

    /// Executes a happening. Returns whether a running operator would observe it.
    fn happen(&mut self, happening: Happening) -> bool {
        if !matches!(happening, Happening::Wake(_)) {
            self.note(|| format!("{happening:?}"));
        }
        match happening {
            Happening::Slot(operation, version) => {
                if self.versions[operation as usize] != version {
                    return false;
                }
                let started = self.sync(operation);
                self.next_slot(operation);
                started
            }
            Happening::Start(uid) => self.start(&uid),
            Happening::Mend(uid) => self.repair(&uid),
            Happening::End(uid) => self.end(&uid),
            Happening::Deadline(uid) => self.deadline(&uid),
            Happening::Wake(reconciles) => self.operator.reconciles == reconciles,
            Happening::OperatorUp => self.operator_up(),
            Happening::Trouble => {
                let seen = self.quiet.is_none() && self.trouble();
                self.next_trouble();
                seen
            }
            Happening::ByHand => self.quiet.is_none() && self.by_hand(),
            Happening::Correct => self.correct(),
            Happening::Acknowledge(backup) => self.acknowledge(&backup),
            Happening::Quiet => self.calm_down(),
        }
    }

    /// Records that the operator wrote the CronJob of an operation, which restarts the controller's timers.
    pub fn written(&mut self, operation: Operation, starts_missed: bool) {
        self.versions[operation as usize] += 1;
        if starts_missed {
            self.sync(operation);
        }
        self.next_slot(operation);
    }

    fn next_slot(&mut self, operation: Operation) {
        let version = self.versions[operation as usize];
        let slot = self.cron_jobs.get(operation).as_ref().and_then(|cron_job| cron_job.after(self.now));
        if let Some(slot) = slot {
            let delay = self.random.between(0, 3 * SECOND);
            self.then(slot - self.now + delay, Happening::Slot(operation, version));
        }
    }

    /// Does what `syncCronJob` of the controller does.
    fn sync(&mut self, operation: Operation) -> bool {
        cluster::clean_up(&mut self.jobs, operation);
        let Some(cron_job) = self.cron_jobs.get(operation).clone() else { return false };
        let busy = self.jobs.iter().any(|job| job.operation == operation && job.scheduled && job.is_active());
        if cron_job.suspend || busy {
            return false;
        }
        let Some(slot) = cron_job.missed(self.now) else { return false };
        let name = self.policy.metadata.name.clone().unwrap_or_default();
        let job = format!("{}-{}", name::cron_job(&name, operation), slot / MINUTE);
        self.oracle.start_slot(operation, slot);
        if let Some(cron_job) = self.cron_jobs.get_mut(operation) {
            cron_job.last = slot;
        }
        self.counts.add(if operation == Operation::Backup { "scheduled runs" } else { "scrubs" }, 1);
        if self.now - slot > 30 * SECOND {
            self.counts.add("slots that were caught up", 1);
        }
        self.create_job(operation, job, true);
        true
    }

    /// Ends all troubles.
    fn calm_down(&mut self) -> bool {
        self.quiet = Some(self.now);
        self.troubles = Troubles::default();
        self.operator.skew = 0;
        self.clocks = [0; 2];
        for pod in self.jobs.iter_mut().filter(|job| job.is_active()).flat_map(|job| &mut job.pods) {
            pod.skew = 0;
        }
        self.less_since = None;
        // Corruption that no scrub has found yet is removed.
        for backup in self.store.backups.iter_mut().filter(|backup| backup.entry.state != BackupState::Failed)
        {
            backup.corrupted = false;
        }
        let stuck: Vec<String> =
            self.jobs.iter().filter(|job| job.is_active()).map(|job| job.uid.clone()).collect();
        for uid in stuck {
            self.repair(&uid);
        }
        self.operator_up();
        self.correct()
    }

    /// Returns whether a slot after the last trouble has had its run, for backups and for scrubs. An earlier
    /// run with a wrong clock may report a later time, but only within the tolerated difference of clocks.
    fn is_over(&mut self) -> bool {
        let Some(quiet) = self.quiet.map(|quiet| quiet + HOUR) else { return false };
        let has_run = |operation: Operation| {
            let done = |job: &&Job| {
                job.operation == operation && job.scheduled && job.created > quiet && !job.is_active()
            };
            self.cron_jobs.get(operation).is_none() || self.jobs.iter().any(|job| done(&job))
        };
        let over = Operation::all().all(has_run);
        if !over {
            let patience = self.slot_after_quiet(quiet);
            assert!(self.now <= patience, "healthy again within one further slot, by {}", at(patience));
        }
        over
    }

    /// Returns the time by which a slot after the last trouble, and everything that still ran then, must have
    /// had its run.
    fn slot_after_quiet(&self, quiet: i64) -> i64 {
        let free = quiet + JOB_DEADLINE;
        let slots = self
            .cron_jobs
            .iter()
            .filter_map(|(_, cron_job)| cron_job.as_ref())
            .filter_map(|cron_job| cron_job.after(free));
        slots.max().unwrap_or(free) + JOB_DEADLINE
    }
}
