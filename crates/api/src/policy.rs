//! The spec: what a person writes. `kubectl explain` prints the doc comments of the fields.
//!
//! The types accept unknown fields, because an older operator must be able to read a newer policy. The API server rejects
//! or drops unknown fields by the schema.

mod dump;
mod job;
mod postgres;
mod retention;
mod secret;
mod storage;
mod verification;

use kube::{CustomResource, KubeSchema};
use serde::{Deserialize, Serialize};
use serde_with::skip_serializing_none;

pub use self::{
    dump::{Compression, CompressionMethod, Dump},
    job::{JobOptions, Resources},
    postgres::{Connection, Databases, Globals, Postgres, SslMode},
    retention::Retention,
    secret::{SecretKeyRef, SecretRef},
    storage::{
        AzureCredentials, AzureStorage, GcsCredentials, GcsStorage, S3Checksum, S3Credentials, S3Encryption,
        S3EncryptionAlgorithm, S3Storage, Storage, VolumeStorage,
    },
    verification::{Scrub, Verification, VerificationLevel},
};
use crate::{
    messages::{object, retention as age, schedule as check},
    status::BackupPolicyStatus,
};

/// spec defines which databases of a PostgreSQL server are backed up, when, where the backups are stored, and how long they
/// are kept.
#[derive(CustomResource, KubeSchema, Clone, Debug, PartialEq, Serialize, Deserialize)]
#[kube(
    group = "pgbackup.dev",
    version = "v1alpha1",
    kind = "BackupPolicy",
    plural = "backuppolicies",
    shortname = "pgbp",
    category = "pgbackup",
    namespaced,
    status = "BackupPolicyStatus",
    derive = "PartialEq",
    doc = "BackupPolicy backs up databases of a PostgreSQL server on a schedule. Each backup consists of archives of pg_dump, on a volume or in a bucket. After a backup is stored, it is read back and verified. Old backups are removed by retention rules. The status reports whether the newest backup exists and is verified.",
    printcolumn(
        name = "Schedule",
        type_ = "string",
        json_path = ".spec.schedule",
        description = "The schedule of backups, in spec.timeZone."
    ),
    printcolumn(
        name = "Ready",
        type_ = "string",
        json_path = ".status.conditions[?(@.type==\"Ready\")].status",
        description = "True if the policy is accepted and its CronJobs exist."
    ),
    printcolumn(
        name = "Backup",
        type_ = "string",
        json_path = ".status.conditions[?(@.type==\"BackupHealthy\")].reason",
        description = "Verified, or the reason why the newest backup is not verified."
    ),
    printcolumn(
        name = "Recovery-Point",
        type_ = "date",
        json_path = ".status.lastSuccess.snapshotTime",
        description = "The age of the newest successful backup, from its snapshot."
    ),
    printcolumn(
        name = "Size",
        type_ = "string",
        json_path = ".status.lastSuccess.size",
        description = "The stored size of the newest successful backup."
    ),
    printcolumn(
        name = "Backups",
        type_ = "integer",
        json_path = ".status.retained.verified",
        description = "The number of backups in the repository whose newest check passed."
    ),
    printcolumn(
        name = "Next",
        type_ = "string",
        json_path = ".status.nextScheduleTime",
        description = "The time at which the next scheduled backup starts."
    ),
    printcolumn(
        name = "Suspended",
        type_ = "boolean",
        json_path = ".spec.suspend",
        priority = "1",
        description = "True if scheduled backups and scrubs are stopped."
    ),
    printcolumn(
        name = "Message",
        type_ = "string",
        json_path = ".status.conditions[?(@.type==\"BackupHealthy\")].message",
        priority = "1",
        description = "The message of the condition BackupHealthy."
    ),
    printcolumn(
        name = "Age",
        type_ = "date",
        json_path = ".metadata.creationTimestamp",
        description = "The time since the policy was created."
    ),
    validation = object::POLICY_NAME.rule()
)]
#[serde(rename_all = "camelCase")]
pub struct BackupPolicySpec {
    /// schedule defines when backups start, in five cron fields: minute, hour, day of month, month and day of week.
    /// @hourly, @daily, @weekly, @monthly and @yearly are allowed too. The times are in timeZone, and are those of a
    /// Kubernetes CronJob, also when daylight saving time starts or ends. H stands for a minute or an hour that the
    /// operator chooses once for each policy, so that policies with the same schedule start at different times. For
    /// example, "15 2 * * *" is 02:15 every day, and "H 2 * * *" is the same minute between 02:00 and 02:59 every day.
    #[schemars(length(max = 100))]
    #[x_kube(
        validation = check::EVERY.rule(),
        validation = check::ZONE_IN_SCHEDULE.rule(),
        validation = check::SHORTHAND.rule(),
        validation = check::FIVE_FIELDS.rule()
    )]
    pub schedule: String,

    /// timeZone is the IANA name of a time zone. The schedules, and the hours, days, weeks, months and years of the
    /// retention rules, are in this time zone. Defaults to Etc/UTC. For example, Europe/Berlin.
    #[serde(default = "default_time_zone")]
    #[schemars(length(max = 64))]
    #[x_kube(validation = check::TIME_ZONE.rule(), validation = check::TIME_ZONE_LOCAL.rule())]
    pub time_zone: String,

    /// suspend stops scheduled backups and scrubs. Running Jobs continue. Stored backups are kept. A backup that the
    /// annotation pgbackup.dev/requested-at requests starts when suspend is false again. Defaults to false.
    #[serde(default)]
    pub suspend: bool,

    /// catchUp defines what happens to a backup that could not start on time, for example because the cluster was down. If
    /// true, the newest backup that was missed starts as soon as it can. If false, a backup that cannot start within five
    /// minutes is skipped. Defaults to true.
    #[serde(default = "default_catch_up")]
    pub catch_up: bool,

    /// postgres defines the PostgreSQL server and what of it is backed up.
    pub postgres: Postgres,

    /// dump defines how pg_dump dumps the databases.
    #[serde(default)]
    pub dump: Dump,

    /// storage defines where backups are stored. Write exactly one of volume, s3, gcs and azure.
    pub storage: Storage,

    /// retention defines which backups are kept. A backup is kept if at least one rule keeps it. Rules consider only
    /// backups whose newest check passed. Without rules, no backup is deleted.
    #[serde(default)]
    pub retention: Retention,

    /// verification defines how backups are checked when they are stored, and later.
    #[serde(default)]
    pub verification: Verification,

    /// objectives defines, in addition to the schedule, when a policy is overdue.
    #[serde(default)]
    pub objectives: Objectives,

    /// job defines how the Jobs of backups and scrubs, and the pods of these Jobs, run.
    #[serde(default)]
    pub job: JobOptions,
}

/// What the backups must achieve beyond the schedule.
#[skip_serializing_none]
#[derive(KubeSchema, Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Objectives {
    /// maxAge is the greatest allowed age of the newest successful backup, from its snapshot. When the backup is older, the
    /// condition BackupHealthy is False with the reason Overdue. Without maxAge, only the schedule decides when a backup
    /// is overdue. The units are m (minutes, not months), h (hours) and d (days). From 25m to 399d. For example, 26h.
    #[schemars(length(max = 20))]
    #[x_kube(validation = age::MAX_AGE.rule(), validation = age::MAX_AGE_MINUTES.rule())]
    pub max_age: Option<String>,
}

const fn default_catch_up() -> bool {
    true
}

fn default_time_zone() -> String {
    "Etc/UTC".to_owned()
}
