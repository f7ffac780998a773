//! Which backups are kept.

use domain::retention::MINIMUM_VERIFIED;
use kube::KubeSchema;
use serde::{Deserialize, Serialize};
use serde_with::skip_serializing_none;

use crate::checks::retention as check;

/// The rules of restic's `forget`, applied to backups whose newest check passed.
#[skip_serializing_none]
#[derive(KubeSchema, Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Retention {
    /// keepLast keeps the newest N successful backups. From 1 to 10000, or -1 to keep all. For example, 5.
    #[schemars(range(max = 10000))]
    #[x_kube(validation = check::COUNT.rule())]
    pub keep_last: Option<i32>,

    /// keepHourly keeps the last successful backup of each hour, for the newest N hours that have one. Hours without
    /// a backup do not count. From 1 to 10000, or -1 for all hours. For example, with 24, the last backup of each of
    /// the newest 24 hours is kept.
    #[schemars(range(max = 10000))]
    #[x_kube(validation = check::COUNT.rule())]
    pub keep_hourly: Option<i32>,

    /// keepDaily keeps the last successful backup of each day, for the newest N days that have one. Days without a
    /// backup do not count. From 1 to 10000, or -1 for all days. For example, with 7, the last backup of each of the
    /// newest 7 days is kept.
    #[schemars(range(max = 10000))]
    #[x_kube(validation = check::COUNT.rule())]
    pub keep_daily: Option<i32>,

    /// keepWeekly keeps the last successful backup of each ISO week (Monday to Sunday), for the newest N weeks that
    /// have one. Weeks without a backup do not count. From 1 to 10000, or -1 for all weeks. For example, with 4, the
    /// last backup of each of the newest 4 weeks is kept.
    #[schemars(range(max = 10000))]
    #[x_kube(validation = check::COUNT.rule())]
    pub keep_weekly: Option<i32>,

    /// keepMonthly keeps the last successful backup of each month, for the newest N months that have one. Months
    /// without a backup do not count. From 1 to 10000, or -1 for all months. For example, with 12, the last backup of
    /// each of the newest 12 months is kept.
    #[schemars(range(max = 10000))]
    #[x_kube(validation = check::COUNT.rule())]
    pub keep_monthly: Option<i32>,

    /// keepYearly keeps the last successful backup of each year, for the newest N years that have one. Years without
    /// a backup do not count. From 1 to 10000, or -1 for all years. For example, with 5, the last backup of each of
    /// the newest 5 years is kept.
    #[schemars(range(max = 10000))]
    #[x_kube(validation = check::COUNT.rule())]
    pub keep_yearly: Option<i32>,

    /// keepWithin keeps every successful backup that is at most this much older than the newest successful backup.
    /// The age is counted from the newest backup and not from today. The units are y (years), m (months, not
    /// minutes), d (days) and h (hours), each at most once. If m is the only unit, at most 24m. For example, 14d,
    /// 1y6m or 2d12h.
    #[schemars(length(max = 20))]
    #[x_kube(validation = check::WITHIN.rule(), validation = check::WITHIN_MONTHS.rule())]
    pub keep_within: Option<String>,

    /// keepWithinHourly keeps the last successful backup of each hour, among the backups that are at most this much
    /// older than the newest successful backup. The units and limits are those of keepWithin. For example, 2d.
    #[schemars(length(max = 20))]
    #[x_kube(validation = check::WITHIN.rule(), validation = check::WITHIN_MONTHS.rule())]
    pub keep_within_hourly: Option<String>,

    /// keepWithinDaily keeps the last successful backup of each day, among the backups that are at most this much
    /// older than the newest successful backup. The units and limits are those of keepWithin. For example, 14d.
    #[schemars(length(max = 20))]
    #[x_kube(validation = check::WITHIN.rule(), validation = check::WITHIN_MONTHS.rule())]
    pub keep_within_daily: Option<String>,

    /// keepWithinWeekly keeps the last successful backup of each ISO week (Monday to Sunday), among the backups that
    /// are at most this much older than the newest successful backup. The units and limits are those of keepWithin.
    /// For example, 2m.
    #[schemars(length(max = 20))]
    #[x_kube(validation = check::WITHIN.rule(), validation = check::WITHIN_MONTHS.rule())]
    pub keep_within_weekly: Option<String>,

    /// keepWithinMonthly keeps the last successful backup of each month, among the backups that are at most this much
    /// older than the newest successful backup. The units and limits are those of keepWithin. For example, 1y.
    #[schemars(length(max = 20))]
    #[x_kube(validation = check::WITHIN.rule(), validation = check::WITHIN_MONTHS.rule())]
    pub keep_within_monthly: Option<String>,

    /// keepWithinYearly keeps the last successful backup of each year, among the backups that are at most this much
    /// older than the newest successful backup. The units and limits are those of keepWithin. For example, 10y.
    #[schemars(length(max = 20))]
    #[x_kube(validation = check::WITHIN.rule(), validation = check::WITHIN_MONTHS.rule())]
    pub keep_within_yearly: Option<String>,

    /// minimumVerified is the number of newest successful backups of each database that are kept, whatever the other
    /// rules are. The backups of a dropped database are kept too, until postgres.databases.retired lists that
    /// database. Defaults to 3. From 1 to 1000.
    #[serde(default = "default_minimum_verified")]
    #[schemars(range(min = 1, max = 1000))]
    pub minimum_verified: u32,

    /// dryRun makes retention delete no backups. The condition RetentionHealthy and the log of each backup run report
    /// which backups the rules would delete. Defaults to false.
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
