//! The world of one policy: which happenings occur, and when. The seed determines everything.

use std::{
    cmp::Reverse,
    collections::{BTreeMap, BinaryHeap, VecDeque},
    sync::atomic::{AtomicBool, Ordering},
};

use api::{BackupPolicy, meta};
use domain::{
    catalog::BackupState,
    operation::{Operation, PerOperation},
    reason::Reason,
};
use pgbackup_desired::{JobState, Problem, ValidPolicy};
use serde_json::json;

use super::{
    cluster::{self, CronJob, Job, Pod},
    fate::{self, Fate, Setting},
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

/// A frequency of backups: its period, and schedules of this frequency.
#[derive(Clone, Copy, Debug)]
pub struct Kind {
    pub period: i64,
    schedules: &'static [&'static str],
}

pub const FREQUENT: Kind =
    Kind { period: 2 * HOUR, schedules: &["H */2 * * *", "30 1-23/2 * * *", "0 */2 * * *"] };
pub const OFTEN: Kind =
    Kind { period: 6 * HOUR, schedules: &["H */6 * * *", "15 2,8,14,20 * * *", "30 1-23/6 * * *"] };
pub const DAILY: Kind = Kind {
    period: DAY,
    schedules: &["H H(0-6) * * *", "30 2 * * *", "@daily", "45 1 * * *", "15 23 * * 1-5"],
};
pub const WEEKLY: Kind =
    Kind { period: 7 * DAY, schedules: &["@weekly", "30 2 * * 0", "H H * * 6", "0 12 * * 3"] };
pub const MONTHLY: Kind =
    Kind { period: 30 * DAY, schedules: &["@monthly", "H 3 1 * *", "30 2 15 * *", "0 12 31 * *"] };

/// The errors of the nodes' clocks in milliseconds: mostly none; a tolerated one, larger ones, and more than
/// a year.
const CLOCKS: [i64; 10] = [0, 0, 0, 0, 40 * MINUTE, -40 * MINUTE, 3 * HOUR, -3 * HOUR, 500 * DAY, -500 * DAY];

const ZONES: [&str; 8] = [
    "Etc/UTC",
    "Europe/Berlin",
    "America/New_York",
    "Australia/Lord_Howe",
    "Asia/Kolkata",
    "America/Santiago",
    "Pacific/Auckland",
    "Africa/Cairo",
];

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
        world.look();
        world
    }

    /// Simulates the year, and then further until the last failures are over.
    pub fn live(mut self) -> Counts {
        while let Some(Reverse((when, _, happening))) = self.queue.pop() {
            self.look_in_between(when);
            self.now = when;
            if self.happen(happening) {
                self.look();
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
            Happening::Mend(uid) => self.mend(&uid),
            Happening::End(uid) => self.end(&uid),
            Happening::Deadline(uid) => self.deadline(&uid),
            Happening::Wake(looks) => self.operator.looks == looks,
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
        let job = format!("{}-{}", operation.cron_job(&name), slot / MINUTE);
        self.oracle.start_slot(operation, slot);
        if let Some(cron_job) = self.cron_jobs.get_mut(operation) {
            cron_job.last = slot;
        }
        self.counts.add(if operation == Operation::Backup { "scheduled runs" } else { "scrubs" }, 1);
        if self.now - slot > 30 * SECOND {
            self.counts.add("slots that were caught up", 1);
        }
        self.make_job(operation, job, true);
        true
    }

    /// Creates a Job from the current CronJob.
    pub fn make_job(&mut self, operation: Operation, name: String, scheduled: bool) {
        let cron_job = self.cron_jobs.get(operation).as_ref().expect("a Job should have a CronJob");
        self.jobs_made += 1;
        let uid = format!("{name} {}", self.jobs_made);
        self.jobs.push(Job {
            name,
            uid: uid.clone(),
            operation,
            created: self.now,
            scheduled,
            state: JobState::Active,
            ended: None,
            pods: vec![],
            failures: 0,
            acknowledged: cron_job.acknowledged.clone(),
            deleted: false,
            known: self.operator.up,
            fate: Fate::Works,
            secret_reason: None,
        });
        self.then(JOB_DEADLINE, Happening::Deadline(uid.clone()));
        if self.random.percent(70) {
            self.start(&uid);
        } else {
            let delay = self.random.between(500, 8 * SECOND);
            self.then(delay, Happening::Start(uid));
        }
    }

    fn place(&self, uid: &str) -> Option<usize> {
        self.jobs.iter().position(|job| job.uid == uid && job.is_active() && !job.deleted)
    }

    fn start(&mut self, uid: &str) -> bool {
        let Some(place) = self.place(uid) else { return false };
        let known = self.operator.up;
        let stuck = self.troubles.stuck.filter(|(until, _)| *until > self.now);
        let node = (self.jobs[place].pods.len() + self.jobs.len()) % self.clocks.len();
        let skew = self.clocks[node];
        self.counts.add("pods on nodes whose clock is wrong", usize::from(skew != 0));
        let pod = Pod { created: self.now, skew, running: stuck.is_none(), known, ..Pod::default() };
        self.jobs[place].pods.push(pod);
        match stuck {
            Some((until, stuck)) => self.cannot_start(place, until, stuck),
            None => self.run(place),
        }
        true
    }

    fn cannot_start(&mut self, place: usize, until: i64, stuck: Stuck) {
        self.counts.add("pods that could not start", 1);
        let since = Some(at(self.now));
        let problem = match stuck {
            Stuck::ImagePull => Some((Reason::ImagePullFailed, "image nope:1 cannot be pulled", None)),
            Stuck::Secret => Some((Reason::SecretNotFound, "secret \"db\" not found", None)),
            Stuck::Unscheduled => Some((Reason::Unschedulable, "no node takes the pod", since)),
            Stuck::Volume => None,
        };
        let job = &mut self.jobs[place];
        let pod = job.pods.last_mut().expect("a pod that cannot start should be there");
        pod.problem = problem.map(|(reason, words, since)| Problem {
            reason,
            message: words.to_owned(),
            since,
            cause: None,
        });
        if pod.problem.is_none() {
            pod.silent = true;
            job.secret_reason = Some("the volume cannot be mounted");
        }
        let uid = job.uid.clone();
        let lasts = match stuck {
            // Limited, because the operator reads events every minute while such a pod waits.
            Stuck::Volume => (until - self.now).min(self.random.between(MINUTE, 20 * MINUTE)),
            _ => until - self.now,
        };
        self.then(lasts, Happening::Mend(uid));
    }

    fn mend(&mut self, uid: &str) -> bool {
        let Some(place) = self.place(uid) else { return false };
        let job = &mut self.jobs[place];
        job.secret_reason = None;
        let Some(pod) = job.pods.last_mut().filter(|pod| pod.problem.is_some() || pod.silent) else {
            return false;
        };
        (pod.problem, pod.silent, pod.running) = (None, false, true);
        // The runner starts now.
        pod.created = self.now;
        self.run(place);
        true
    }

    /// Lets the runner of a pod start its work.
    fn run(&mut self, place: usize) {
        let operation = self.jobs[place].operation;
        let mut fate =
            if self.quiet.is_some() { Fate::Works } else { fate::choose(&mut self.random, operation) };
        if let Some((_, reason)) = self.troubles.failing.filter(|(until, _)| *until > self.now) {
            fate = Fate::Fails(reason);
        }
        if fate == Fate::Vanishes && !self.operator.up {
            // If a requested Job is deleted before the operator has recorded it, the operator creates it
            // again, correctly. The simulation avoids this case.
            fate = Fate::Works;
        }
        self.counts.add(word_of(fate), 1);
        let longest = (self.kind.period * 3 / 2).min(4 * HOUR);
        let duration = match fate {
            Fate::Fails(_) => self.random.between(SECOND, 30 * SECOND),
            _ => fate::duration(&mut self.random, longest),
        };
        let job = &mut self.jobs[place];
        job.fate = fate;
        let uid = job.uid.clone();
        if fate != Fate::Hangs {
            self.then(duration, Happening::End(uid));
        }
    }

    fn end(&mut self, uid: &str) -> bool {
        let Some(place) = self.place(uid) else { return false };
        if !self.jobs[place].pods.last().is_some_and(|pod| pod.running) {
            return false;
        }
        let code = self.end_pod(place);
        let known = self.operator.up;
        let job = &mut self.jobs[place];
        let evicted = matches!(job.fate, Fate::Killed { word: "Evicted", .. });
        job.state = match code {
            _ if job.fate == Fate::Vanishes => {
                (job.deleted, job.known) = (true, job.known && known);
                JobState::Gone
            }
            0 => JobState::Succeeded,
            64..=95 => JobState::Failed { reason: "PodFailurePolicy".to_owned() },
            // A disruption does not count as an attempt.
            _ if evicted => JobState::Active,
            _ if job.failures == BACKOFF_LIMIT => {
                JobState::Failed { reason: "BackoffLimitExceeded".to_owned() }
            }
            _ => {
                job.failures += 1;
                JobState::Active
            }
        };
        if job.is_active() {
            let pause = (10 * SECOND) << job.failures;
            self.then(pause, Happening::Start(uid.to_owned()));
        } else {
            job.ended = Some(self.now).filter(|_| !job.deleted);
            let operation = job.operation;
            self.sync(operation);
        }
        true
    }

    /// Ends the newest pod of a Job as chosen. Returns the exit code.
    fn end_pod(&mut self, place: usize) -> i32 {
        let valid = self.oracle.valid.clone().expect("a Job should be of a policy that was valid once");
        let ValidPolicy { backup, zone, scrub, .. } = &*valid;
        let setting = Setting {
            rules: &backup.rules,
            zone,
            checksum: self.checksum,
            less_since: self.less_since,
            share: scrub.as_ref().map_or(100, |scrub| scrub.share),
        };
        let (removed, job) = (self.store.removed.len(), &mut self.jobs[place]);
        let code = fate::end(&mut self.random, &mut self.store, job, &setting, self.now);
        self.counts.add("backups that were removed", self.store.removed.len() - removed);
        let pod = job.pods.last_mut().expect("a pod that ends should be there");
        pod.known |= self.operator.up;
        let suspicious = pod.report.as_ref().and_then(|report| report.backup());
        let suspicious = suspicious
            .filter(|backup| backup.verification == domain::report::Verification::Suspicious)
            .cloned();
        let name = job.name.clone();
        self.note(|| format!("  {name} ended with code {code}"));
        if let Some(backup) = suspicious {
            self.counts.add("suspicious backups", 1);
            if self.random.percent(60) {
                let later = self.random.between(MINUTE, 3 * self.kind.period);
                self.then(later, Happening::Acknowledge(backup.id));
            }
        }
        code
    }

    fn deadline(&mut self, uid: &str) -> bool {
        let Some(place) = self.place(uid) else { return false };
        self.counts.add("Jobs past their deadline", 1);
        let running = self.jobs[place].pods.last().is_some_and(|pod| pod.running);
        if running {
            self.jobs[place].fate = Fate::Hangs;
            self.end_pod(place);
        }
        let up = self.operator.up;
        let job = &mut self.jobs[place];
        job.state = JobState::Failed { reason: "DeadlineExceeded".to_owned() };
        job.ended = Some(self.now);
        let starts = job.pods.last_mut().filter(|pod| running || pod.problem.is_some() || pod.silent);
        if let Some(pod) = starts {
            // The Job controller deletes pods that have not ended.
            (pod.deleted, pod.known) = (true, pod.known && up);
        }
        let operation = job.operation;
        self.sync(operation);
        true
    }

    fn operator_up(&mut self) -> bool {
        if self.operator.up {
            return false;
        }
        self.operator.up = true;
        for job in &mut self.jobs {
            job.known = !job.deleted;
            for pod in &mut job.pods {
                pod.known = !pod.deleted;
            }
        }
        self.jobs.retain(|job| job.known);
        true
    }

    /// Stops the operator, which loses its observations.
    pub fn operator_down(&mut self, how_long: i64) {
        self.operator.up = false;
        for job in &mut self.jobs {
            job.known = false;
            job.pods.iter_mut().for_each(|pod| pod.known = false);
        }
        self.jobs.retain(|job| !job.deleted);
        self.then(how_long, Happening::OperatorUp);
    }

    fn next_trouble(&mut self) {
        if self.quiet.is_none() {
            let pause = self.random.between(1, 8 * self.kind.period);
            self.then(pause, Happening::Trouble);
        }
    }

    /// Executes a random trouble. Returns whether the operator would observe it.
    fn trouble(&mut self) -> bool {
        let period = self.kind.period;
        match self.random.between(0, 20) {
            0..=1 => {
                let reason = self.random.pick(&[
                    Reason::Unreachable,
                    Reason::AuthenticationFailed,
                    Reason::StoreUnreachable,
                    Reason::ServerNotReady,
                ]);
                self.counts.add("servers down and passwords wrong", 1);
                self.troubles.failing =
                    Some((self.now + self.random.between(HOUR, 3 * period + DAY), reason));
                false
            }
            2..=3 => {
                let stuck =
                    self.random.pick(&[Stuck::ImagePull, Stuck::Secret, Stuck::Unscheduled, Stuck::Volume]);
                self.troubles.stuck = Some((self.now + self.random.between(period, 3 * period + DAY), stuck));
                false
            }
            4..=6 => {
                self.counts.add("operators down", 1);
                let week = self.random.between(HOUR, 7 * DAY);
                let slots = self.random.between(HOUR, 7 * period);
                if self.operator.up {
                    self.operator_down(week.max(slots));
                }
                false
            }
            7 => {
                self.counts.add("clocks that jumped", 1);
                self.operator.skew = self.random.between(-6 * MINUTE, 6 * MINUTE);
                false
            }
            8..=9 => {
                self.counts.add("requests", 1);
                self.tokens += 1;
                let token = format!("token {}", self.tokens);
                self.annotate(meta::REQUESTED_AT, token);
                true
            }
            10..=11 => {
                // During another run, if possible.
                let slot = self.cron_jobs.backup.as_ref();
                let slot = slot.and_then(|cron_job| cron_job.after(self.now)).unwrap_or(self.now);
                let later = slot - self.now + self.random.between(SECOND, 5 * MINUTE);
                self.then(later, Happening::ByHand);
                false
            }
            12 => {
                self.counts.add("schedules edited", 1);
                self.policy.spec.schedule = self.random.pick(self.kind.schedules).to_owned();
                if self.random.percent(50) {
                    self.policy.spec.time_zone = self.random.pick(&ZONES).to_owned();
                }
                self.edited()
            }
            13 => {
                self.counts.add("suspensions and resumptions", 1);
                self.policy.spec.suspend = !self.policy.spec.suspend;
                if self.policy.spec.suspend {
                    let later = self.random.between(HOUR, 5 * period);
                    self.then(later, Happening::Correct);
                }
                self.edited()
            }
            14 => {
                self.counts.add("bad edits", 1);
                "0 0 30 2 *".clone_into(&mut self.policy.spec.schedule);
                let later = self.random.between(MINUTE, 2 * period);
                self.then(later, Happening::Correct);
                self.edited()
            }
            15 => {
                if self.less_since.is_none() || self.random.percent(50) {
                    self.less_since = Some(self.now);
                } else {
                    self.less_since = None;
                }
                false
            }
            _ => {
                self.rot();
                false
            }
        }
    }

    /// Changes bytes in the store, mostly of the newest backup.
    fn rot(&mut self) {
        let newest = self.store.newest_verified().map(|backup| backup.entry.id.clone());
        let count = i64::try_from(self.store.backups.len()).unwrap_or_default();
        if count == 0 {
            return;
        }
        self.counts.add("backups that rotted", 1);
        let any = usize::try_from(self.random.between(0, count)).unwrap_or_default();
        let which = if self.random.percent(60) { newest } else { None };
        let which = which.unwrap_or_else(|| self.store.backups[any].entry.id.clone());
        for backup in self.store.backups.iter_mut().filter(|backup| backup.entry.id == which) {
            backup.rotten = true;
        }
    }

    /// Creates a Job like `kubectl create job --from=cronjob/...`, even if the policy is suspended.
    fn by_hand(&mut self) -> bool {
        let operation = self.random.pick(&[Operation::Backup, Operation::Backup, Operation::Scrub]);
        if self.cron_jobs.get(operation).is_none() {
            return false;
        }
        self.counts.add("Jobs made by hand", 1);
        let busy = self.jobs.iter().any(|job| job.operation == operation && job.is_active());
        self.counts.add("Jobs at once", usize::from(busy));
        let name = self.policy.metadata.name.clone().unwrap_or_default();
        self.make_job(operation, format!("{name}-by-hand-{}", self.jobs_made), false);
        true
    }

    fn annotate(&mut self, name: &str, value: String) {
        let annotations = self.policy.metadata.annotations.get_or_insert_default();
        annotations.insert(name.to_owned(), value);
    }

    fn edited(&mut self) -> bool {
        let generation = self.policy.metadata.generation.get_or_insert(0);
        *generation += 1;
        true
    }

    fn correct(&mut self) -> bool {
        if self.policy.spec.schedule == "0 0 30 2 *" {
            self.policy.spec.schedule = self.random.pick(self.kind.schedules).to_owned();
        }
        self.policy.spec.suspend = false;
        self.edited()
    }

    fn acknowledge(&mut self, backup: &str) -> bool {
        self.counts.add("suspicious backups acknowledged", 1);
        let known = self.policy.metadata.annotations.as_ref().and_then(|all| all.get(meta::ACKNOWLEDGED));
        let known =
            known.map(String::as_str).unwrap_or_default().split(',').filter(|backup| !backup.is_empty());
        let mut backups: Vec<&str> = known.chain([backup]).collect();
        // The annotation can contain only a limited number of backups.
        backups.drain(..backups.len().saturating_sub(5));
        let backups = backups.join(",");
        self.annotate(meta::ACKNOWLEDGED, backups);
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
            backup.rotten = false;
        }
        let stuck: Vec<String> =
            self.jobs.iter().filter(|job| job.is_active()).map(|job| job.uid.clone()).collect();
        for uid in stuck {
            self.mend(&uid);
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

fn word_of(fate: Fate) -> &'static str {
    match fate {
        Fate::Works => "attempts that worked",
        Fate::Fails(_) => "attempts that failed",
        Fate::Interrupted { .. } => "attempts interrupted",
        Fate::Killed { word: "OOMKilled", .. } => "attempts out of memory",
        Fate::Killed { word: "Evicted", .. } => "attempts evicted",
        Fate::Killed { .. } => "attempts killed",
        Fate::Wordless(_) => "attempts without a report",
        Fate::Hangs => "attempts that hung",
        Fate::Vanishes => "Jobs deleted at work",
    }
}

fn policy(random: &mut Random, index: u64, kind: Kind, checksum: bool, now: i64) -> BackupPolicy {
    let retention = random.pick(&[
        r#"{"keepLast": 1, "minimumVerified": 1}"#,
        r#"{"keepLast": 3}"#,
        r#"{"keepDaily": 7, "keepWeekly": 4, "keepMonthly": 6}"#,
        r#"{"keepWithin": "14d", "minimumVerified": 2}"#,
        r#"{"keepHourly": 24, "keepWithinDaily": "30d", "minimumVerified": 5}"#,
        r#"{"keepLast": 60}"#,
    ]);
    let retention: serde_json::Value = serde_json::from_str(retention).expect("rules should be JSON");
    let level = if checksum { "Checksum" } else { "Archive" };
    let mut verification = json!({ "level": level });
    if random.percent(35) {
        let slow = ["@monthly", "H H 3 * *", "30 2 29 * *"];
        let fast = ["@weekly", "H H * * 3", "@monthly"];
        let schedule = random.pick(if kind.period > 7 * DAY { &slow } else { &fast });
        verification["scrub"] = json!({ "schedule": schedule, "share": random.pick(&[10, 34, 100]) });
    }
    let max_age = random.percent(15).then(|| format!("{}h", kind.period * 3 / HOUR / 2 + 3));
    serde_json::from_value(json!({
        "apiVersion": "pgbackup.dev/v1alpha1",
        "kind": "BackupPolicy",
        "metadata": {
            "namespace": "shop", "name": format!("p{index}"), "uid": "owner", "generation": 1,
            "creationTimestamp": at(now / SECOND * SECOND),
        },
        "spec": {
            "schedule": random.pick(kind.schedules),
            "timeZone": random.pick(&ZONES),
            "catchUp": random.percent(60),
            "postgres": { "version": 17, "connection": {
                "host": "db", "user": "backup", "passwordSecretRef": { "name": "db", "key": "password" },
            }},
            "storage": { "volume": { "claimName": "backups" } },
            "retention": retention,
            "verification": verification,
            "objectives": max_age.map_or_else(|| json!({}), |age| json!({ "maxAge": age })),
        },
    }))
    .expect("a policy should be one")
}
