//! From a spec to values that cannot be wrong.
//!
//! The CRD refuses most mistakes at admission; this repeats all of it, since the CRD in the cluster may be older
//! than the operator, and checks what CEL cannot say. Every struct is destructured with no `..`: a new field does
//! not compile until it is handled here.

mod connection;
mod dump;
mod job;
mod retention;
mod storage;

use api::{
    BackupPolicy, BackupPolicySpec, messages, meta,
    policy::{
        Databases, Globals, JobOptions, Objectives, Postgres, Scrub, SecretKeyRef, Verification,
        VerificationLevel,
    },
};
use domain::{
    manifest::PolicyIdentity,
    name,
    operation::Operation,
    reason::Reason,
    retention::Rules,
    schedule::{self, Schedule, ScheduleError},
};
use jiff::{SignedDuration, Timestamp, tz::TimeZone};

pub use self::{
    connection::{Server, User, ValidConnection},
    dump::ValidDump,
    storage::ValidStorage,
};

/// The longest schedule, as in the CRD.
const SCHEDULE_MAX: usize = 100;

/// As many backups as the annotation settles at once.
const ACKNOWLEDGED_MAX: usize = 20;

/// A policy whose objects can be made.
#[derive(Clone, Debug)]
pub struct ValidPolicy {
    /// Namespace, name and UID.
    pub identity: PolicyIdentity,
    /// When it was made.
    pub created: Timestamp,
    /// When backups are due.
    pub schedule: Schedule,
    /// The time zone's name.
    pub time_zone: String,
    /// The time zone.
    pub zone: TimeZone,
    /// No backups are taken.
    pub suspend: bool,
    /// Backups that were missed are taken.
    pub catch_up: bool,
    /// The image that backups run in.
    pub image: PostgresImage,
    /// How the server is reached.
    pub connection: ValidConnection,
    /// Patterns of databases.
    pub include: Vec<String>,
    /// Patterns of databases that are left out.
    pub exclude: Vec<String>,
    /// Roles and tablespaces.
    pub globals: Globals,
    /// How databases are dumped.
    pub dump: ValidDump,
    /// Where backups go.
    pub storage: ValidStorage,
    /// Whose folder is taken over.
    pub adopt_from: Option<String>,
    /// The rules.
    pub rules: Rules,
    /// Whether what they do not keep is only named.
    pub dry_run: bool,
    /// How deep backups are checked.
    pub level: VerificationLevel,
    /// How much less than before a database may hold, in percent.
    pub max_shrink: u8,
    /// When stored backups are read again, and how much of them.
    pub scrub: Option<ValidScrub>,
    /// Suspicious backups that a person has settled.
    pub acknowledged: Vec<String>,
    /// How old the newest verified backup's snapshot may get.
    pub max_age: Option<SignedDuration>,
    /// How Jobs and pods run.
    pub job: JobOptions,
}

impl ValidPolicy {
    /// When the runs of an operation are due; `None` if the policy does not ask for the operation.
    pub fn schedule_of(&self, operation: Operation) -> Option<&Schedule> {
        match operation {
            Operation::Backup => Some(&self.schedule),
            Operation::Scrub => self.scrub.as_ref().map(|scrub| &scrub.schedule),
        }
    }
}

/// The image that backups run in.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum PostgresImage {
    /// The official image of a major version.
    Version(u32),
    /// Another one.
    Named(String),
}

/// When stored backups are read again.
#[derive(Clone, Debug)]
pub struct ValidScrub {
    /// When.
    pub schedule: Schedule,
    /// How much of the stored bytes, in percent.
    pub share: u8,
}

/// A policy that cannot work without a change.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum Invalid {
    /// The schedule or the time zone.
    #[error("spec.{field}: {source}")]
    Schedule {
        /// `schedule`, `timeZone` or `verification.scrub.schedule`.
        field: &'static str,
        /// Why.
        source: ScheduleError,
    },
    /// The policy's own name.
    #[error("{}", messages::POLICY_NAME)]
    NameTooLong,
    /// A value that the schema would have refused.
    #[error("spec.{field}: {wanted}")]
    Value {
        /// Which field.
        field: &'static str,
        /// What to write.
        wanted: &'static str,
    },
}

impl Invalid {
    /// The reason word.
    pub const fn reason(&self) -> Reason {
        match self {
            Self::Schedule { .. } => Reason::InvalidSchedule,
            _ => Reason::InvalidSpec,
        }
    }
}

/// Checks a policy.
pub fn validate(policy: &BackupPolicy) -> Result<ValidPolicy, Invalid> {
    let BackupPolicySpec {
        schedule,
        time_zone,
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
        return Err(Invalid::NameTooLong);
    }
    let identity_of = |what: &str| format!("{}/{}{what}", identity.namespace, identity.name);
    let Postgres { version, image, connection, databases, globals } = postgres;
    let Databases { include: _, exclude, retired } = databases;
    let Verification { level, max_shrink, scrub } = verification;
    if !(1..=100).contains(max_shrink) {
        return Err(value("verification.maxShrink", "write a percentage from 1 to 100"));
    }
    let created = policy.metadata.creation_timestamp.as_ref().map_or(Timestamp::UNIX_EPOCH, |time| time.0);
    Ok(ValidPolicy {
        created,
        schedule: valid_schedule("schedule", schedule, &identity_of(""))?,
        scrub: scrub.as_ref().map(|scrub| valid_scrub(scrub, &identity_of("/scrub"))).transpose()?,
        zone: schedule::time_zone(time_zone)
            .map_err(|source| Invalid::Schedule { field: "timeZone", source })?,
        time_zone: time_zone.clone(),
        suspend: *suspend,
        catch_up: *catch_up,
        image: valid_image(*version, image.as_deref())?,
        connection: connection::connection(connection)?,
        include: valid_include(databases)?,
        exclude: valid_patterns("postgres.databases.exclude", exclude, 0)?,
        globals: *globals,
        dump: dump::dump(dump)?,
        storage: storage::storage(storage)?,
        adopt_from: storage::owner(storage)?,
        rules: retention::rules(retention, retired)?,
        dry_run: retention.dry_run,
        level: *level,
        max_shrink: *max_shrink,
        acknowledged: acknowledged(policy),
        max_age: max_age(objectives)?,
        job: job::job(job)?,
        identity,
    })
}

/// Each `H` in it is chosen by `identity`.
fn valid_schedule(field: &'static str, schedule: &str, identity: &str) -> Result<Schedule, Invalid> {
    if schedule.len() > SCHEDULE_MAX {
        return Err(value(field, "write at most 100 characters, for example \"15 2 * * *\""));
    }
    Schedule::parse(schedule, identity).map_err(|source| Invalid::Schedule { field, source })
}

fn valid_scrub(Scrub { schedule, share }: &Scrub, identity: &str) -> Result<ValidScrub, Invalid> {
    if !(1..=100).contains(share) {
        return Err(value("verification.scrub.share", "write a percentage from 1 to 100"));
    }
    let schedule = valid_schedule("verification.scrub.schedule", schedule, identity)?;
    Ok(ValidScrub { schedule, share: *share })
}

/// Words of the annotation that are no names of backups settle nothing.
fn acknowledged(policy: &BackupPolicy) -> Vec<String> {
    let annotation = policy.metadata.annotations.as_ref().and_then(|all| all.get(meta::ACKNOWLEDGED));
    let words = annotation.map(String::as_str).unwrap_or_default().split(',').map(str::trim);
    words.filter(|word| name::is_backup_id(word)).take(ACKNOWLEDGED_MAX).map(str::to_owned).collect()
}

/// `90m`, `26h`, `8d`.
pub fn max_age(Objectives { max_age }: &Objectives) -> Result<Option<SignedDuration>, Invalid> {
    let Some(text) = max_age else { return Ok(None) };
    let parsed = || {
        let (number, unit) = text.split_at_checked(text.len().checked_sub(1)?)?;
        let minutes = match unit {
            "m" => 1,
            "h" => 60,
            "d" => 24 * 60,
            _ => return None,
        };
        number.parse::<i64>().ok()?.checked_mul(minutes).filter(|minutes| (1..=9999 * 60).contains(minutes))
    };
    let minutes = parsed().ok_or(value("objectives.maxAge", messages::MAX_AGE))?;
    Ok(Some(SignedDuration::from_mins(minutes)))
}

fn valid_image(version: Option<u32>, image: Option<&str>) -> Result<PostgresImage, Invalid> {
    match (version, image) {
        (Some(version @ 13..=99), None) => Ok(PostgresImage::Version(version)),
        (Some(_), None) => Err(value("postgres.version", "write a major version from 13 on, for example 17")),
        (None, Some(image)) if (1..=512).contains(&image.len()) && !image.contains(char::is_whitespace) => {
            Ok(PostgresImage::Named(image.to_owned()))
        }
        (None, Some(_)) => Err(value("postgres.image", messages::IMAGE)),
        _ => Err(value("postgres", messages::VERSION_OR_IMAGE)),
    }
}

fn optional_secret(
    field: &'static str,
    secret: Option<&SecretKeyRef>,
) -> Result<Option<SecretKeyRef>, Invalid> {
    secret.map(|secret| valid_secret(field, secret)).transpose()
}

fn valid_secret(field: &'static str, secret: &SecretKeyRef) -> Result<SecretKeyRef, Invalid> {
    let SecretKeyRef { name, key } = secret;
    if !is_object_name(name) {
        return Err(value(field, messages::OBJECT_NAME));
    }
    let plain = |c: char| c.is_ascii_alphanumeric() || "._-".contains(c);
    if !(1..=253).contains(&key.len()) || !key.chars().all(plain) {
        return Err(value(field, messages::KEY));
    }
    Ok(secret.clone())
}

fn valid_patterns(field: &'static str, patterns: &[String], least: usize) -> Result<Vec<String>, Invalid> {
    let sound = (least..=100).contains(&patterns.len())
        && patterns.iter().all(|p| (1..=63).contains(&p.chars().count()));
    if sound {
        return Ok(patterns.to_vec());
    }
    Err(value(
        field,
        "write 1 to 100 names or patterns of 1 to 63 characters, for example [\"shop\", \"app_*\"]",
    ))
}

fn valid_include(Databases { include, exclude, retired }: &Databases) -> Result<Vec<String>, Invalid> {
    if include.iter().any(|name| exclude.contains(name)) {
        return Err(value("postgres.databases", messages::INCLUDED_AND_EXCLUDED));
    }
    if include.iter().any(|name| retired.contains(name)) {
        return Err(value("postgres.databases", messages::INCLUDED_AND_RETIRED));
    }
    valid_patterns("postgres.databases.include", include, 1)
}

fn is_object_name(name: &str) -> bool {
    let inner = |c: char| c.is_ascii_lowercase() || c.is_ascii_digit() || c == '-' || c == '.';
    let edge = |c: Option<char>| c.is_some_and(|c| c.is_ascii_lowercase() || c.is_ascii_digit());
    name.len() <= 253
        && name.chars().all(inner)
        && edge(name.chars().next())
        && edge(name.chars().next_back())
}

const fn value(field: &'static str, wanted: &'static str) -> Invalid {
    Invalid::Value { field, wanted }
}
