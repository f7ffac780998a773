//! The catalog of one repository: its backups with their states, built from manifests and later checks.
//! Retention and reports read it.
//!
//! A folder without a manifest is not a backup, so the catalog does not contain it.

use std::{cmp::Reverse, collections::BTreeSet};

use jiff::{SignedDuration, Timestamp};

use crate::{
    manifest::{Check, CheckResult, Manifest},
    report::Retained,
    suspicion::{self, Suspicion, SuspicionKind},
};

/// The largest difference between the clocks of a server, a node and the control plane that counts as normal.
/// Beyond it, one of the clocks is treated as wrong.
pub const SKEW: SignedDuration = SignedDuration::from_hours(1);

/// One backup of a repository, as retention and reports see it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct CatalogBackup {
    /// The backup's name, unique in the repository: the name of its folder.
    pub id: String,
    /// The UID of the policy that stored the backup, from the manifest.
    pub policy_uid: String,
    /// The backup's recovery point. Retention sorts backups by it and assigns them to buckets by it.
    pub snapshot_time: Timestamp,
    /// The state after the newest check.
    pub state: BackupState,
    /// The names of the databases in the backup.
    pub databases: BTreeSet<String>,
    /// The size of all files in the store, in bytes.
    pub size_bytes: u64,
    /// The kinds of differences from earlier verified backups; empty unless the manifest has suspicions.
    pub suspicions: BTreeSet<suspicion::Key>,
}

/// The state of a backup after its newest check.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum BackupState {
    /// The backup passed its newest check.
    Verified,
    /// The backup passed its newest check but is suspicious. Retention does not count it until a person
    /// acknowledges it, or until several backups in a row have the same suspicions.
    Suspicious,
    /// The backup failed its newest check. Retention does not count it.
    Failed,
}

impl CatalogBackup {
    /// Builds the entry of a backup from its manifest and the checks made after it, in any order. The newest
    /// check decides the state; of two checks at the same time, the failed one decides. `acknowledged` is
    /// true if the backup's suspicions were accepted, by a person or automatically.
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
    /// Changes a suspicious backup to verified if its only suspicions are missing databases that the policy
    /// no longer selects. `wanted` returns whether the policy selects a database.
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

/// The backups of one repository, sorted by snapshot time, newest first.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Catalog {
    owners: BTreeSet<String>,
    backups: Vec<CatalogBackup>,
    unreadable: Vec<String>,
    accepted: Vec<String>,
    now: Option<Timestamp>,
}

impl Catalog {
    /// Creates the catalog of the policy with the UID `owner`. The backups may be in any order.
    pub fn new(owner: impl Into<String>, backups: Vec<CatalogBackup>) -> Self {
        Self::with_unreadable(owner, backups, Vec::new())
    }

    /// Creates a catalog like [`Catalog::new`]. `unreadable` has the names of backups whose manifests cannot
    /// be read.
    pub fn with_unreadable(
        owner: impl Into<String>,
        mut backups: Vec<CatalogBackup>,
        unreadable: Vec<String>,
    ) -> Self {
        backups.sort_by(|a, b| Reverse((a.snapshot_time, &a.id)).cmp(&Reverse((b.snapshot_time, &b.id))));
        let owners = [owner.into()].into();
        let mut catalog = Self { owners, backups, unreadable, accepted: Vec::new(), now: None };
        catalog.accept();
        catalog
    }

    /// Accepts the newest suspicious backups (changes them to verified) if at least [`suspicion::ALIKE`]
    /// consecutive backups have the same suspicions. Only the row that starts at the newest backup counts: in
    /// an older row, a verified backup may have been removed or be unreadable.
    fn accept(&mut self) {
        let owners = &self.owners;
        // A backup's name begins with the time of its snapshot.
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
            let accepts = row[0].suspicions.iter().all(|(kind, _)| kind.is_accepted_in_a_row());
            if accepts && row.len() >= suspicion::ALIKE {
                for backup in row {
                    backup.state = BackupState::Verified;
                    self.accepted.push(backup.id.clone());
                }
            }
        }
    }

    /// Sets the current time. A snapshot later than `now` plus [`SKEW`] was taken by a server whose clock is
    /// wrong.
    #[must_use]
    pub fn seen_at(mut self, now: Timestamp) -> Self {
        self.now = Some(now);
        self
    }

    /// Returns the time from which `keepWithin` counts back: the newest verified snapshot that is not in the
    /// future, or `now` plus [`SKEW`] if all are in the future. Counting from a snapshot in the future would
    /// expire every correct backup. `None` without verified backups.
    pub fn newest_snapshot(&self) -> Option<Timestamp> {
        let latest =
            self.now.map_or(Timestamp::MAX, |now| now.saturating_add(SKEW).unwrap_or(Timestamp::MAX));
        let mut times = self.verified().map(|backup| backup.snapshot_time).peekable();
        times.peek()?;
        times.find(|time| *time <= latest).or(Some(latest))
    }

    /// Adds the UIDs of earlier policies whose repository and backups this policy took over
    /// (`storage.adoptFrom`).
    #[must_use]
    pub fn adopting(mut self, owners: impl IntoIterator<Item = String>) -> Self {
        self.owners.extend(owners);
        self.accept();
        self
    }

    /// Returns the names of the suspicious backups that were accepted because enough consecutive ones have
    /// the same suspicions. The caller must record them as accepted: once retention removes some of them, the
    /// remaining ones are too few to be accepted again.
    pub fn accepted(&self) -> &[String] {
        &self.accepted
    }

    /// Returns all backups, newest first, including those of other policies.
    pub fn backups(&self) -> &[CatalogBackup] {
        &self.backups
    }

    /// Returns whether the backup belongs to this policy. Backups of other policies satisfy no retention rule
    /// and are never deleted.
    pub fn owns(&self, backup: &CatalogBackup) -> bool {
        self.owners.contains(&backup.policy_uid)
    }

    /// Returns this policy's backups, newest first.
    pub fn own(&self) -> impl DoubleEndedIterator<Item = &CatalogBackup> {
        self.backups.iter().filter(|backup| self.owns(backup))
    }

    /// Returns this policy's verified backups, newest first.
    pub fn verified(&self) -> impl DoubleEndedIterator<Item = &CatalogBackup> {
        self.own().filter(|backup| backup.state == BackupState::Verified)
    }

    /// Returns the counts, bytes and times of this policy's backups, for reports.
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
