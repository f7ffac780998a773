//! Failures and edits by people in the world of one policy.

use api::meta;
use domain::{operation::Operation, reason::Reason};

use super::{Happening, Stuck, World};
use crate::{
    kind::ZONES,
    time::{DAY, HOUR, MINUTE, SECOND},
};

impl World {
    pub(super) fn operator_up(&mut self) -> bool {
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

    pub(super) fn next_trouble(&mut self) {
        if self.quiet.is_none() {
            let pause = self.random.between(1, 8 * self.kind.period);
            self.then(pause, Happening::Trouble);
        }
    }

    /// Executes a random trouble. Returns whether the operator would observe it.
    pub(super) fn trouble(&mut self) -> bool {
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
                self.corrupt();
                false
            }
        }
    }

    /// Changes bytes in the store, mostly of the newest backup.
    pub(super) fn corrupt(&mut self) {
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
            backup.corrupted = true;
        }
    }

    /// Creates a Job like `kubectl create job --from=cronjob/...`, even if the policy is suspended.
    pub(super) fn by_hand(&mut self) -> bool {
        let operation = self.random.pick(&[Operation::Backup, Operation::Backup, Operation::Scrub]);
        if self.cron_jobs.get(operation).is_none() {
            return false;
        }
        self.counts.add("Jobs made by hand", 1);
        let busy = self.jobs.iter().any(|job| job.operation == operation && job.is_active());
        self.counts.add("Jobs at once", usize::from(busy));
        let name = self.policy.metadata.name.clone().unwrap_or_default();
        self.create_job(operation, format!("{name}-by-hand-{}", self.jobs_made), false);
        true
    }

    pub(super) fn annotate(&mut self, name: &str, value: String) {
        let annotations = self.policy.metadata.annotations.get_or_insert_default();
        annotations.insert(name.to_owned(), value);
    }

    pub(super) fn edited(&mut self) -> bool {
        let generation = self.policy.metadata.generation.get_or_insert(0);
        *generation += 1;
        true
    }

    pub(super) fn correct(&mut self) -> bool {
        if self.policy.spec.schedule == "0 0 30 2 *" {
            self.policy.spec.schedule = self.random.pick(self.kind.schedules).to_owned();
        }
        self.policy.spec.suspend = false;
        self.edited()
    }

    pub(super) fn acknowledge(&mut self, backup: &str) -> bool {
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
}
