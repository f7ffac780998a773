//! Which backups are kept.

use kube::KubeSchema;
use serde::{Deserialize, Serialize};
use serde_with::skip_serializing_none;

use crate::messages;

/// Which backups are kept: the rules of restic's forget, over verified backups only.
#[skip_serializing_none]
#[derive(KubeSchema, Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Retention {
    /// Keep the newest n backups; -1 keeps all, as in the other rules.
    #[schemars(range(max = 10000))]
    #[x_kube(validation = Rule::new(messages::IS_COUNT).message(messages::COUNT))]
    pub keep_last: Option<i32>,

    /// Keep the newest backup of each of the last n hours that have one.
    #[schemars(range(max = 10000))]
    #[x_kube(validation = Rule::new(messages::IS_COUNT).message(messages::COUNT))]
    pub keep_hourly: Option<i32>,

    /// Keep the newest backup of each of the last n days that have one.
    #[schemars(range(max = 10000))]
    #[x_kube(validation = Rule::new(messages::IS_COUNT).message(messages::COUNT))]
    pub keep_daily: Option<i32>,

    /// Keep the newest backup of each of the last n ISO weeks that have one.
    #[schemars(range(max = 10000))]
    #[x_kube(validation = Rule::new(messages::IS_COUNT).message(messages::COUNT))]
    pub keep_weekly: Option<i32>,

    /// Keep the newest backup of each of the last n months that have one.
    #[schemars(range(max = 10000))]
    #[x_kube(validation = Rule::new(messages::IS_COUNT).message(messages::COUNT))]
    pub keep_monthly: Option<i32>,

    /// Keep the newest backup of each of the last n years that have one.
    #[schemars(range(max = 10000))]
    #[x_kube(validation = Rule::new(messages::IS_COUNT).message(messages::COUNT))]
    pub keep_yearly: Option<i32>,

    /// Keep all backups that are younger than this, counted back from the newest verified backup: years, months, days
    /// and hours, for example 14d, 1y6m or 2d12h.
    #[schemars(length(max = 20))]
    #[x_kube(validation = Rule::new(messages::IS_LENGTH).message(messages::LENGTH))]
    pub keep_within: Option<String>,

    /// Keep the newest backup of each hour, of those that are younger than this; written like keepWithin.
    #[schemars(length(max = 20))]
    #[x_kube(validation = Rule::new(messages::IS_LENGTH).message(messages::LENGTH))]
    pub keep_within_hourly: Option<String>,

    /// Keep the newest backup of each day, of those that are younger than this; written like keepWithin.
    #[schemars(length(max = 20))]
    #[x_kube(validation = Rule::new(messages::IS_LENGTH).message(messages::LENGTH))]
    pub keep_within_daily: Option<String>,

    /// Keep the newest backup of each ISO week, of those that are younger than this; written like keepWithin.
    #[schemars(length(max = 20))]
    #[x_kube(validation = Rule::new(messages::IS_LENGTH).message(messages::LENGTH))]
    pub keep_within_weekly: Option<String>,

    /// Keep the newest backup of each month, of those that are younger than this; written like keepWithin.
    #[schemars(length(max = 20))]
    #[x_kube(validation = Rule::new(messages::IS_LENGTH).message(messages::LENGTH))]
    pub keep_within_monthly: Option<String>,

    /// Keep the newest backup of each year, of those that are younger than this; written like keepWithin.
    #[schemars(length(max = 20))]
    #[x_kube(validation = Rule::new(messages::IS_LENGTH).message(messages::LENGTH))]
    pub keep_within_yearly: Option<String>,

    /// The newest n verified backups of each database that was ever stored stay whatever the rules say, until the
    /// database is listed in postgres.databases.retired. Default: 3.
    #[serde(default = "default_minimum_verified")]
    #[schemars(range(min = 1, max = 1000))]
    pub minimum_verified: u32,

    /// Deletes nothing, and says what the rules would delete: in the condition RetentionHealthy and in the run's log.
    /// Default: false.
    #[serde(default)]
    pub dry_run: bool,
}

const fn default_minimum_verified() -> u32 {
    3
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
