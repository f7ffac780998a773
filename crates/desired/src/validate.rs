//! Converts a spec into valid values, from which objects can be created without errors.
//!
//! The CRD rejects most mistakes at admission. Validation repeats all of its checks, because the CRD in a
//! cluster may be older than the operator, and adds those that CEL cannot express. Every struct of the spec
//! is destructured without `..`, so that a new field does not compile until it is handled here.

mod connection;
mod dump;
mod field;
mod job;
mod postgres;
mod retention;
mod schedule;
mod storage;

use api::{
    BackupPolicy, BackupPolicySpec, meta,
    policy::{Databases, JobOptions, Postgres, Verification},
};
use domain::{
    invocation::{BackupOptions, Options, ScrubOptions},
    manifest::PolicyIdentity,
    name,
    operation::Operation,
    schedule::{Schedule, time_zone},
    scrub,
};
use jiff::{SignedDuration, Timestamp, tz::TimeZone};

use self::field::in_limits;
pub use self::{
    connection::{Server, User, ValidConnection},
    field::Invalid,
    postgres::PostgresImage,
    retention::max_age,
    schedule::ValidScrub,
    storage::ValidStorage,
};

/// The maximum number of backups that the annotation `pgbackup.dev/acknowledged` can accept.
const ACKNOWLEDGED_MAX: usize = 20;

/// A validated policy, from which objects can be created.
#[derive(Clone, Debug)]
pub struct ValidPolicy {
    /// The namespace, the name and the UID of the policy.
    pub identity: PolicyIdentity,
    /// The time at which the policy was created.
    pub created: Timestamp,
    /// The schedule of backups.
    pub schedule: Schedule,
    /// The name of the schedules' time zone.
    pub time_zone: String,
    /// The schedules' time zone.
    pub zone: TimeZone,
    /// Whether scheduled backups and scrubs are stopped.
    pub suspend: bool,
    /// Whether a backup that could not start on time starts late.
    pub catch_up: bool,
    /// The image in which backups run.
    pub image: PostgresImage,
    /// The address of the server, and the credentials with which pods connect to it.
    pub connection: ValidConnection,
    /// What a backup contains, and how it is made, checked and kept: the options that the runner gets.
    pub backup: BackupOptions,
    /// The store of the backups.
    pub storage: ValidStorage,
    /// The schedule and the share of scrubs; `None` without scrubs.
    pub scrub: Option<ValidScrub>,
    /// The maximum age of the newest backup; `None` without this objective.
    pub max_age: Option<SignedDuration>,
    /// The options of Jobs and their pods.
    pub job: JobOptions,
}

impl ValidPolicy {
    /// Returns the schedule of an operation; `None` if the policy does not configure the operation.
    pub fn schedule_of(&self, operation: Operation) -> Option<&Schedule> {
        match operation {
            Operation::Backup => Some(&self.schedule),
            Operation::Scrub => self.scrub.as_ref().map(|scrub| &scrub.schedule),
        }
    }

    /// Returns the runner's options for an operation.
    pub fn options_of(&self, operation: Operation) -> Options {
        match operation {
            Operation::Backup => Options::Backup(Box::new(self.backup.clone())),
            Operation::Scrub => {
                let share = self.scrub.as_ref().map_or(scrub::SHARE, |scrub| scrub.share);
                Options::Scrub(ScrubOptions { share })
            }
        }
    }
}

/// Validates a policy.
///
/// # Errors
///
/// The first invalid field, with a message that says what to write.
pub fn validate(policy: &BackupPolicy) -> Result<ValidPolicy, Invalid> {
    let BackupPolicySpec {
        schedule,
        time_zone: zone,
        suspend,
        catch_up,
        postgres,
        dump,
        storage,
        retention,
        verification,
        objectives,
        job,
    } = &policy.spec;
    let identity = PolicyIdentity {
        namespace: policy.metadata.namespace.clone().unwrap_or_default(),
        name: policy.metadata.name.clone().unwrap_or_default(),
        uid: policy.metadata.uid.clone().unwrap_or_default(),
    };
    if identity.name.len() > name::POLICY_NAME_MAX {
        return Err(Invalid::PolicyName);
    }
    let of_schedule = format!("{}/{}", identity.namespace, identity.name);
    let Postgres { version, image, connection, databases, globals } = postgres;
    let Databases { include, exclude, retired } = postgres::databases(databases)?;
    let Verification { level, max_shrink, scrub } = verification;
    in_limits("verification.maxShrink", max_shrink, 1..=100)?;
    let scrub = scrub.as_ref().map(|scrub| schedule::scrub(scrub, &format!("{of_schedule}/scrub")));
    let created = policy.metadata.creation_timestamp.as_ref().map_or(Timestamp::UNIX_EPOCH, |time| time.0);
    Ok(ValidPolicy {
        created,
        schedule: schedule::schedule("schedule", schedule, &of_schedule)?,
        zone: time_zone(zone).map_err(|source| Invalid::Schedule { field: "timeZone", source })?,
        time_zone: zone.clone(),
        suspend: *suspend,
        catch_up: *catch_up,
        image: postgres::image(*version, image.as_deref())?,
        connection: connection::connection(connection)?,
        backup: BackupOptions {
            time_zone: zone.clone(),
            include,
            exclude,
            globals: (*globals).into(),
            dump: dump::dump(dump)?,
            adopt_from: storage::adopt_from(storage)?,
            rules: retention::rules(retention, &retired)?,
            dry_run: retention.dry_run,
            level: (*level).into(),
            max_shrink: *max_shrink,
            acknowledged: acknowledged(policy),
        },
        storage: storage::storage(storage)?,
        scrub: scrub.transpose()?,
        max_age: max_age(objectives)?,
        job: job::job(job)?,
        identity,
    })
}

/// Returns the names of backups in the annotation `pgbackup.dev/acknowledged`. Ignores texts that are not
/// names of backups.
fn acknowledged(policy: &BackupPolicy) -> Vec<String> {
    let annotation = policy.metadata.annotations.as_ref().and_then(|all| all.get(meta::ACKNOWLEDGED));
    let names = annotation.map(String::as_str).unwrap_or_default().split(',').map(str::trim);
    names.filter(|name| name::is_backup_id(name)).take(ACKNOWLEDGED_MAX).map(str::to_owned).collect()
}
