//! A store of one policy: its sets, pruned by the real rules, and the records of its runs.

use std::collections::{BTreeMap, BTreeSet};

use domain::{
    catalog::{Catalog, CatalogSet, SetState},
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

/// A set with what only the world knows of it.
#[derive(Clone, Debug)]
pub struct StoredSet {
    pub entry: CatalogSet,
    pub job: String,
    pub job_uid: String,
    pub made: i64,
    pub checked: i64,
    /// Its bytes are not those that were written; nobody may have noticed.
    pub rotten: bool,
    /// It counted as a copy once.
    pub counted: bool,
}

/// What a run of `prune` is told.
pub struct Order<'a> {
    pub rules: &'a Rules,
    pub zone: &'a TimeZone,
    pub acknowledged: &'a [String],
    pub just_made: &'a str,
}

#[derive(Default)]
pub struct Store {
    pub sets: Vec<StoredSet>,
    /// Sets that were removed, by the Job that made them.
    pub removed: BTreeMap<String, StoredSet>,
    /// The records, the one written last at the end. One of a run that did not end tells nothing.
    records: Vec<(String, Option<RunRecord>)>,
    /// What each try that looked found, by its start and its name.
    pub looks: BTreeMap<(jiff::Timestamp, String), Retained>,
}

impl Store {
    fn catalog(&self, acknowledged: &[String], now: i64) -> Catalog {
        let mut sets: Vec<CatalogSet> = self.sets.iter().map(|set| set.entry.clone()).collect();
        for set in &mut sets {
            if set.state == SetState::Suspicious && acknowledged.contains(&set.id) {
                set.state = SetState::Verified;
            }
        }
        Catalog::new("owner", sets).seen_at(at(now))
    }

    /// Writes down what a person or a row of copies has settled.
    pub fn settle(&mut self, acknowledged: &[String], now: i64) {
        if self.sets.iter().all(|set| set.entry.state != SetState::Suspicious) {
            return;
        }
        let catalog = self.catalog(acknowledged, now);
        for set in &mut self.sets {
            let settled = acknowledged.contains(&set.entry.id) || catalog.settled().contains(&set.entry.id);
            if set.entry.state == SetState::Suspicious && settled {
                set.entry.state = SetState::Verified;
                set.counted = true;
            }
        }
    }

    /// Whether copies that hold little are how things are by now.
    pub fn is_used_to_less(&self, since: i64) -> bool {
        self.sets.iter().any(|set| set.made >= since && set.entry.state == SetState::Verified)
    }

    /// Takes a new set, suspicious or not; says whether it counts.
    pub fn add(&mut self, mut set: StoredSet, less: bool, acknowledged: &[String]) -> bool {
        let now = set.made;
        if !less {
            self.sets.push(set);
            return true;
        }
        let key: Key = (SuspicionKind::Shrunk, Some("shop".to_owned()));
        set.entry.suspicions.insert(key);
        set.entry.state = SetState::Suspicious;
        let id = set.entry.id.clone();
        self.sets.push(set);
        let catalog = self.catalog(acknowledged, now);
        let state = catalog.sets().iter().find(|set| set.id == id).map(|set| set.state);
        state == Some(SetState::Verified)
    }

    /// The set of a Job, if it left one that is not damaged.
    pub fn of_job(&self, uid: &str) -> Option<&StoredSet> {
        self.sets.iter().rfind(|set| set.job_uid == uid && set.entry.state != SetState::Failed)
    }

    pub fn newest_verified(&self) -> Option<&StoredSet> {
        let verified = self.sets.iter().filter(|set| set.entry.state == SetState::Verified);
        verified.max_by_key(|set| (set.entry.snapshot_time, &set.entry.id))
    }

    /// How many verified sets hold each database.
    fn holding(&self) -> BTreeMap<String, u32> {
        let mut holding = BTreeMap::new();
        for set in self.sets.iter().filter(|set| set.entry.state == SetState::Verified) {
            for database in &set.entry.databases {
                *holding.entry(database.clone()).or_default() += 1;
            }
        }
        holding
    }

    /// Removes what the rules do not keep, and holds the floors against what is left.
    pub fn prune(&mut self, order: &Order<'_>, now: i64) -> PruneOutcome {
        self.settle(order.acknowledged, now);
        let catalog = self.catalog(order.acknowledged, now);
        let plan = retention::plan(&catalog, order.rules, order.zone, Some(order.just_made));
        let newest = self.newest_verified().map(|set| set.entry.id.clone());
        let before = self.holding();
        for deleted in &plan.delete {
            let place = self.sets.iter().position(|set| set.entry.id == deleted.id);
            let set = self.sets.remove(place.expect("a plan should only name what is there"));
            self.removed.insert(set.job.clone(), set);
        }
        assert_eq!(
            self.newest_verified().map(|set| set.entry.id.clone()),
            newest,
            "the newest verified copy is never removed: {plan:?}"
        );
        let after = self.holding();
        for (database, had) in before {
            let floor = had.min(order.rules.minimum_verified.max(1));
            let has = after.get(&database).copied().unwrap_or_default();
            assert!(has >= floor, "{database} has {has} verified copies of {had}, not {floor}: {plan:?}");
        }
        let reason = if order.rules.is_empty() { Reason::NoRules } else { Reason::Pruned };
        let removed = u32::try_from(plan.delete.len()).expect("a plan should be short");
        PruneOutcome { reason, message: String::new(), kept: plan.counts(), removed, leftovers: 0 }
    }

    /// What a run finds at its end. Its start is what its node says, or the Job's if that cannot be.
    pub fn look(&mut self, job: &Job, start: i64, acknowledged: &[String], now: i64) -> Retained {
        let retained = self.catalog(acknowledged, now).retained();
        let skew = job.pods.last().map_or(0, |pod| pod.skew);
        for moment in [job.created, start + skew] {
            let this_try = format!("{} {}", job.name, job.pods.len());
            self.looks.insert((whole(moment), this_try), retained.clone());
        }
        retained
    }

    /// What the runs found that started in this second.
    pub fn looks_of(&self, start: jiff::Timestamp) -> impl Iterator<Item = &Retained> {
        let from = self.looks.range((start, String::new())..);
        from.take_while(move |((second, _), _)| *second == start).map(|(_, found)| found)
    }

    pub fn write_record(&mut self, job: &str, record: Option<RunRecord>) {
        self.records.retain(|(known, _)| known != job);
        self.records.push((job.to_owned(), record));
        // Older ones are never asked for.
        self.records.drain(..self.records.len().saturating_sub(2 * RECENT_RUNS));
    }

    /// The newest records but that of `job`, as a report has them.
    pub fn recent(&self, job: &str) -> Vec<RunRecord> {
        let newest = self.records.iter().rev().take(RECENT_RUNS + 1);
        newest
            .filter_map(|(_, record)| record.clone())
            .filter(|record| record.id != job)
            .take(RECENT_RUNS)
            .collect()
    }

    /// Which sets a scrub reads.
    pub fn choose(&self, share: u8) -> Vec<String> {
        let scrubbable = self.sets.iter().map(|set| Scrubbable {
            id: set.entry.id.clone(),
            size_bytes: set.entry.size_bytes,
            checked: at(set.checked),
        });
        let mut queue = Queue::new(scrubbable.collect(), share);
        let mut chosen = Vec::new();
        while let Some(next) = queue.take() {
            queue.count(&next);
            chosen.push(next.id);
        }
        chosen
    }

    /// Reads a set again and writes down how it is; says whether it is damaged.
    pub fn check(&mut self, id: &str, now: i64) -> bool {
        let Some(set) = self.sets.iter_mut().find(|set| set.entry.id == id) else { return false };
        set.checked = now;
        if set.rotten {
            set.entry.state = SetState::Failed;
        }
        set.rotten
    }

    /// The set that a Job left, if it is there or was.
    pub fn ever_of_job(&self, job: &str) -> Option<&StoredSet> {
        self.sets.iter().find(|set| set.job == job).or_else(|| self.removed.get(job))
    }

    /// Whether a set that is there or was is not what was written.
    pub fn is_rotten(&self, id: &str) -> bool {
        self.sets.iter().chain(self.removed.values()).any(|set| set.entry.id == id && set.rotten)
    }

    pub fn has(&self, id: &str) -> bool {
        self.sets.iter().any(|set| set.entry.id == id)
    }

    /// A name that nothing has.
    pub fn databases(random: &mut super::random::Random) -> BTreeSet<String> {
        let extra = ["app", "billing", "crm"].into_iter().filter(|_| random.percent(60));
        extra.chain(["shop"]).map(str::to_owned).collect()
    }
}
