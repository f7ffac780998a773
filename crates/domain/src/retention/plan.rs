//! The prune plan: which backups are kept, which are deleted, and why.

use std::collections::{BTreeMap, BTreeSet};

use jiff::tz::TimeZone;
use serde::Serialize;

use super::{
    reason::{DeleteReason, KeepReason},
    rule_progress,
    rules::Rules,
};
use crate::catalog::{BackupState, Catalog, CatalogBackup};

/// The decision about each backup of a catalog. Both lists are sorted newest first, and each backup is in
/// exactly one of them.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize)]
pub struct PrunePlan {
    /// The backups to keep.
    pub keep: Vec<Kept>,
    /// The backups to delete.
    pub delete: Vec<Deleted>,
}

/// A backup that the plan keeps.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Kept {
    /// The backup's name.
    pub id: String,
    /// Why the backup is kept; at least one reason.
    pub reasons: Vec<KeepReason>,
}

/// A backup that the plan deletes.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Deleted {
    /// The backup's name.
    pub id: String,
    /// Why the backup is deleted.
    pub reason: DeleteReason,
}

impl PrunePlan {
    /// Counts the kept backups by reason. A backup with two reasons counts for both.
    pub fn counts(&self) -> BTreeMap<String, u32> {
        let mut counts = BTreeMap::new();
        for reason in self.keep.iter().flat_map(|kept| &kept.reasons) {
            *counts.entry(reason.to_string()).or_default() += 1;
        }
        counts
    }
}

/// Decides which backups of the catalog are kept and which are deleted. `zone` determines days, weeks and
/// months. `just_made` names the backup that the current run has stored: it is kept even if its snapshot
/// looks old.
pub fn plan(catalog: &Catalog, rules: &Rules, zone: &TimeZone, just_made: Option<&str>) -> PrunePlan {
    let mut floors = Floors::new(rules);
    let mut windows = catalog
        .newest_snapshot()
        .map(|newest| rule_progress::windows(rules, newest, zone))
        .unwrap_or_default();
    let no_rules = rules.is_empty();
    let oldest = catalog.verified().next_back().map(|backup| backup.id.as_str());
    // Failed backups of retired databases need not be kept.
    let held = catalog.verified().flat_map(|backup| &backup.databases).chain(&rules.retired);
    let held: BTreeSet<&str> = held.map(String::as_str).collect();
    let mut plan = PrunePlan::default();
    for backup in catalog.backups() {
        let verdict = if !catalog.owns(backup) {
            Ok(vec![KeepReason::Foreign])
        } else if no_rules {
            Ok(vec![KeepReason::NoRules])
        } else {
            match backup.state {
                BackupState::Verified => {
                    let mut reasons = floors.take(backup);
                    let at = backup.snapshot_time.to_zoned(zone.clone());
                    let is_oldest = oldest == Some(backup.id.as_str());
                    reasons.extend(windows.iter_mut().filter_map(|window| window.take(&at, is_oldest)));
                    if reasons.is_empty() && just_made == Some(backup.id.as_str()) {
                        reasons.push(KeepReason::JustMade);
                    }
                    if reasons.is_empty() { Err(DeleteReason::Expired) } else { Ok(reasons) }
                }
                BackupState::Suspicious => Ok(vec![KeepReason::Suspicious]),
                BackupState::Failed => failed(backup, &floors, &held),
            }
        };
        let id = backup.id.clone();
        match verdict {
            Ok(reasons) => plan.keep.push(Kept { id, reasons }),
            Err(reason) => plan.delete.push(Deleted { id, reason }),
        }
    }
    plan
}

/// Decides about a backup that failed its newest check: it is deleted if there are enough newer verified
/// backups and every database in it has a verified backup.
fn failed(
    backup: &CatalogBackup,
    floors: &Floors<'_>,
    held: &BTreeSet<&str>,
) -> Result<Vec<KeepReason>, DeleteReason> {
    let mut reasons = Vec::new();
    if floors.verified < floors.minimum {
        reasons.push(KeepReason::AwaitingVerified);
    }
    if !backup.databases.iter().all(|database| held.contains(database.as_str())) {
        reasons.push(KeepReason::OnlyBackup);
    }
    if reasons.is_empty() { Err(DeleteReason::CheckFailed) } else { Ok(reasons) }
}

/// The minimum of verified backups that are kept in any case. It processes the verified backups from the
/// newest to the oldest.
struct Floors<'a> {
    minimum: u32,
    retired: &'a BTreeSet<String>,
    /// The number of verified backups processed so far.
    verified: u32,
    /// The number of processed backups that contain each database.
    holding: BTreeMap<&'a str, u32>,
}

impl<'a> Floors<'a> {
    fn new(rules: &'a Rules) -> Self {
        let minimum = rules.minimum_verified.max(1);
        Self { minimum, retired: &rules.retired, verified: 0, holding: BTreeMap::new() }
    }

    /// Processes the next older verified backup and returns the reasons to keep it.
    fn take(&mut self, backup: &'a CatalogBackup) -> Vec<KeepReason> {
        let mut reasons = Vec::new();
        if self.verified == 0 {
            reasons.push(KeepReason::NewestVerified);
        }
        // The first `minimum` backups are kept whatever they contain. A backup that counts here is therefore
        // never deleted.
        let mut needed = self.verified < self.minimum;
        self.verified += 1;
        for database in backup.databases.difference(self.retired) {
            let holding = self.holding.entry(database).or_default();
            needed |= *holding < self.minimum;
            *holding += 1;
        }
        if needed {
            reasons.push(KeepReason::MinimumVerified);
        }
        reasons
    }
}
