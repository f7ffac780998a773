//! The spec: what a person writes. The texts here are what `kubectl explain` prints.
//!
//! A field that is not implemented is not here. Unknown fields are not denied by the types (an older operator
//! must be able to read a newer object); the API server drops or refuses them by the schema.

mod dump;
mod job;
mod retention;
mod storage;
mod verification;

use kube::{CustomResource, KubeSchema};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use serde_with::skip_serializing_none;

pub use self::{
    dump::{Compression, CompressionMethod, Dump},
    job::{JobOptions, Resources},
    retention::Retention,
    storage::{
        AzureCredentials, AzureStorage, GcsCredentials, GcsStorage, S3Checksum, S3Credentials, S3Encryption,
        S3EncryptionAlgorithm, S3Storage, Storage, VolumeStorage,
    },
    verification::{Scrub, Verification, VerificationLevel},
};
use crate::{messages, status::BackupPolicyStatus};

/// Which databases of a PostgreSQL server are backed up, when, to where, and for how long backups are kept.
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
    doc = "A BackupPolicy takes pg_dump backups of a PostgreSQL server on a schedule, reads every backup back after it is stored, and keeps and expires backups by rules. Its status says whether the newest backup is good.",
    printcolumn(name = "Schedule", type_ = "string", json_path = ".spec.schedule"),
    printcolumn(
        name = "Ready",
        type_ = "string",
        json_path = ".status.conditions[?(@.type==\"Ready\")].status",
        description = "Whether the policy is accepted and its CronJob in place."
    ),
    printcolumn(
        name = "Backup",
        type_ = "string",
        json_path = ".status.conditions[?(@.type==\"BackupHealthy\")].reason",
        description = "Verified, or why not."
    ),
    printcolumn(
        name = "Last-Success",
        type_ = "date",
        json_path = ".status.lastSuccess.snapshotTime",
        description = "The age of the snapshot of the newest backup that counts."
    ),
    printcolumn(name = "Size", type_ = "string", json_path = ".status.lastSuccess.size"),
    printcolumn(
        name = "Backups",
        type_ = "integer",
        json_path = ".status.retained.verified",
        description = "How many verified backups the store holds."
    ),
    printcolumn(name = "Next", type_ = "string", json_path = ".status.nextScheduleTime"),
    printcolumn(name = "Suspended", type_ = "boolean", json_path = ".spec.suspend", priority = "1"),
    printcolumn(
        name = "Message",
        type_ = "string",
        json_path = ".status.conditions[?(@.type==\"BackupHealthy\")].message",
        priority = "1"
    ),
    printcolumn(name = "Age", type_ = "date", json_path = ".metadata.creationTimestamp"),
    validation = Rule::new("size(self.metadata.name) <= 45").message(messages::POLICY_NAME)
)]
#[serde(rename_all = "camelCase")]
pub struct BackupPolicySpec {
    /// When backups are taken: the five fields of cron (minute, hour, day of month, month, day of week), or
    /// @hourly, @daily, @weekly, @monthly, @yearly, in the policy's time zone. H stands for a minute or an hour
    /// that is chosen once for each policy, so that many policies do not start at the same moment: "H 2 * * *"
    /// is some minute after two, always the same. The times are exactly those of the CronJob controller, daylight
    /// saving included.
    #[schemars(length(max = 100))]
    #[x_kube(
        validation = Rule::new("!self.startsWith('@every')").message(messages::EVERY),
        validation = Rule::new("self.startsWith('@') || !self.contains('TZ')").message(messages::ZONE_IN_SCHEDULE),
        validation = Rule::new(messages::IS_NICKNAME).message(messages::NICKNAME),
        validation = Rule::new(messages::HAS_FIVE_FIELDS).message(messages::FIVE_FIELDS)
    )]
    pub schedule: String,

    /// The IANA name of the time zone of the schedule and of the retention rules' days, weeks and months, for
    /// example Europe/Berlin.
    #[serde(default = "default_time_zone")]
    #[schemars(length(max = 64))]
    #[x_kube(
        validation = Rule::new(messages::IS_ZONE).message(messages::ZONE),
        validation = Rule::new("self != 'Local'").message(messages::ZONE_LOCAL)
    )]
    pub time_zone: String,

    /// Stops backups and scrubs. A backup that the annotation pgbackup.dev/requested-at asks for waits until this is false again. Backups
    /// that exist stay; what runs is not stopped. Default: false.
    #[serde(default)]
    pub suspend: bool,

    /// Whether a backup that was missed (the cluster was down) is taken as soon as it can be. Of several that were missed
    /// the newest is. If false, one that cannot start within five minutes is left out. Default: true.
    #[serde(default = "default_catch_up")]
    pub catch_up: bool,

    /// The PostgreSQL server, and what of it is backed up.
    pub postgres: Postgres,

    /// How the databases are dumped.
    #[serde(default)]
    pub dump: Dump,

    /// Where the backups go.
    pub storage: Storage,

    /// Which backups are kept. Rules count verified backups only, and a backup stays if any rule keeps it. Without
    /// rules nothing is ever deleted.
    #[serde(default)]
    pub retention: Retention,

    /// How a backup is checked after it is stored.
    #[serde(default)]
    pub verification: Verification,

    /// What must hold beyond the schedule.
    #[serde(default)]
    pub objectives: Objectives,

    /// How Jobs and their pods run.
    #[serde(default)]
    pub job: JobOptions,
}

/// What must hold beyond the schedule.
#[skip_serializing_none]
#[derive(KubeSchema, Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Objectives {
    /// How old the snapshot of the newest backup that counts may get, for example 26h, 90m or 8d; at most 399d. If it is
    /// older, the policy is Overdue even though no scheduled backup is: a bound on what a recovery would lose. Default: none,
    /// only the schedule counts.
    #[schemars(length(max = 20))]
    #[x_kube(validation = Rule::new(messages::IS_MAX_AGE).message(messages::MAX_AGE))]
    pub max_age: Option<String>,
}

/// The PostgreSQL server, and what of it is backed up.
#[skip_serializing_none]
#[derive(KubeSchema, Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[x_kube(validation = Rule::new("has(self.image) != has(self.version)").message(messages::VERSION_OR_IMAGE))]
#[serde(rename_all = "camelCase")]
pub struct Postgres {
    /// The server's major version, for example 17. Backups run in the official PostgreSQL image of this version,
    /// so that the client tools match the server. Another version than the server's is refused before anything is
    /// dumped.
    #[schemars(range(min = 13, max = 99))]
    pub version: Option<u32>,

    /// The image that backups run in, instead of the official one: it must hold psql, pg_dump, pg_dumpall and
    /// pg_restore of the server's major version on its PATH. Write the image that the server runs if it has
    /// extensions of its own.
    #[schemars(length(max = 512))]
    #[x_kube(validation = Rule::new(messages::IS_IMAGE).message(messages::IMAGE))]
    pub image: Option<String>,

    /// How the server is reached. Give the server's own address, never a connection pooler's.
    pub connection: Connection,

    /// Which databases are backed up.
    #[serde(default)]
    pub databases: Databases,

    /// Whether roles and tablespaces are backed up beside the databases: WithoutPasswords (without the password
    /// hashes), WithPasswords (with them, which takes a superuser or the right to read pg_authid; who reads the backup can
    /// try to guess the passwords) or None. Default: WithoutPasswords.
    #[serde(default)]
    pub globals: Globals,
}

/// How the server is reached.
#[skip_serializing_none]
#[derive(KubeSchema, Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[x_kube(
    validation = Rule::new("has(self.host) != has(self.uriSecretRef)").message(messages::HOST_OR_URI),
    validation = Rule::new("has(self.uriSecretRef) && !has(self.host) ? !(has(self.user) || has(self.userSecretRef) || has(self.passwordSecretRef)) && self.port == 5432 : true").message(messages::URI_HAS_THEM),
    validation = Rule::new("has(self.uriSecretRef) || !has(self.host) ? true : has(self.user) != has(self.userSecretRef)").message(messages::USER_OR_SECRET),
    validation = Rule::new("has(self.uriSecretRef) || !has(self.host) ? true : has(self.passwordSecretRef) || has(self.clientCertificateSecretRef)").message(messages::PASSWORD_OR_CERTIFICATE),
    validation = Rule::new("self.sslMode.startsWith('verify-') ? has(self.caSecretRef) : true").message(messages::CA_MISSING),
    validation = Rule::new("has(self.caSecretRef) ? self.sslMode.startsWith('verify-') : true").message(messages::CA_UNUSED),
    validation = Rule::new("has(self.clientCertificateSecretRef) ? self.sslMode != 'disable' : true").message(messages::CERTIFICATE_UNUSED)
)]
#[serde(rename_all = "camelCase")]
pub struct Connection {
    /// The server's host name or address, for example shop-db or shop-db.shop.svc.
    #[schemars(length(max = 253))]
    #[x_kube(validation = Rule::new(messages::IS_HOST).message(messages::HOST))]
    pub host: Option<String>,

    /// The key of a Secret that holds a connection URI (postgresql://user:password@host:5432/...), instead of host,
    /// port, user and password: the key uri of the Secrets that CloudNativePG (<cluster>-app, <cluster>-superuser)
    /// and Crunchy's operator (<cluster>-pguser-<user>) make. Its database does not matter. Of its sslmode and this
    /// policy's the stricter one counts.
    pub uri_secret_ref: Option<SecretKeyRef>,

    /// The server's port. Default: 5432.
    #[serde(default = "default_port")]
    #[schemars(range(min = 1, max = 65535))]
    pub port: u16,

    /// Whether the connection is encrypted and the server's certificate checked, with libpq's words: disable, prefer
    /// (encrypted if the server can), require (encrypted, nothing checked), verify-ca (signed by the CA of
    /// caSecretRef) or verify-full (and made for this host). Default: prefer.
    #[serde(default)]
    pub ssl_mode: SslMode,

    /// The role that backups log in as. It needs to read everything: a superuser, or (PostgreSQL 14 and later) a
    /// member of pg_read_all_data, with BYPASSRLS where row security is used.
    #[schemars(length(min = 1, max = 63))]
    pub user: Option<String>,

    /// The key of a Secret that holds the role's name, instead of user.
    pub user_secret_ref: Option<SecretKeyRef>,

    /// The key of a Secret that holds the role's password.
    pub password_secret_ref: Option<SecretKeyRef>,

    /// The key of a Secret that holds the certificate of the CA, or a bundle of them, in PEM.
    pub ca_secret_ref: Option<SecretKeyRef>,

    /// A Secret of the type kubernetes.io/tls that holds the role's certificate (tls.crt) and its key (tls.key).
    pub client_certificate_secret_ref: Option<SecretRef>,
}

/// A Secret in the policy's namespace. The operator never reads it: the kubelet gives it to the backup's pod.
#[derive(KubeSchema, Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct SecretRef {
    /// The Secret's name.
    #[schemars(length(max = 253))]
    #[x_kube(validation = Rule::new(messages::IS_OBJECT_NAME).message(messages::OBJECT_NAME))]
    pub name: String,
}

/// A key of a Secret in the policy's namespace. The operator never reads it: the kubelet gives it to the backup's
/// pod.
#[derive(KubeSchema, Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct SecretKeyRef {
    /// The Secret's name.
    #[schemars(length(max = 253))]
    #[x_kube(validation = Rule::new(messages::IS_OBJECT_NAME).message(messages::OBJECT_NAME))]
    pub name: String,

    /// The key in it.
    #[schemars(length(max = 253))]
    #[x_kube(validation = Rule::new(messages::IS_KEY).message(messages::KEY))]
    pub key: String,
}

/// libpq's sslmode.
#[derive(JsonSchema, Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum SslMode {
    /// Never encrypted.
    Disable,
    /// Encrypted if the server can.
    #[default]
    Prefer,
    /// Encrypted, or not at all. The server's certificate is not checked.
    Require,
    /// The same, and the server's certificate is signed by the CA.
    VerifyCa,
    /// The same, and it is for this host.
    VerifyFull,
}

/// Which databases are backed up.
#[derive(KubeSchema, Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[x_kube(
    validation = Rule::new("!has(self.exclude) || self.include.all(name, !(name in self.exclude))").message(messages::INCLUDED_AND_EXCLUDED),
    validation = Rule::new("!has(self.retired) || self.include.all(name, !(name in self.retired))").message(messages::INCLUDED_AND_RETIRED)
)]
#[serde(rename_all = "camelCase")]
pub struct Databases {
    /// Names, or patterns in which * stands for any characters and ? for one. A name without them must exist, or
    /// the backup fails. Patterns match databases that accept connections, are not templates and may be connected
    /// to by the role. No match at all is a failure. Default: all, that is "*".
    #[serde(default = "all_databases")]
    #[schemars(length(min = 1, max = 100), inner(length(min = 1, max = 63)))]
    pub include: Vec<String>,

    /// Names or patterns of databases that are left out.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    #[schemars(length(max = 100), inner(length(min = 1, max = 63)))]
    pub exclude: Vec<String>,

    /// Names of databases that are gone for good. retention.minimumVerified no longer holds their backups: these go
    /// when the rules let them.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    #[schemars(length(max = 100), inner(length(min = 1, max = 63)))]
    pub retired: Vec<String>,
}

/// Whether roles and tablespaces are backed up.
#[derive(JsonSchema, Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub enum Globals {
    /// Roles, memberships, settings and tablespaces; no password hashes.
    #[default]
    WithoutPasswords,
    /// The same with password hashes.
    WithPasswords,
    /// Nothing beside the databases.
    None,
}

const fn default_catch_up() -> bool {
    true
}

fn default_time_zone() -> String {
    "Etc/UTC".to_owned()
}

const fn default_port() -> u16 {
    5432
}

fn all_databases() -> Vec<String> {
    vec!["*".to_owned()]
}

impl Default for Databases {
    fn default() -> Self {
        Self { include: all_databases(), exclude: Vec::new(), retired: Vec::new() }
    }
}
