//! Jobs and their pods in the world of one policy: creation, start, end and deadline.

use domain::{operation::Operation, reason::Reason};
use pgbackup_desired::{JobState, Problem, ValidPolicy};

use super::{BACKOFF_LIMIT, Happening, JOB_DEADLINE, Stuck, World};
use crate::{
    attempt_end::{self, AttemptEnd, Setting},
    cluster::{Job, Pod},
    time::{HOUR, MINUTE, SECOND, at},
};

impl World {
    /// Creates a Job from the current CronJob.
    pub fn create_job(&mut self, operation: Operation, name: String, scheduled: bool) {
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
            planned_end: AttemptEnd::Works,
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

    pub(super) fn place(&self, uid: &str) -> Option<usize> {
        self.jobs.iter().position(|job| job.uid == uid && job.is_active() && !job.deleted)
    }

    pub(super) fn start(&mut self, uid: &str) -> bool {
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

    pub(super) fn cannot_start(&mut self, place: usize, until: i64, stuck: Stuck) {
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

    pub(super) fn repair(&mut self, uid: &str) -> bool {
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
    pub(super) fn run(&mut self, place: usize) {
        let operation = self.jobs[place].operation;
        let mut planned_end = if self.quiet.is_some() {
            AttemptEnd::Works
        } else {
            attempt_end::choose(&mut self.random, operation)
        };
        if let Some((_, reason)) = self.troubles.failing.filter(|(until, _)| *until > self.now) {
            planned_end = AttemptEnd::Fails(reason);
        }
        if planned_end == AttemptEnd::Vanishes && !self.operator.up {
            // If a requested Job is deleted before the operator has recorded it, the operator creates it
            // again, correctly. The simulation avoids this case.
            planned_end = AttemptEnd::Works;
        }
        self.counts.add(label_of(planned_end), 1);
        let longest = (self.kind.period * 3 / 2).min(4 * HOUR);
        let duration = match planned_end {
            AttemptEnd::Fails(_) => self.random.between(SECOND, 30 * SECOND),
            _ => attempt_end::duration(&mut self.random, longest),
        };
        let job = &mut self.jobs[place];
        job.planned_end = planned_end;
        let uid = job.uid.clone();
        if planned_end != AttemptEnd::Hangs {
            self.then(duration, Happening::End(uid));
        }
    }

    pub(super) fn end(&mut self, uid: &str) -> bool {
        let Some(place) = self.place(uid) else { return false };
        if !self.jobs[place].pods.last().is_some_and(|pod| pod.running) {
            return false;
        }
        let code = self.end_pod(place);
        let known = self.operator.up;
        let job = &mut self.jobs[place];
        let evicted = matches!(job.planned_end, AttemptEnd::Killed { container_reason: "Evicted", .. });
        job.state = match code {
            _ if job.planned_end == AttemptEnd::Vanishes => {
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
    pub(super) fn end_pod(&mut self, place: usize) -> i32 {
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
        let code = attempt_end::end(&mut self.random, &mut self.store, job, &setting, self.now);
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

    pub(super) fn deadline(&mut self, uid: &str) -> bool {
        let Some(place) = self.place(uid) else { return false };
        self.counts.add("Jobs past their deadline", 1);
        let running = self.jobs[place].pods.last().is_some_and(|pod| pod.running);
        if running {
            self.jobs[place].planned_end = AttemptEnd::Hangs;
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
}

fn label_of(planned_end: AttemptEnd) -> &'static str {
    match planned_end {
        AttemptEnd::Works => "attempts that worked",
        AttemptEnd::Fails(_) => "attempts that failed",
        AttemptEnd::Interrupted { .. } => "attempts interrupted",
        AttemptEnd::Killed { container_reason: "OOMKilled", .. } => "attempts out of memory",
        AttemptEnd::Killed { container_reason: "Evicted", .. } => "attempts evicted",
        AttemptEnd::Killed { .. } => "attempts killed",
        AttemptEnd::NoReport(_) => "attempts without a report",
        AttemptEnd::Hangs => "attempts that hung",
        AttemptEnd::Vanishes => "Jobs deleted at work",
    }
}
