//! What must be so, from what happened and from what could be known of it: a second opinion, without the code under test.

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

/// A run and when it started: of two of one second the name decides.
type Place = (Timestamp, String);

/// What an operator can know of a run that ended.
#[derive(Clone, Debug, PartialEq)]
struct Known {
    start: Timestamp,
    result: RunResult,
    suspicious: bool,
}

/// A run that was seen, whether it was at work, and the suspicious backup that it left, with its snapshot.
type SeenRun = (Place, bool, Option<(String, Timestamp)>);

/// The snapshot of a backup, and when its run started: of two of one second the later one decides.
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

/// A look, and what was seen.
pub struct Seen<'a> {
    pub valid: Option<&'a ValidPolicy>,
    pub observed: &'a Observed,
    pub now: Timestamp,
}

/// The schedule as it was at a look.
struct Spec {
    schedule: String,
    zone: String,
    suspend: bool,
    /// The slot that was next.
    next: Option<Timestamp>,
}

/// Everything that could be known so far.
#[derive(Default)]
pub struct Oracle {
    /// The policy, as it was last when it was valid.
    pub valid: Option<Arc<ValidPolicy>>,
    runs: BTreeMap<String, Known>,
    /// The runs whose reports have told of those before them.
    heard: BTreeSet<Place>,
    ranking: Ranking<Timestamp>,
    /// The runs of whose backups was told.
    backups: Ranking<Age>,
    /// The newest run that was seen, whether it was at work, and the suspicious backup that it left.
    newest_seen: Option<SeenRun>,
    /// Sets that a scrub is known to have found corrupted.
    corrupted: BTreeSet<String>,
    spec: Option<Spec>,
    /// Since when the schedule is known to be as it is.
    since: Option<Timestamp>,
    /// The ends of runs that events told.
    told: BTreeSet<(String, &'static str)>,
    slots: BTreeSet<(Operation, i64)>,
    newest_slots: BTreeMap<Operation, i64>,
    tokens: BTreeSet<String>,
}

impl Oracle {
    /// The controller starts a slot.
    pub fn start_slot(&mut self, operation: Operation, slot: i64) {
        assert!(self.slots.insert((operation, slot)), "slot {} is taken once", at(slot));
        let before = self.newest_slots.insert(operation, slot);
        assert!(before.is_none_or(|before| before < slot), "slots come in their order");
    }

    /// A Job of a token is made.
    pub fn start_request(&mut self, token: &str) {
        assert!(self.tokens.insert(token.to_owned()), "{token} starts one Job");
    }

    /// Takes in what is seen at a look.
    pub fn learn(&mut self, valid: Option<&ValidPolicy>, observed: &Observed, now: Timestamp) {
        self.learn_schedule(valid, now);
        let vanished = self.newest_seen.take_if(|(place, at_work, _)| {
            *at_work && observed.operations.backup.runs.iter().all(|run| run.job != place.1)
        });
        let mut records: Vec<RunRecord> = Vec::new();
        for run in &observed.operations.backup.runs {
            let told = self.learn_run(run, now).into_iter().flat_map(|report| report.recent);
            records.extend(told.filter_map(|record| dated(record, latest(run, now))));
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
            && valid.acknowledged.contains(backup)
        {
            self.backups.insert(job, (*snapshot, *start));
        }
        let scrubs = observed.operations.scrub.runs.iter();
        let scrubs = scrubs.filter_map(|run| run.report.as_ref()?.details.as_scrub());
        self.corrupted.extend(scrubs.flat_map(|scrub| scrub.corrupted.iter().cloned()));
    }

    fn learn_schedule(&mut self, valid: Option<&ValidPolicy>, now: Timestamp) {
        let Some(valid) = valid else {
            // Nothing is announced while a policy cannot work; its schedule goes on.
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
                // An edit that leaves the next slot where it is changes nothing.
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

    /// Takes in a run that is seen; gives its report if that is the last word of a pod.
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
        // What was told once may have been forgotten by now.
        self.heard.insert(place).then(|| report.clone())
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
        let told = Known { start, result, suspicious: record.reason == Reason::Suspicious };
        if is_news {
            self.know(&record.job, told);
        }
    }

    /// The backup of a run of which a record tells, if it is among those that can be remembered.
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

    /// The newest runs that ended, newest first.
    fn newest(&self) -> impl Iterator<Item = (&String, &Known)> {
        self.ranking.places.iter().rev().take(HISTORY_LIMIT).map(|(_, job)| (job, &self.runs[job]))
    }

    /// Checks what is told of a change; says how much of it is of runs that ended.
    pub fn hear(
        &mut self,
        before: Option<&BackupPolicyStatus>,
        after: &BackupPolicyStatus,
        events: &[EventDraft],
    ) -> usize {
        let known = |status: &BackupPolicyStatus, job: &str, result: RunResult| {
            status.history.iter().any(|run| run.job == job && run.result == result)
        };
        // What a first look finds is history, not news.
        let Some(before) = before.filter(|status| !status.conditions.is_empty()) else { return 0 };
        let mut count = 0;
        for run in &after.history {
            let told = events.iter().filter(|event| {
                event.action == "Backup"
                    && event.job.as_ref() == Some(&run.job)
                    && event.reason == run.reason.as_str()
                    && event.note.starts_with(&format!("{}: ", run.job))
            });
            let told = told.count();
            let first = !known(before, &run.job, run.result);
            assert_eq!(
                told,
                usize::from(first),
                "{} ended as {}, told once: {events:?}",
                run.job,
                run.reason
            );
            if first {
                let news = self.told.insert((run.job.clone(), run.result.as_str()));
                assert!(news, "how {} ended was told before: {events:?}", run.job);
                count += 1;
            }
        }
        count
    }

    /// Holds a status against what is known.
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

    /// What is said of backups is so, or was when somebody could look last.
    fn judge_claims(&self, seen: &Seen<'_>, status: &BackupPolicyStatus, store: &Store) {
        let newest = self.backups.newest();
        let last = status.last_success.as_ref();
        assert_eq!(
            last.map(|last| &last.job),
            newest.map(|(_, job)| job),
            "lastSuccess is the newest backup that was told of, of {newest:?}"
        );
        if let Some(last) = last {
            Self::judge_backup(seen, last, store);
        }
        if let Some(retained) = &status.retained {
            let as_of = retained.as_of.as_ref().expect("a look should have a time").0;
            let found = store.looks_of(as_of).any(|found| {
                (retained.backups, retained.verified, retained.suspicious, retained.size_bytes)
                    == (found.backups, found.verified, found.suspicious, found.bytes)
            });
            assert!(found, "a run found what is retained: {retained:?}");
        }
    }

    fn judge_backup(seen: &Seen<'_>, last: &BackupStatus, store: &Store) {
        let backup = store.ever_of_job(&last.job).expect("a backup that is claimed should have been made");
        let entry = &backup.entry;
        if let Some(id) = &last.backup {
            assert_eq!(*id, entry.id, "a backup has its own name");
        }
        let snapshot = last.snapshot_time.as_ref().map(|time| time.0);
        assert_eq!(snapshot, Some(whole(entry.snapshot_time.as_millisecond())), "a backup has its own time");
        assert_eq!(last.size_bytes, Some(entry.size_bytes), "a backup has its own size");
        let settled = seen.valid.is_none_or(|valid| valid.acknowledged.contains(&entry.id))
            || last.verification == Some(Verification::Acknowledged);
        assert!(backup.counted || settled, "a backup was verified when it was claimed");
    }

    /// Whether a backup that is claimed is in the store, or nobody could have told that it is not.
    fn judge_presence(&self, last: &BackupStatus, store: &Store) {
        let newest = store.newest_verified();
        let backup = store.ever_of_job(&last.job).expect("a backup that is claimed should have been made");
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
        // Only a run of which nothing could be told has removed it, and only for a newer one.
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

    /// What `BackupHealthy` has to be, and why.
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
        let backup = copy.and_then(|(_, job)| store.ever_of_job(job));
        if backup.is_some_and(|backup| self.corrupted.contains(&backup.entry.id)) {
            return (ConditionStatus::False, "a backup that is corrupted");
        }
        let cron_job = Operation::Backup.cron_job(&valid.identity.name);
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

    /// After the last trouble and one more slot all is well.
    pub fn judge_the_end(policy: &BackupPolicy, store: &Store) {
        let status = policy.status.as_ref().expect("there should be a status");
        for condition in &status.conditions {
            // A corrupted backup that stays for lack of better ones is found corrupted at each scrub.
            let found =
                status.last_scrub.as_ref().map(|scrub| scrub.corrupted.as_slice()).unwrap_or_default();
            let corrupted = condition.type_ == ConditionType::ScrubHealthy.as_str()
                && condition.reason == Reason::BackupCorrupted.as_str()
                && found.iter().all(|backup| store.is_rotten(backup));
            let healthy = ConditionStatus::True.is_of(condition) || corrupted;
            assert!(healthy, "{} is {}: {}", condition.type_, condition.status, condition.message);
        }
        let newest = store.newest_verified().expect("there should be a backup");
        let last = status.last_success.as_ref().and_then(|last| last.backup.as_ref());
        assert_eq!(last, Some(&newest.entry.id), "the newest backup is the one that is told of");
    }
}

/// No time is later than this, by all that is known of a run.
fn latest(run: &ObservedRun, now: Timestamp) -> Timestamp {
    run.ended.unwrap_or(now) + SignedDuration::from_hours(1)
}

/// When a run started: as its node says, unless that cannot be.
fn start(run: &ObservedRun, report: Option<&RunReport>, now: Timestamp) -> Timestamp {
    let told = report.map(|report| report.start_time);
    let told = told.filter(|told| (run.created..=latest(run, now)).contains(told));
    whole(told.unwrap_or(run.created).as_millisecond())
}

/// A record that is told, with a start that can be: if only its slot is known, that.
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

/// How a run ended, from all that is left of it.
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
