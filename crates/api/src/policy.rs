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

use domain::invocation::default;
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
    verification::*,
};
use crate::{
    checks::{object, retention as age, schedule as check},
    status::BackupPolicyStatus,
};

/// spec defines which databases of a PostgreSQL server are backed up, when, to which store, and how long the backups
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
    doc = "BackupPolicy backs up the databases of a PostgreSQL server on a schedule, with pg_dump, to a volume or a bucket. Each backup is read back and verified after it is stored. Retention rules define which old backups are deleted. The status reports whether the newest backup that was due is stored and verified.",
    printcolumn(
        name = "Schedule",
        type_ = "string",
        json_path = ".spec.schedule",
        description = "The schedule of the backups, in the time zone spec.timeZone."
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
        description = "The reason of the condition BackupHealthy: Verified if the newest backup that was due is verified, or what is wrong."
    ),
    printcolumn(
        name = "Recovery-Point",
        type_ = "date",
        json_path = ".status.lastSuccess.snapshotTime",
        description = "The age of the newest successful backup, since its snapshot."
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
        description = "The number of backups that passed their newest check and that are not suspicious."
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
        description = "True if spec.suspend stops scheduled backups and scrubs."
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
    /// schedule defines when backups start, in the syntax of a Kubernetes CronJob: five fields (minute, hour, day of
    /// month, month and day of week), or one of @hourly, @daily, @weekly, @monthly and @yearly. The times are in
    /// timeZone. The minute and the hour can be H: the operator replaces H with a number that it derives from the
    /// namespace and the name of the policy, so that policies with the same schedule start at different times. For
    /// example, "15 2 * * *" starts a backup at 02:15 every day. "H 2 * * *" starts one every day at the same minute
    /// between 02:00 and 02:59.
    #[schemars(length(max = 100), transform = check::schedule)]
    pub schedule: String,

    /// timeZone is the time zone of the schedules and of the retention rules, as an IANA name. The retention rules
    /// use it to decide where an hour, a day, a week, a month or a year begins. Defaults to Etc/UTC. For example,
    /// Europe/Berlin.
    #[serde(default = "default_time_zone")]
    #[schemars(length(max = 64))]
    #[x_kube(validation = check::TIME_ZONE.rule(), validation = check::TIME_ZONE_LOCAL.rule())]
    pub time_zone: String,

    /// suspend stops scheduled backups and scrubs. Running Jobs continue, and stored backups are kept. If the
    /// annotation pgbackup.dev/requested-at requests a backup meanwhile, that backup starts when suspend is set to
    /// false. Defaults to false.
    #[serde(default)]
    pub suspend: bool,

    /// catchUp defines whether a scheduled backup or scrub that could not start on time (for example, because the
    /// cluster was down) starts later. If true, the newest missed run starts as soon as possible; older missed runs
    /// do not start. If false, a run that could not start within five minutes of its scheduled time is skipped.
    /// Defaults to true.
    #[serde(default = "default_catch_up")]
    pub catch_up: bool,

    /// postgres defines the PostgreSQL server, how backups connect to it, and which of its databases are backed up.
    pub postgres: Postgres,

    /// dump defines how the databases are dumped: compression, lock timeout, excluded tables, and limits for
    /// standbys.
    #[serde(default)]
    pub dump: Dump,

    /// storage defines where backups are stored: on a volume, or in a bucket of S3, Google Cloud Storage or Azure.
    /// Exactly one of volume, s3, gcs and azure is required.
    pub storage: Storage,

    /// retention defines which backups are kept, by rules that work like those of restic forget. A backup is kept if
    /// at least one rule keeps it. The rules apply to successful backups only; a backup that is suspicious and not
    /// acknowledged is always kept. If fewer hours, days, weeks, months or years have a backup than a rule keeps, the
    /// oldest backup is kept too. Backup runs delete the backups that no rule keeps. Defaults to no rules: all
    /// backups are kept.
    #[serde(default)]
    pub retention: Retention,

    /// verification defines how thoroughly a new backup is checked, when a new backup is suspicious, and when stored
    /// backups are checked again.
    #[serde(default)]
    pub verification: Verification,

    /// objectives defines how old the newest backup can become before the policy is overdue, even if no scheduled
    /// backup is missing.
    #[serde(default)]
    pub objectives: Objectives,

    /// job defines the Jobs that run backups and scrubs, and the pods of these Jobs: resources, deadline, retries and
    /// scheduling.
    #[serde(default)]
    pub job: JobOptions,
}

/// What the backups must achieve beyond the schedule.
#[skip_serializing_none]
#[derive(KubeSchema, Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Objectives {
    /// maxAge is the maximum age of the newest successful backup, measured from its snapshot. When the backup becomes
    /// older, the condition BackupHealthy is False with the reason Overdue. Defaults to no limit: the policy is then
    /// overdue only if a scheduled backup is missing. The units are m (minutes, not months), h (hours) and d (days).
    /// From 25m to 399d. For example, 26h.
    #[schemars(length(max = 20))]
    #[x_kube(validation = age::MAX_AGE.rule(), validation = age::MAX_AGE_MINUTES.rule())]
    pub max_age: Option<String>,
}

const fn default_catch_up() -> bool {
    true
}

fn default_time_zone() -> String {
    default::TIME_ZONE.to_owned()
}
