//! What a store holds of one policy, as its manifests tell it: the input of retention and of reports.
//!
//! What has no manifest is not a backup and never comes here.

use std::{cmp::Reverse, collections::BTreeSet};

use jiff::{SignedDuration, Timestamp};

use crate::{
    manifest::{Check, CheckResult, Manifest},
    report::Retained,
    suspicion::{self, Suspicion, SuspicionKind},
};

/// How far the clocks of a server, of a node and of the control plane may differ before one of them is called wrong.
pub const SKEW: SignedDuration = SignedDuration::from_hours(1);

/// One backup set of a store.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct CatalogBackup {
    /// Its name: its folder, unlike that of any other set.
    pub id: String,
    /// The policy that its manifest names.
    pub policy_uid: String,
    /// Its recovery point, by which it is ordered and put into buckets.
    pub snapshot_time: Timestamp,
    /// What its newest check gave.
    pub state: BackupState,
    /// The databases that it holds.
    pub databases: BTreeSet<String>,
    /// Its stored bytes.
    pub size_bytes: u64,
    /// What of it is not as it was before.
    pub suspicions: BTreeSet<suspicion::Key>,
}

/// What a backup's newest check gave.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum BackupState {
    /// It is whole.
    Verified,
    /// It is whole, and not like those before it: it waits, and counts for nothing, until that is settled.
    Suspicious,
    /// It is not; retention does not count on it.
    Failed,
}

impl CatalogBackup {
    /// The set of a manifest and of the checks made after it, in any order. The newest check decides; of two at
    /// the same moment, the one that failed. `acknowledged`: a person has settled what is suspicious of it.
    pub fn new(manifest: &Manifest, later: &[Check], acknowledged: bool) -> Self {
        let newest = later
            .iter()
            .chain([&manifest.check])
            .max_by_key(|check| (check.time, check.result == CheckResult::Failed));
        let state = match newest.map(|check| check.result) {
            Some(CheckResult::Verified) if manifest.suspicions.is_empty() || acknowledged => {
                BackupState::Verified
            }
            Some(CheckResult::Verified) => BackupState::Suspicious,
            Some(CheckResult::Failed) | None => BackupState::Failed,
        };
        Self {
            id: manifest.id.clone(),
            policy_uid: manifest.policy.uid.clone(),
            snapshot_time: manifest.snapshot_time,
            state,
            databases: manifest.databases().map(str::to_owned).collect(),
            size_bytes: manifest.size_bytes(),
            suspicions: manifest.suspicions.iter().map(Suspicion::key).collect(),
        }
    }
}

impl CatalogBackup {
    /// Settles a backup whose only fault is that it lacks databases which the policy no longer wants.
    pub fn miss_only(&mut self, wanted: impl Fn(&str) -> bool) {
        let is_missed = |(kind, database): &suspicion::Key| {
            *kind != SuspicionKind::DatabaseMissing || database.as_deref().is_none_or(&wanted)
        };
        if self.state == BackupState::Suspicious
            && !self.suspicions.is_empty()
            && !self.suspicions.iter().any(is_missed)
        {
            self.state = BackupState::Verified;
        }
    }
}

/// The backups of one policy's folder, newest first.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Catalog {
    owners: BTreeSet<String>,
    backups: Vec<CatalogBackup>,
    unreadable: Vec<String>,
    settled: Vec<String>,
    now: Option<Timestamp>,
}

impl Catalog {
    /// The catalog of the policy with the UID `owner`. The order of `backups` does not matter: they are ordered by
    /// snapshot, then by name, and names are unique.
    pub fn new(owner: impl Into<String>, backups: Vec<CatalogBackup>) -> Self {
        Self::with_unreadable(owner, backups, Vec::new())
    }

    /// The same, where beside these backups there are some that cannot be read, of these names.
    pub fn with_unreadable(
        owner: impl Into<String>,
        mut backups: Vec<CatalogBackup>,
        unreadable: Vec<String>,
    ) -> Self {
        backups.sort_by(|a, b| Reverse((a.snapshot_time, &a.id)).cmp(&Reverse((b.snapshot_time, &b.id))));
        let owners = [owner.into()].into();
        let mut catalog = Self { owners, backups, unreadable, settled: Vec::new(), now: None };
        catalog.settle();
        catalog
    }

    /// What the newest [`suspicion::ALIKE`] backups and more say alike is how things are: they are verified. Only the newest:
    /// further back, verified backups that once stood between suspicious ones may have been removed, or be those that cannot be
    /// read.
    fn settle(&mut self) {
        let owners = &self.owners;
        // A set's name begins with the time of its snapshot.
        let unreadable = self.unreadable.iter().max();
        let can_tell = |backup: &CatalogBackup| {
            let begins = backup.snapshot_time.strftime("%Y%m%dT%H%M%SZ").to_string();
            unreadable.is_none_or(|id| *id < begins)
        };
        let mut own: Vec<&mut CatalogBackup> = self
            .backups
            .iter_mut()
            .filter(|backup| owners.contains(&backup.policy_uid) && backup.state != BackupState::Failed)
            .filter(|backup| can_tell(backup))
            .collect();
        let alike = |a: &&mut CatalogBackup, b: &&mut CatalogBackup| {
            a.state == BackupState::Suspicious
                && b.state == BackupState::Suspicious
                && a.suspicions == b.suspicions
        };
        if let Some(row) = own.chunk_by_mut(alike).next() {
            let settles = row[0].suspicions.iter().all(|(kind, _)| kind.settles_by_itself());
            if settles && row.len() >= suspicion::ALIKE {
                for backup in row {
                    backup.state = BackupState::Verified;
                    self.settled.push(backup.id.clone());
                }
            }
        }
    }

    /// The same, seen at this moment: a snapshot that is later than that, and some more, was dated by a wrong clock.
    #[must_use]
    pub fn seen_at(mut self, now: Timestamp) -> Self {
        self.now = Some(now);
        self
    }

    /// From when windows of time are counted back: the newest verified snapshot. One from the future would leave nothing in
    /// any window.
    pub fn newest_snapshot(&self) -> Option<Timestamp> {
        let latest =
            self.now.map_or(Timestamp::MAX, |now| now.saturating_add(SKEW).unwrap_or(Timestamp::MAX));
        let mut times = self.verified().map(|backup| backup.snapshot_time).peekable();
        times.peek()?;
        times.find(|time| *time <= latest).or(Some(latest))
    }

    /// The same, with the backups of the policies of these UIDs: the policy has taken their folder over.
    #[must_use]
    pub fn adopting(mut self, owners: impl IntoIterator<Item = String>) -> Self {
        self.owners.extend(owners);
        self.settle();
        self
    }

    /// The suspicious backups that are verified because so many in a row say the same. When some of them have gone the
    /// others no longer tell, so it must be written down.
    pub fn settled(&self) -> &[String] {
        &self.settled
    }

    /// All backups, newest first, those of other policies too.
    pub fn backups(&self) -> &[CatalogBackup] {
        &self.backups
    }

    /// Whether the backup belongs to the policy. What does not is never counted and never deleted.
    pub fn owns(&self, backup: &CatalogBackup) -> bool {
        self.owners.contains(&backup.policy_uid)
    }

    /// The policy's backups, newest first.
    pub fn own(&self) -> impl DoubleEndedIterator<Item = &CatalogBackup> {
        self.backups.iter().filter(|backup| self.owns(backup))
    }

    /// The policy's backups whose newest check passed, newest first.
    pub fn verified(&self) -> impl DoubleEndedIterator<Item = &CatalogBackup> {
        self.own().filter(|backup| backup.state == BackupState::Verified)
    }

    /// The policy's backups in figures, for reports.
    pub fn retained(&self) -> Retained {
        let count = |backups: usize| u32::try_from(backups).unwrap_or(u32::MAX);
        Retained {
            backups: count(self.own().count()),
            verified: count(self.verified().count()),
            suspicious: count(self.own().filter(|backup| backup.state == BackupState::Suspicious).count()),
            bytes: self.own().map(|backup| backup.size_bytes).fold(0, u64::saturating_add),
            oldest: self.own().next_back().map(|backup| backup.snapshot_time),
            newest: self.own().next().map(|backup| backup.snapshot_time),
        }
    }
}

#[cfg(test)]
mod tests;
