//! The backups of one repository, from their manifests: the input of retention and of reports.
//!
//! A folder without a manifest is no backup and never gets here.

use std::{cmp::Reverse, collections::BTreeSet};

use jiff::{SignedDuration, Timestamp};

use crate::{
    manifest::{Check, CheckResult, Manifest},
    report::Retained,
    suspicion::{self, Suspicion, SuspicionKind},
};

/// How far the clocks of a server, a node and the control plane may differ before one of them is treated as wrong.
pub const SKEW: SignedDuration = SignedDuration::from_hours(1);

/// One backup of a repository.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct CatalogBackup {
    /// The backup's unique name: its folder.
    pub id: String,
    /// The UID of the policy in the manifest.
    pub policy_uid: String,
    /// The recovery point, which decides the order and the buckets of retention.
    pub snapshot_time: Timestamp,
    /// The result of the newest check.
    pub state: BackupState,
    /// The names of the databases.
    pub databases: BTreeSet<String>,
    /// The stored bytes.
    pub size_bytes: u64,
    /// The differences from earlier verified backups.
    pub suspicions: BTreeSet<suspicion::Key>,
}

/// The state of a backup after its newest check.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum BackupState {
    /// The backup passed its newest check.
    Verified,
    /// The backup passed its newest check but is suspicious: retention ignores it until it is acknowledged.
    Suspicious,
    /// The backup failed its newest check: retention does not rely on it.
    Failed,
}

impl CatalogBackup {
    /// The backup of a manifest and of later checks, in any order. The newest check decides; of two at the same moment, the
    /// failed one. `acknowledged` tells whether a person accepts the backup's suspicions.
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
    /// Accepts a suspicious backup that only lacks databases which the policy no longer selects.
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

/// The backups of one repository, newest first.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Catalog {
    owners: BTreeSet<String>,
    backups: Vec<CatalogBackup>,
    unreadable: Vec<String>,
    accepted: Vec<String>,
    now: Option<Timestamp>,
}

impl Catalog {
    /// The catalog of the policy with the UID `owner`. Backups come in any order and are sorted by snapshot, then by their
    /// unique names.
    pub fn new(owner: impl Into<String>, backups: Vec<CatalogBackup>) -> Self {
        Self::with_unreadable(owner, backups, Vec::new())
    }

    /// Like [`Catalog::new`], with the names of backups that cannot be read.
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

    /// Accepts the newest suspicious backups if at least [`suspicion::ALIKE`] in a row are alike. Older rows do not count: a
    /// verified backup between them may have been removed, or may be one that cannot be read.
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

    /// Sets the current time: a snapshot later than this plus [`SKEW`] has the time of a wrong clock.
    #[must_use]
    pub fn seen_at(mut self, now: Timestamp) -> Self {
        self.now = Some(now);
        self
    }

    /// The moment from which `keepWithin` is measured: the newest verified snapshot that is not in the future. A snapshot from
    /// the future would put every backup outside.
    pub fn newest_snapshot(&self) -> Option<Timestamp> {
        let latest =
            self.now.map_or(Timestamp::MAX, |now| now.saturating_add(SKEW).unwrap_or(Timestamp::MAX));
        let mut times = self.verified().map(|backup| backup.snapshot_time).peekable();
        times.peek()?;
        times.find(|time| *time <= latest).or(Some(latest))
    }

    /// Adds the UIDs of earlier owners, whose repository the policy took over with its backups.
    #[must_use]
    pub fn adopting(mut self, owners: impl IntoIterator<Item = String>) -> Self {
        self.owners.extend(owners);
        self.accept();
        self
    }

    /// The suspicious backups that were accepted because enough in a row are alike. The caller records this: once some of them
    /// are removed, the row is no longer complete.
    pub fn accepted(&self) -> &[String] {
        &self.accepted
    }

    /// All backups, newest first, including those of other policies.
    pub fn backups(&self) -> &[CatalogBackup] {
        &self.backups
    }

    /// Whether the backup belongs to the policy. Other backups satisfy no rule and are never deleted.
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

    /// The figures of the policy's backups, for reports.
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
