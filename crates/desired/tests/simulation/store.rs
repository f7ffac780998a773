//! Simulates the store of one policy: its backups, which the real retention rules prune, and the records of
//! its runs.

use std::collections::{BTreeMap, BTreeSet};

use domain::{
    catalog::{BackupState, Catalog, CatalogBackup},
    message::Message,
    reason::Reason,
    report::{PruneOutcome, RECENT_RUNS, Retained, RunRecord},
    retention::{self, Rules},
    scrub::{Queue, Scrubbable},
    suspicion::{Key, SuspicionKind},
};
use jiff::tz::TimeZone;

use super::{
    cluster::Job,
    time::{at, whole},
};

/// A stored backup, with facts that only the simulation knows.
#[derive(Clone, Debug)]
pub struct StoredBackup {
    pub entry: CatalogBackup,
    pub job: String,
    pub job_uid: String,
    pub made: i64,
    pub checked: i64,
    /// Whether the stored bytes have changed. A scrub may not have found the change yet.
    pub corrupted: bool,
    /// Whether it was a verified backup at any time.
    pub counted: bool,
}

/// The inputs of a `prune`.
pub struct Order<'a> {
    pub rules: &'a Rules,
    pub zone: &'a TimeZone,
    pub acknowledged: &'a [String],
    pub just_made: &'a str,
}

#[derive(Default)]
pub struct Store {
    pub backups: Vec<StoredBackup>,
    /// The removed backups, by the Job that stored them.
    pub removed: BTreeMap<String, StoredBackup>,
    /// The records, the one written last at the end. The record of a run that did not end has no content.
    records: Vec<(String, Option<RunRecord>)>,
    /// The figures that each attempt found in the store, by its start and its name.
    pub listings: BTreeMap<(jiff::Timestamp, String), Retained>,
}

impl Store {
    fn catalog(&self, acknowledged: &[String], now: i64) -> Catalog {
        let mut backups: Vec<CatalogBackup> =
            self.backups.iter().map(|backup| backup.entry.clone()).collect();
        for backup in &mut backups {
            if backup.state == BackupState::Suspicious && acknowledged.contains(&backup.id) {
                backup.state = BackupState::Verified;
            }
        }
        Catalog::new("owner", backups).seen_at(at(now))
    }

    /// Accepts suspicious backups: those that a person acknowledged, and several consecutive ones that differ
    /// alike.
    pub fn settle(&mut self, acknowledged: &[String], now: i64) {
        if self.backups.iter().all(|backup| backup.entry.state != BackupState::Suspicious) {
            return;
        }
        let catalog = self.catalog(acknowledged, now);
        for backup in &mut self.backups {
            let settled =
                acknowledged.contains(&backup.entry.id) || catalog.accepted().contains(&backup.entry.id);
            if backup.entry.state == BackupState::Suspicious && settled {
                backup.entry.state = BackupState::Verified;
                backup.counted = true;
            }
        }
    }

    /// Returns whether backups with less data count as normal, because one made after `since` is verified.
    pub fn is_used_to_less(&self, since: i64) -> bool {
        self.backups.iter().any(|backup| backup.made >= since && backup.entry.state == BackupState::Verified)
    }

    /// Adds a new backup. Returns whether it is verified (not suspicious).
    pub fn add(&mut self, mut backup: StoredBackup, less: bool, acknowledged: &[String]) -> bool {
        let now = backup.made;
        if !less {
            self.backups.push(backup);
            return true;
        }
        let key: Key = (SuspicionKind::Shrunk, Some("shop".to_owned()));
        backup.entry.suspicions.insert(key);
        backup.entry.state = BackupState::Suspicious;
        let id = backup.entry.id.clone();
        self.backups.push(backup);
        let catalog = self.catalog(acknowledged, now);
        let state = catalog.backups().iter().find(|backup| backup.id == id).map(|backup| backup.state);
        state == Some(BackupState::Verified)
    }

    /// Returns the backup of a Job, if it stored one that is not corrupted.
    pub fn of_job(&self, uid: &str) -> Option<&StoredBackup> {
        self.backups.iter().rfind(|backup| backup.job_uid == uid && backup.entry.state != BackupState::Failed)
    }

    pub fn newest_verified(&self) -> Option<&StoredBackup> {
        let verified = self.backups.iter().filter(|backup| backup.entry.state == BackupState::Verified);
        verified.max_by_key(|backup| (backup.entry.snapshot_time, &backup.entry.id))
    }

    /// Returns the number of verified backups of each database.
    fn holding(&self) -> BTreeMap<String, u32> {
        let mut holding = BTreeMap::new();
        for backup in self.backups.iter().filter(|backup| backup.entry.state == BackupState::Verified) {
            for database in &backup.entry.databases {
                *holding.entry(database.clone()).or_default() += 1;
            }
        }
        holding
    }

    /// Removes the backups that no rule keeps, and checks that the minimum is kept.
    pub fn prune(&mut self, order: &Order<'_>, now: i64) -> PruneOutcome {
        self.settle(order.acknowledged, now);
        let catalog = self.catalog(order.acknowledged, now);
        let plan = retention::plan(&catalog, order.rules, order.zone, Some(order.just_made));
        let newest = self.newest_verified().map(|backup| backup.entry.id.clone());
        let before = self.holding();
        for deleted in &plan.delete {
            let place = self.backups.iter().position(|backup| backup.entry.id == deleted.id);
            let backup = self.backups.remove(place.expect("a plan should only name what is there"));
            self.removed.insert(backup.job.clone(), backup);
        }
        assert_eq!(
            self.newest_verified().map(|backup| backup.entry.id.clone()),
            newest,
            "the newest verified backup is never removed: {plan:?}"
        );
        let after = self.holding();
        for (database, had) in before {
            let floor = had.min(order.rules.minimum_verified.max(1));
            let has = after.get(&database).copied().unwrap_or_default();
            assert!(has >= floor, "{database} has {has} verified backups of {had}, not {floor}: {plan:?}");
        }
        let reason = if order.rules.is_empty() { Reason::NoRules } else { Reason::Pruned };
        let removed = u32::try_from(plan.delete.len()).expect("a plan should be short");
        PruneOutcome { reason, message: Message::default(), kept: plan.counts(), removed, leftovers: 0 }
    }

    /// Adds the figures that a run finds at its end. They are filed under the start that its node reports,
    /// and under the Job's creation in case that start is impossible.
    pub fn list(&mut self, job: &Job, start: i64, acknowledged: &[String], now: i64) -> Retained {
        let retained = self.catalog(acknowledged, now).retained();
        let skew = job.pods.last().map_or(0, |pod| pod.skew);
        for moment in [job.created, start + skew] {
            let this_attempt = format!("{} {}", job.name, job.pods.len());
            self.listings.insert((whole(moment), this_attempt), retained.clone());
        }
        retained
    }

    /// Returns the counts of backups in the reports of runs that started at `start`.
    pub fn listings_since(&self, start: jiff::Timestamp) -> impl Iterator<Item = &Retained> {
        let from = self.listings.range((start, String::new())..);
        from.take_while(move |((second, _), _)| *second == start).map(|(_, found)| found)
    }

    pub fn write_record(&mut self, job: &str, record: Option<RunRecord>) {
        self.records.retain(|(known, _)| known != job);
        self.records.push((job.to_owned(), record));
        // Older records are never read.
        self.records.drain(..self.records.len().saturating_sub(2 * RECENT_RUNS));
    }

    /// Returns the newest records except that of `job`, as a report contains them.
    pub fn recent(&self, job: &str) -> Vec<RunRecord> {
        let newest = self.records.iter().rev().take(RECENT_RUNS + 1);
        newest
            .filter_map(|(_, record)| record.clone())
            .filter(|record| record.job != job)
            .take(RECENT_RUNS)
            .collect()
    }

    /// Returns the backups that a scrub reads.
    pub fn choose(&self, share: u8) -> Vec<String> {
        let scrubbable = self.backups.iter().map(|backup| Scrubbable {
            id: backup.entry.id.clone(),
            size_bytes: backup.entry.size_bytes,
            checked: at(backup.checked),
        });
        let mut queue = Queue::new(scrubbable.collect(), share);
        let mut chosen = Vec::new();
        while let Some(next) = queue.take() {
            queue.count(&next);
            chosen.push(next.id);
        }
        chosen
    }

    /// Checks a backup and stores the result. Returns whether the backup is corrupted.
    pub fn check(&mut self, id: &str, now: i64) -> bool {
        let Some(backup) = self.backups.iter_mut().find(|backup| backup.entry.id == id) else { return false };
        backup.checked = now;
        if backup.corrupted {
            backup.entry.state = BackupState::Failed;
        }
        backup.corrupted
    }

    /// Returns the backup that a Job stored, even if it was removed.
    pub fn present_or_removed_of_job(&self, job: &str) -> Option<&StoredBackup> {
        self.backups.iter().find(|backup| backup.job == job).or_else(|| self.removed.get(job))
    }

    /// Returns whether the bytes of a backup have changed, even if it was removed.
    pub fn is_corrupted(&self, id: &str) -> bool {
        self.backups
            .iter()
            .chain(self.removed.values())
            .any(|backup| backup.entry.id == id && backup.corrupted)
    }

    pub fn has(&self, id: &str) -> bool {
        self.backups.iter().any(|backup| backup.entry.id == id)
    }

    /// Chooses the databases of a backup: `shop` always, and others at random.
    pub fn databases(random: &mut super::random::Random) -> BTreeSet<String> {
        let extra = ["app", "billing", "crm"].into_iter().filter(|_| random.percent(60));
        extra.chain(["shop"]).map(str::to_owned).collect()
    }
}
