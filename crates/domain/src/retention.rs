//! Which backups stay and which go: restic's `forget` over verified backups, under floors that no rule can break.
//!
//! Windows are counted over the backups that exist, newest first, and never from now: a policy that was suspended
//! for a year loses nothing when it wakes up. Only backups whose newest check passed count. The plan gives each
//! set a reason; nothing is deleted that is not in a plan.

mod bucket;
mod rules;
#[cfg(test)]
mod tests;

use std::{
    collections::{BTreeMap, BTreeSet},
    fmt,
};

use jiff::tz::TimeZone;
use serde::{Serialize, Serializer};

pub use self::{
    bucket::Bucket,
    rules::{Count, InvalidRule, Rules, Within},
};
use crate::catalog::{BackupState, Catalog, CatalogBackup};

/// What pruning will do, newest backup first. Each set of the catalog is in exactly one of the lists.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize)]
pub struct PrunePlan {
    /// What stays.
    pub keep: Vec<Kept>,
    /// What goes.
    pub delete: Vec<Deleted>,
}

/// A set that stays.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Kept {
    /// Its name.
    pub id: String,
    /// All that keeps it; never empty.
    pub reasons: Vec<KeepReason>,
}

/// A set that goes.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Deleted {
    /// Its name.
    pub id: String,
    /// Why.
    pub reason: DeleteReason,
}

/// Why a backup stays.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum KeepReason {
    /// It is the newest verified backup: what a restore would take.
    NewestVerified,
    /// It is among the newest verified backups of one of its databases.
    MinimumVerified,
    /// A rule keeps it as the newest backup of a bucket.
    Rule(Bucket),
    /// A rule of time keeps it as the newest backup of a bucket.
    Within(Bucket),
    /// The rule's window reaches beyond the oldest verified backup, which stands in for what is not there.
    Oldest(Bucket),
    /// It is suspicious: it waits until that is settled.
    Suspicious,
    /// Its check failed, but too few newer verified backups exist.
    AwaitingVerified,
    /// Its check failed, but no verified backup holds one of its databases: something may still be saved from it.
    OnlyBackup,
    /// The run that prunes has just made it, and nothing else keeps it: the server's clock ran ahead once, and older
    /// backups look newer.
    JustMade,
    /// There are no rules.
    NoRules,
    /// Its manifest names another policy.
    Foreign,
}

impl fmt::Display for KeepReason {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::NewestVerified => f.write_str("newest verified"),
            Self::MinimumVerified => f.write_str("minimum verified"),
            Self::Rule(bucket) => write!(f, "{bucket}"),
            Self::Within(Bucket::Last) => f.write_str("within"),
            Self::Within(bucket) => write!(f, "{bucket} within"),
            Self::Oldest(bucket) => write!(f, "oldest {bucket}"),
            Self::Suspicious => f.write_str("suspicious"),
            Self::AwaitingVerified => f.write_str("awaiting verified"),
            Self::OnlyBackup => f.write_str("only backup"),
            Self::JustMade => f.write_str("just made"),
            Self::NoRules => f.write_str("no rules"),
            Self::Foreign => f.write_str("foreign"),
        }
    }
}

impl Serialize for KeepReason {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_str(self)
    }
}

/// Why a backup goes.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum DeleteReason {
    /// It is verified, and neither a rule nor a floor keeps it.
    Expired,
    /// Its newest check failed, and enough newer verified backups exist.
    CheckFailed,
}

impl fmt::Display for DeleteReason {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Expired => "expired",
            Self::CheckFailed => "check failed",
        })
    }
}

impl Serialize for DeleteReason {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_str(self)
    }
}

impl PrunePlan {
    /// How many backups each reason keeps, by its words; a backup with two reasons counts for both.
    pub fn counts(&self) -> BTreeMap<String, u32> {
        let mut counts = BTreeMap::new();
        for reason in self.keep.iter().flat_map(|kept| &kept.reasons) {
            *counts.entry(reason.to_string()).or_default() += 1;
        }
        counts
    }
}

/// Decides for each backup of the catalog whether it stays. Days, weeks and months are those of `zone`. `just_made` is the
/// set of the run that prunes: it stays, however old its snapshot looks.
pub fn plan(catalog: &Catalog, rules: &Rules, zone: &TimeZone, just_made: Option<&str>) -> PrunePlan {
    let mut floors = Floors::new(rules);
    let mut windows = catalog.newest_snapshot().map(|newest| rules.windows(newest, zone)).unwrap_or_default();
    let no_rules = rules.is_empty();
    let oldest = catalog.verified().next_back().map(|backup| backup.id.as_str());
    // What is retired is not missed.
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

/// A set whose newest check failed: it counts for nothing and goes once it is not needed for lack of better.
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

/// What stays whatever the rules say, counted from the newest verified backup on.
struct Floors<'a> {
    minimum: u32,
    retired: &'a BTreeSet<String>,
    /// How many verified backups were seen.
    verified: u32,
    /// How many of them hold each database.
    holding: BTreeMap<&'a str, u32>,
}

impl<'a> Floors<'a> {
    fn new(rules: &'a Rules) -> Self {
        let minimum = rules.minimum_verified.max(1);
        Self { minimum, retired: &rules.retired, verified: 0, holding: BTreeMap::new() }
    }

    /// Takes the next older verified backup, and says which floors hold it.
    fn take(&mut self, backup: &'a CatalogBackup) -> Vec<KeepReason> {
        let mut reasons = Vec::new();
        if self.verified == 0 {
            reasons.push(KeepReason::NewestVerified);
        }
        // The newest of all stay too, so that a backup counted here is never one that goes.
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
