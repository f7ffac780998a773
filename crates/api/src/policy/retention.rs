//! Which backups are kept.

use domain::retention::MINIMUM_VERIFIED;
use kube::KubeSchema;
use serde::{Deserialize, Serialize};
use serde_with::skip_serializing_none;

use crate::messages::retention as check;

/// The rules of restic's `forget`, applied to backups whose newest check passed.
#[skip_serializing_none]
#[derive(KubeSchema, Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Retention {
    /// keepLast keeps the newest N backups. From 1 to 10000, or -1 to keep all backups.
    #[schemars(range(max = 10000))]
    #[x_kube(validation = check::COUNT.rule())]
    pub keep_last: Option<i32>,

    /// keepHourly keeps the newest backup of each of the newest N hours that have backups. From 1 to 10000, or -1 for
    /// every hour.
    #[schemars(range(max = 10000))]
    #[x_kube(validation = check::COUNT.rule())]
    pub keep_hourly: Option<i32>,

    /// keepDaily keeps the newest backup of each of the newest N days that have backups. From 1 to 10000, or -1 for
    /// every day.
    #[schemars(range(max = 10000))]
    #[x_kube(validation = check::COUNT.rule())]
    pub keep_daily: Option<i32>,

    /// keepWeekly keeps the newest backup of each of the newest N ISO weeks that have backups. From 1 to 10000, or -1
    /// for every ISO week.
    #[schemars(range(max = 10000))]
    #[x_kube(validation = check::COUNT.rule())]
    pub keep_weekly: Option<i32>,

    /// keepMonthly keeps the newest backup of each of the newest N months that have backups. From 1 to 10000, or -1
    /// for every month.
    #[schemars(range(max = 10000))]
    #[x_kube(validation = check::COUNT.rule())]
    pub keep_monthly: Option<i32>,

    /// keepYearly keeps the newest backup of each of the newest N years that have backups. From 1 to 10000, or -1 for
    /// every year.
    #[schemars(range(max = 10000))]
    #[x_kube(validation = check::COUNT.rule())]
    pub keep_yearly: Option<i32>,

    /// keepWithin keeps all backups within this duration before the newest verified backup. The units are y (years),
    /// m (months, not minutes), d (days) and h (hours), each at most once. If m is the only unit, at most 24m. For
    /// example, 14d, 1y6m or 2d12h.
    #[schemars(length(max = 20))]
    #[x_kube(validation = check::WITHIN.rule(), validation = check::WITHIN_MONTHS.rule())]
    pub keep_within: Option<String>,

    /// keepWithinHourly considers the backups within this duration before the newest verified backup, and keeps the newest
    /// one of each hour.
    /// Units and limits are those of keepWithin. For example, 2d.
    #[schemars(length(max = 20))]
    #[x_kube(validation = check::WITHIN.rule(), validation = check::WITHIN_MONTHS.rule())]
    pub keep_within_hourly: Option<String>,

    /// keepWithinDaily considers the backups within this duration before the newest verified backup, and keeps the newest
    /// one of each day.
    /// Units and limits are those of keepWithin. For example, 14d.
    #[schemars(length(max = 20))]
    #[x_kube(validation = check::WITHIN.rule(), validation = check::WITHIN_MONTHS.rule())]
    pub keep_within_daily: Option<String>,

    /// keepWithinWeekly considers the backups within this duration before the newest verified backup, and keeps the newest
    /// one of each ISO week. Units and limits are those of keepWithin. For example, 2m.
    #[schemars(length(max = 20))]
    #[x_kube(validation = check::WITHIN.rule(), validation = check::WITHIN_MONTHS.rule())]
    pub keep_within_weekly: Option<String>,

    /// keepWithinMonthly considers the backups within this duration before the newest verified backup, and keeps the newest
    /// one of each month. Units and limits are those of keepWithin. For example, 1y.
    #[schemars(length(max = 20))]
    #[x_kube(validation = check::WITHIN.rule(), validation = check::WITHIN_MONTHS.rule())]
    pub keep_within_monthly: Option<String>,

    /// keepWithinYearly considers the backups within this duration before the newest verified backup, and keeps the newest
    /// one of each year.
    /// Units and limits are those of keepWithin. For example, 10y.
    #[schemars(length(max = 20))]
    #[x_kube(validation = check::WITHIN.rule(), validation = check::WITHIN_MONTHS.rule())]
    pub keep_within_yearly: Option<String>,

    /// minimumVerified is the number of verified backups that are kept for each database regardless of the rules: the
    /// newest ones. It protects the backups of a deleted database too, until postgres.databases.retired lists the
    /// database. Defaults to 3. From 1 to 1000.
    #[serde(default = "default_minimum_verified")]
    #[schemars(range(min = 1, max = 1000))]
    pub minimum_verified: u32,

    /// dryRun makes retention delete nothing and report what the rules would delete. The report is in the condition
    /// RetentionHealthy and in the log of each backup. Defaults to false.
    #[serde(default)]
    pub dry_run: bool,
}

const fn default_minimum_verified() -> u32 {
    MINIMUM_VERIFIED
}

impl Default for Retention {
    fn default() -> Self {
        Self {
            keep_last: None,
            keep_hourly: None,
            keep_daily: None,
            keep_weekly: None,
            keep_monthly: None,
            keep_yearly: None,
            keep_within: None,
            keep_within_hourly: None,
            keep_within_daily: None,
            keep_within_weekly: None,
            keep_within_monthly: None,
            keep_within_yearly: None,
            minimum_verified: default_minimum_verified(),
            dry_run: false,
        }
    }
}
