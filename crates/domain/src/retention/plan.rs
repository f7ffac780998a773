//! The plan: which backups are kept, which are deleted, and why.

use std::collections::{BTreeMap, BTreeSet};

use jiff::tz::TimeZone;
use serde::Serialize;

use super::{
    reason::{DeleteReason, KeepReason},
    rules::Rules,
    window,
};
use crate::catalog::{BackupState, Catalog, CatalogBackup};

/// What pruning does, newest backup first. Each backup of the catalog is in exactly one of the lists.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize)]
pub struct PrunePlan {
    /// The backups to keep.
    pub keep: Vec<Kept>,
    /// The backups to delete.
    pub delete: Vec<Deleted>,
}

/// A backup to keep.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Kept {
    /// The backup's name.
    pub id: String,
    /// Why it is kept; never empty.
    pub reasons: Vec<KeepReason>,
}

/// A backup to delete.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Deleted {
    /// The backup's name.
    pub id: String,
    /// Why it is deleted.
    pub reason: DeleteReason,
}

impl PrunePlan {
    /// The number of backups that each reason keeps. A backup with two reasons is in both numbers.
    pub fn counts(&self) -> BTreeMap<String, u32> {
        let mut counts = BTreeMap::new();
        for reason in self.keep.iter().flat_map(|kept| &kept.reasons) {
            *counts.entry(reason.to_string()).or_default() += 1;
        }
        counts
    }
}

/// Decides for each backup of the catalog whether it is kept. Days, weeks and months are those of `zone`. `just_made` is the
/// backup of the run that prunes: it is kept, however old its snapshot looks.
pub fn plan(catalog: &Catalog, rules: &Rules, zone: &TimeZone, just_made: Option<&str>) -> PrunePlan {
    let mut floors = Floors::new(rules);
    let mut windows =
        catalog.newest_snapshot().map(|newest| window::windows(rules, newest, zone)).unwrap_or_default();
    let no_rules = rules.is_empty();
    let oldest = catalog.verified().next_back().map(|backup| backup.id.as_str());
    // Nobody needs the backups of retired databases.
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

/// Decides about a backup whose newest check failed: it is deleted as soon as verified backups can replace it.
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

/// Which backups are kept whatever the rules say, from the newest verified backup on.
struct Floors<'a> {
    minimum: u32,
    retired: &'a BTreeSet<String>,
    /// The number of verified backups so far.
    verified: u32,
    /// How many of them have each database.
    holding: BTreeMap<&'a str, u32>,
}

impl<'a> Floors<'a> {
    fn new(rules: &'a Rules) -> Self {
        let minimum = rules.minimum_verified.max(1);
        Self { minimum, retired: &rules.retired, verified: 0, holding: BTreeMap::new() }
    }

    /// Takes the next older verified backup and returns the reasons to keep it.
    fn take(&mut self, backup: &'a CatalogBackup) -> Vec<KeepReason> {
        let mut reasons = Vec::new();
        if self.verified == 0 {
            reasons.push(KeepReason::NewestVerified);
        }
        // The newest backups of all databases together are kept too, so that a backup counted here is never deleted.
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
