//! The oracle: computes independently, from what happened and what the operator could observe, what a status
//! must contain. It does not use the code under test.

use std::{
    collections::{BTreeMap, BTreeSet},
    sync::Arc,
};

use api::{
    BackupPolicy, BackupPolicyStatus,
    status::{BackupStatus, ConditionStatus, ConditionType, HISTORY_LIMIT, RunResult, Verification},
};
use domain::{
    catalog::BackupState,
    name,
    operation::Operation,
    reason::Reason,
    report::{self, Outcome, RunRecord, RunReport, Trigger},
};
use jiff::{SignedDuration, Timestamp};
use pgbackup_desired::{EventDraft, JobState, Observed, ObservedRun, ValidPolicy};

use super::{
    operator::grace,
    store::Store,
    time::{at, whole},
};

/// A run, identified by its start. If two runs start in the same second, the name decides their order.
type Place = (Timestamp, String);

/// The information that an operator can have about a run that ended.
#[derive(Clone, Debug, PartialEq)]
struct Known {
    start: Timestamp,
    result: RunResult,
    suspicious: bool,
}

/// An observed run, whether it was running, and the suspicious backup that it stored with the snapshot time.
type SeenRun = (Place, bool, Option<(String, Timestamp)>);

/// The snapshot time of a backup and the start of its run. If two snapshot times are equal, the later run
/// decides.
type Age = (Timestamp, Timestamp);

/// Runs in the order of their times.
#[derive(Debug, Default)]
struct Ranking<T> {
    times: BTreeMap<String, T>,
    places: BTreeSet<(T, String)>,
}

impl<T: Ord + Copy> Ranking<T> {
    fn insert(&mut self, job: &str, time: T) {
        if let Some(before) = self.times.insert(job.to_owned(), time) {
            self.places.remove(&(before, job.to_owned()));
        }
        self.places.insert((time, job.to_owned()));
    }

    fn newest(&self) -> Option<&(T, String)> {
        self.places.last()
    }
}

/// The inputs of one reconcile: the validated policy, the observation and the time.
pub struct Seen<'a> {
    pub valid: Option<&'a ValidPolicy>,
    pub observed: &'a Observed,
    pub now: Timestamp,
}

/// The schedule at the last reconcile.
struct Spec {
    schedule: String,
    zone: String,
    suspend: bool,
    /// The next slot, as of the last reconcile.
    next: Option<Timestamp>,
}

/// The test's own record of what an operator could have observed so far. The expected status is computed
/// from it.
#[derive(Default)]
pub struct Oracle {
    /// The newest valid version of the policy.
    pub valid: Option<Arc<ValidPolicy>>,
    runs: BTreeMap<String, Known>,
    /// The runs whose reports about earlier runs were read.
    read_reports: BTreeSet<Place>,
    ranking: Ranking<Timestamp>,
    /// The runs whose backups are known.
    backups: Ranking<Age>,
    /// The newest observed run, whether it was running, and the suspicious backup that it stored.
    newest_seen: Option<SeenRun>,
    /// The backups that a known scrub found corrupted.
    corrupted: BTreeSet<String>,
    spec: Option<Spec>,
    /// The time since which the current schedule is known to apply.
    since: Option<Timestamp>,
    /// The ends of runs for which an event was published.
    emitted: BTreeSet<(String, &'static str)>,
    slots: BTreeSet<(Operation, i64)>,
    newest_slots: BTreeMap<Operation, i64>,
    tokens: BTreeSet<String>,
}

impl Oracle {
    /// Records that the controller starts a slot, and checks that slots start once and in order.
    pub fn start_slot(&mut self, operation: Operation, slot: i64) {
        assert!(self.slots.insert((operation, slot)), "slot {} is taken once", at(slot));
        let before = self.newest_slots.insert(operation, slot);
        assert!(before.is_none_or(|before| before < slot), "slots come in their order");
    }

    /// Records that a requested Job is created, and checks that each token creates one Job.
    pub fn start_request(&mut self, token: &str) {
        assert!(self.tokens.insert(token.to_owned()), "{token} starts one Job");
    }

    /// Adds what is observed at a reconcile.
    pub fn learn(&mut self, valid: Option<&ValidPolicy>, observed: &Observed, now: Timestamp) {
        self.learn_schedule(valid, now);
        let vanished = self.newest_seen.take_if(|(place, at_work, _)| {
            *at_work && observed.operations.backup.runs.iter().all(|run| run.job != place.1)
        });
        let mut records: Vec<RunRecord> = Vec::new();
        for run in &observed.operations.backup.runs {
            let earlier = self.learn_run(run, now).into_iter().flat_map(|report| report.recent);
            records.extend(earlier.filter_map(|record| dated(record, latest(run, now))));
        }
        if let Some(((start, job), _, backup)) = vanished {
            let lost = Known { start, result: RunResult::Unknown, suspicious: false };
            if !self.runs.contains_key(&job) {
                self.know(&job, lost);
            }
            let place = (start, job);
            if self.newest_seen.as_ref().is_none_or(|(newest, ..)| *newest < place) {
                self.newest_seen = Some((place, false, backup));
            }
        }
        let active =
            |job: &str| observed.operations.backup.runs.iter().any(|run| run.job == job && is_active(run));
        for record in records.iter().filter(|record| !active(&record.job)) {
            self.learn_record(record);
        }
        for record in records.iter().filter(|record| record.result == Outcome::Succeeded) {
            self.learn_backup(record);
        }
        if let (Some(valid), Some(((start, job), _, Some((backup, snapshot))))) = (valid, &self.newest_seen)
            && valid.backup.acknowledged.contains(backup)
        {
            self.backups.insert(job, (*snapshot, *start));
        }
        let scrubs = observed.operations.scrub.runs.iter();
        let scrubs = scrubs.filter_map(|run| run.report.as_ref()?.details.as_scrub());
        self.corrupted.extend(scrubs.flat_map(|scrub| scrub.corrupted.iter().cloned()));
    }

    fn learn_schedule(&mut self, valid: Option<&ValidPolicy>, now: Timestamp) {
        let Some(valid) = valid else {
            // While a policy is invalid, no next slot is announced; its schedule goes on.
            if let Some(spec) = &mut self.spec {
                spec.next = None;
            }
            return;
        };
        let next = valid.schedule.after(&valid.zone, now);
        let schedule = valid.schedule.effective().to_owned();
        let spec = Spec { schedule, zone: valid.time_zone.clone(), suspend: valid.suspend, next };
        self.since = match &self.spec {
            _ if spec.suspend => None,
            None => Some(valid.created),
            Some(before) => {
                // An edit that does not move the next slot changes nothing.
                let is_slot = |slot: Timestamp| {
                    valid.schedule.after(&valid.zone, slot - SignedDuration::from_secs(1)) == Some(slot)
                };
                let same = before.schedule == spec.schedule
                    && (before.zone == spec.zone || before.next.is_none_or(is_slot))
                    && !before.suspend;
                self.since.filter(|_| same).or(Some(whole(now.as_millisecond())))
            }
        };
        self.spec = Some(spec);
    }

    /// Adds an observed run. Returns its report if it is the final report of a pod.
    fn learn_run(&mut self, run: &ObservedRun, now: Timestamp) -> Option<RunReport> {
        let of_earlier_attempt =
            |report: &&RunReport| run.state == JobState::Succeeded && report.outcome != Outcome::Succeeded;
        let report = run.report.as_ref().filter(|report| !of_earlier_attempt(report));
        let start = start(run, report, now);
        let place = (start, run.job.clone());
        let known = self.runs.get(&run.job);
        if report.is_none() && known.is_some_and(|known| known.result != RunResult::Unknown) {
            return None;
        }
        let backup = report.and_then(RunReport::backup);
        let suspicious = backup.is_some_and(|backup| backup.verification == report::Verification::Suspicious);
        let backup = backup.map(|backup| (backup.id.clone(), whole(backup.snapshot_time.as_millisecond())));
        if let Some((_, snapshot)) = &backup
            && !suspicious
        {
            self.backups.insert(&run.job, (*snapshot, start));
        }
        let newest = self.newest_seen.as_ref().map(|(newest, ..)| newest);
        if newest.is_none_or(|newest| newest.1 == place.1 || *newest < place) {
            let waits = backup.filter(|_| suspicious);
            self.newest_seen = Some((place.clone(), is_active(run), waits));
        }
        if !is_active(run) {
            let suspicious = report.is_some_and(|report| report.reason == Some(Reason::Suspicious));
            self.know(&run.job, Known { start, result: result(run, report), suspicious });
        }
        let report = report.filter(|report| !is_active(run) && report.outcome != Outcome::Running)?;
        // Read each report only once: what it contains may have been forgotten later.
        self.read_reports.insert(place).then(|| report.clone())
    }

    fn learn_record(&mut self, record: &RunRecord) {
        let start = whole(record.start_time.as_millisecond());
        let result = match record.result {
            Outcome::Succeeded => RunResult::Succeeded,
            _ => RunResult::Failed,
        };
        let known = self.runs.get(&record.job);
        let of_a_slot = record.trigger == Trigger::Schedule;
        let is_news = known
            .is_none_or(|known| known.result == RunResult::Unknown && (start >= known.start || of_a_slot));
        let start = known.map_or(start, |known| known.start.max(start));
        let known = Known { start, result, suspicious: record.reason == Reason::Suspicious };
        if is_news {
            self.know(&record.job, known);
        }
    }

    /// Adds the backup of a run in a record, if that run is among those that a status can hold.
    fn learn_backup(&mut self, record: &RunRecord) {
        let start = whole(record.start_time.as_millisecond());
        let is_good = |known: &Known| known.result == RunResult::Succeeded && !known.suspicious;
        let is_known =
            self.newest().any(|(job, known)| *job == record.job && known.start >= start && is_good(known));
        let snapshot = record.snapshot_time.map(|time| whole(time.as_millisecond()));
        if let Some(snapshot) = snapshot.filter(|_| is_known && !self.backups.times.contains_key(&record.job))
        {
            self.backups.insert(&record.job, (snapshot, start));
        }
    }

    fn know(&mut self, job: &str, known: Known) {
        self.ranking.insert(job, known.start);
        self.runs.insert(job.to_owned(), known);
    }

    /// Returns the newest runs that ended, newest first.
    fn newest(&self) -> impl Iterator<Item = (&String, &Known)> {
        self.ranking.places.iter().rev().take(HISTORY_LIMIT).map(|(_, job)| (job, &self.runs[job]))
    }

    /// Checks the events of a change. Returns the number of events about runs that ended.
    pub fn check_events(
        &mut self,
        before: Option<&BackupPolicyStatus>,
        after: &BackupPolicyStatus,
        events: &[EventDraft],
    ) -> usize {
        let known = |status: &BackupPolicyStatus, job: &str, result: RunResult| {
            status.history.iter().any(|run| run.job == job && run.result == result)
        };
        // The runs that a first reconcile finds get no events.
        let Some(before) = before.filter(|status| !status.conditions.is_empty()) else { return 0 };
        let mut count = 0;
        for run in &after.history {
            let emitted = events.iter().filter(|event| {
                event.action == "Backup"
                    && event.job.as_ref() == Some(&run.job)
                    && event.reason == run.reason
                    && event.note.starts_with(&format!("{}: ", run.job))
            });
            let emitted = emitted.count();
            let first = !known(before, &run.job, run.result);
            assert_eq!(
                emitted,
                usize::from(first),
                "{} ended as {}, with one event: {events:?}",
                run.job,
                run.reason
            );
            if first {
                let news = self.emitted.insert((run.job.clone(), run.result.as_str()));
                assert!(news, "the end of {} had an event before: {events:?}", run.job);
                count += 1;
            }
        }
        count
    }

    /// Compares a status with everything that is known.
    pub fn judge(&self, seen: &Seen<'_>, status: &BackupPolicyStatus, store: &Store) {
        self.judge_history(status);
        self.judge_claims(seen, status, store);
        self.judge_health(seen, status, store);
    }

    fn judge_history(&self, status: &BackupPolicyStatus) {
        let is: Vec<_> = status.history.iter().map(|run| (&run.job, run.start_time.0, run.result)).collect();
        let newest: Vec<_> = self.newest().map(|(job, known)| (job, known.start, known.result)).collect();
        assert_eq!(is, newest, "the history is what is known of the newest runs, each once");
    }

    /// Checks that the backups in the status exist, or existed when the operator could last know.
    fn judge_claims(&self, seen: &Seen<'_>, status: &BackupPolicyStatus, store: &Store) {
        let newest = self.backups.newest();
        let last = status.last_success.as_ref();
        assert_eq!(
            last.map(|last| &last.job),
            newest.map(|(_, job)| job),
            "lastSuccess is the newest reported backup, of {newest:?}"
        );
        if let Some(last) = last {
            Self::judge_backup(seen, last, store);
        }
        if let Some(retained) = &status.retained {
            let as_of = retained.as_of.as_ref().expect("a look should have a time").0;
            let found = store.listings_since(as_of).any(|found| {
                (retained.backups, retained.verified, retained.suspicious, retained.size_bytes)
                    == (found.backups, found.verified, found.suspicious, found.bytes)
            });
            assert!(found, "a run found what is retained: {retained:?}");
        }
    }

    fn judge_backup(seen: &Seen<'_>, last: &BackupStatus, store: &Store) {
        let backup = store
            .present_or_removed_of_job(&last.job)
            .expect("a backup that is claimed should have been made");
        let entry = &backup.entry;
        if let Some(id) = &last.backup {
            assert_eq!(*id, entry.id, "a backup has its own name");
        }
        let snapshot = last.snapshot_time.as_ref().map(|time| time.0);
        assert_eq!(snapshot, Some(whole(entry.snapshot_time.as_millisecond())), "a backup has its own time");
        assert_eq!(last.size_bytes, Some(entry.size_bytes), "a backup has its own size");
        let settled = seen.valid.is_none_or(|valid| valid.backup.acknowledged.contains(&entry.id))
            || last.verification == Some(Verification::Acknowledged);
        assert!(backup.counted || settled, "a backup was verified when it was claimed");
    }

    /// Checks that a backup in the status is in the store, or that the operator could not know about its
    /// removal.
    fn judge_presence(&self, last: &BackupStatus, store: &Store) {
        let newest = store.newest_verified();
        let backup = store
            .present_or_removed_of_job(&last.job)
            .expect("a backup that is claimed should have been made");
        if store.has(&backup.entry.id) {
            let untold =
                backup.entry.state == BackupState::Failed && !self.corrupted.contains(&backup.entry.id);
            let waits = backup.entry.state == BackupState::Suspicious
                && last.verification == Some(Verification::Acknowledged);
            assert!(
                backup.entry.state == BackupState::Verified || untold || waits,
                "the backup {} is {:?}",
                backup.entry.id,
                backup.entry.state
            );
            return;
        }
        // Only a run without a known report can have removed it, and only because of a newer backup.
        let newer = newest.expect("the newest verified backup should never go");
        assert!(
            newer.entry.snapshot_time > backup.entry.snapshot_time
                && !self.backups.times.contains_key(&newer.job),
            "{} is gone, and {} is there",
            backup.entry.id,
            newer.entry.id
        );
    }

    fn judge_health(&self, seen: &Seen<'_>, status: &BackupPolicyStatus, store: &Store) {
        let Some(valid) = seen.valid else { return };
        let health =
            status.condition(ConditionType::BackupHealthy).expect("a valid policy should have its condition");
        let (wanted, why) = self.health(valid, seen, status, store);
        assert_eq!(health.status, wanted.as_str(), "because of {why}: {}: {}", health.reason, health.message);
        if health.reason == Reason::Overdue.as_str() {
            assert_eq!(why, "a backup that is missing", "{}", health.message);
        }
        if ConditionStatus::True.is_of(health)
            && let Some(last) = &status.last_success
        {
            self.judge_presence(last, store);
        }
        let ready = status.condition(ConditionType::Ready).expect("there should be Ready");
        assert!(ConditionStatus::True.is_of(ready));
    }

    /// Returns the expected status and reason of `BackupHealthy`.
    fn health(
        &self,
        valid: &ValidPolicy,
        seen: &Seen<'_>,
        status: &BackupPolicyStatus,
        store: &Store,
    ) -> (ConditionStatus, &'static str) {
        if valid.suspend {
            return (ConditionStatus::Unknown, "the suspension");
        }
        let newest = self.newest().next();
        let ended: Option<Place> = newest.map(|(job, known)| (known.start, job.clone()));
        if Self::newest_cannot_start(seen, ended.as_ref()) {
            return (ConditionStatus::False, "a pod that cannot start");
        }
        let copy = self.backups.newest();
        if let Some((job, known)) = newest
            && known.result == RunResult::Failed
            && !(known.suspicious && copy.is_some_and(|(_, copy)| copy == job))
        {
            return (ConditionStatus::False, "a run that failed");
        }
        let backup = copy.and_then(|(_, job)| store.present_or_removed_of_job(job));
        if backup.is_some_and(|backup| self.corrupted.contains(&backup.entry.id)) {
            return (ConditionStatus::False, "a backup that is corrupted");
        }
        let cron_job = name::cron_job(&valid.identity.name, Operation::Backup);
        let served = copy.map(|((snapshot, _), job)| name::slot(&cron_job, job).unwrap_or(*snapshot));
        let since = served.into_iter().chain(self.since).max().unwrap_or(valid.created);
        let due = valid.schedule.after(&valid.zone, since).expect("a slot should come");
        let longest = status.history.iter().filter_map(|run| run.duration_seconds).fold(0.0, f64::max);
        let missing = whole((due + grace(longest)).as_millisecond()) <= seen.now;
        let snapshot = backup.map_or(since, |backup| whole(backup.entry.snapshot_time.as_millisecond()));
        let too_old = valid.max_age.is_some_and(|age| snapshot + age <= seen.now);
        if missing || too_old {
            return (ConditionStatus::False, "a backup that is missing");
        }
        match (newest, copy) {
            (Some((_, Known { result: RunResult::Unknown, .. })), _) => {
                (ConditionStatus::Unknown, "a report that is lost")
            }
            (_, None) => (ConditionStatus::Unknown, "there being no backup yet"),
            _ => (ConditionStatus::True, "a backup that is there"),
        }
    }

    fn newest_cannot_start(seen: &Seen<'_>, ended: Option<&Place>) -> bool {
        let place = |run: &ObservedRun| (start(run, run.report.as_ref(), seen.now), run.job.clone());
        let active = seen.observed.operations.backup.runs.iter().filter(|run| is_active(run));
        let Some(run) = active.max_by_key(|run| place(run)) else { return false };
        let patient = |since: Timestamp| since + pgbackup_desired::observed::START_GRACE > seen.now;
        let problem = run.problem.as_ref().filter(|problem| {
            !(problem.reason == Reason::Unschedulable && problem.since.is_some_and(patient))
        });
        problem.is_some() && ended.is_none_or(|ended| *ended < place(run))
    }

    /// Checks that all is healthy after the last trouble and one more slot.
    pub fn judge_the_end(policy: &BackupPolicy, store: &Store) {
        let status = policy.status.as_ref().expect("there should be a status");
        for condition in &status.conditions {
            // A corrupted backup that is kept because there are too few verified ones is found corrupted at
            // each scrub.
            let found =
                status.last_scrub.as_ref().map(|scrub| scrub.corrupted.as_slice()).unwrap_or_default();
            let corrupted = condition.type_ == ConditionType::ScrubHealthy.as_str()
                && condition.reason == Reason::BackupCorrupted.as_str()
                && found.iter().all(|backup| store.is_corrupted(backup));
            let healthy = ConditionStatus::True.is_of(condition) || corrupted;
            assert!(healthy, "{} is {}: {}", condition.type_, condition.status, condition.message);
        }
        let newest = store.newest_verified().expect("there should be a backup");
        let last = status.last_success.as_ref().and_then(|last| last.backup.as_ref());
        assert_eq!(last, Some(&newest.entry.id), "the status shows the newest backup");
    }
}

/// Returns the latest possible time in a run, by all that is known about it.
fn latest(run: &ObservedRun, now: Timestamp) -> Timestamp {
    run.ended.unwrap_or(now) + SignedDuration::from_hours(1)
}

/// Returns the start of a run: as its node reports it, if that is possible.
fn start(run: &ObservedRun, report: Option<&RunReport>, now: Timestamp) -> Timestamp {
    let reported = report.map(|report| report.start_time);
    let reported = reported.filter(|reported| (run.created..=latest(run, now)).contains(reported));
    whole(reported.unwrap_or(run.created).as_millisecond())
}

/// Returns a record with a possible start. If the reported start is impossible, it is the run's slot.
fn dated(mut record: RunRecord, latest: Timestamp) -> Option<RunRecord> {
    let slot = record.job.rsplit_once('-').and_then(|(cron_job, _)| name::slot(cron_job, &record.job));
    if record.start_time > latest {
        record.start_time = slot?;
    }
    record.start_time = slot.map_or(record.start_time, |slot| record.start_time.max(slot));
    Some(record)
}

fn is_active(run: &ObservedRun) -> bool {
    run.state == JobState::Active
}

/// Returns the expected result of a run, from the objects and the report that still exist.
fn result(run: &ObservedRun, report: Option<&RunReport>) -> RunResult {
    let outcome = report.map(|report| report.outcome);
    let past_deadline = run.state == JobState::Failed { reason: "DeadlineExceeded".to_owned() };
    let exit = run.container.as_ref().map(|container| container.exit_code);
    match outcome {
        Some(Outcome::Succeeded) => RunResult::Succeeded,
        _ if run.state == JobState::Succeeded => RunResult::Unknown,
        Some(Outcome::Failed) => RunResult::Failed,
        _ if past_deadline || run.problem.is_some() || exit.is_some_and(|code| code != 0) => {
            RunResult::Failed
        }
        _ => RunResult::Unknown,
    }
}
