//! The PostgreSQL server, the connection to it, and what of it is backed up.

use domain::invocation::{self, default};
use kube::KubeSchema;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use serde_with::skip_serializing_none;
use strum::IntoStaticStr;

use super::secret::{SecretKeyRef, SecretRef};
use crate::checks::postgres as check;

/// A PostgreSQL server, and what of it is backed up.
#[skip_serializing_none]
#[derive(KubeSchema, Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[x_kube(validation = check::VERSION_OR_IMAGE.rule())]
#[serde(rename_all = "camelCase")]
pub struct Postgres {
    /// version is the major version of the server. Backups run in the official PostgreSQL image of this version. If
    /// the server has another major version, a backup fails before it dumps anything, unless dump.allowNewerClient
    /// allows it. Exactly one of version and image is required. At least 13. For example, 17.
    #[schemars(range(min = 13, max = 99))]
    pub version: Option<u32>,

    /// image is the container image that backups run in, instead of the official PostgreSQL image. It must contain
    /// psql, pg_dump, pg_dumpall and pg_restore on its PATH, with the major version of the server. Set it if the
    /// server uses extensions that the official image lacks: then use the image of the server. Exactly one of version
    /// and image is required. For example, docker.io/postgis/postgis:17-3.5.
    #[schemars(length(max = 512))]
    #[x_kube(validation = check::IMAGE.rule())]
    pub image: Option<String>,

    /// connection defines how backups connect to the server. They must connect to the server itself: connection
    /// poolers, for example PgBouncer, are not supported.
    pub connection: Connection,

    /// databases defines which databases are backed up. Defaults to all databases that accept connections, that are
    /// not templates, and that the role has permission to connect to.
    #[serde(default)]
    pub databases: Databases,

    /// globals defines whether backups contain the roles and tablespaces of the server. WithoutPasswords: roles
    /// without their password hashes, and tablespaces. WithPasswords: roles with their password hashes, and
    /// tablespaces; the role that backups log in as must be a superuser or have permission to read pg_authid, and
    /// everybody who can read the backup can try to crack the hashes. None: neither roles nor tablespaces. Defaults
    /// to WithoutPasswords.
    #[serde(default)]
    pub globals: Globals,
}

/// A connection to a PostgreSQL server.
#[skip_serializing_none]
#[derive(KubeSchema, Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[x_kube(
    validation = check::HOST_OR_URI.rule(),
    validation = check::URI_ALONE.rule(),
    validation = check::USER_OR_SECRET.rule(),
    validation = check::PASSWORD_OR_CERTIFICATE.rule(),
    validation = check::CA_REQUIRED.rule(),
    validation = check::CA_UNUSED.rule(),
    validation = check::CERTIFICATE_UNUSED.rule()
)]
#[serde(rename_all = "camelCase")]
pub struct Connection {
    /// host is the host name or the IP address of the server. Exactly one of host and uriSecretRef is required. For
    /// example, shop-db.shop.svc.
    #[schemars(length(max = 253))]
    #[x_kube(validation = check::HOST.rule())]
    pub host: Option<String>,

    /// uriSecretRef selects the key of a Secret that contains a connection URI
    /// (postgresql://user:password@host:5432/). It replaces host, port, user, userSecretRef and passwordSecretRef.
    /// The database in the URI is ignored. If the URI has an sslmode, the stricter of that sslmode and the field
    /// sslMode applies. CloudNativePG writes such URIs into the key uri of its Secrets <cluster>-app and
    /// <cluster>-superuser, and Crunchy's operator into the key uri of <cluster>-pguser-<user>.
    pub uri_secret_ref: Option<SecretKeyRef>,

    /// port is the port of the server. Defaults to 5432.
    #[serde(default = "default_port")]
    #[schemars(range(min = 1, max = 65535))]
    pub port: u16,

    /// sslMode defines whether the connection is encrypted and how the server's certificate is verified, with the
    /// values of libpq. disable: no encryption. prefer: encryption if the server supports it. require: encryption,
    /// without verification of the certificate. verify-ca: encryption, and a CA of caSecretRef must have signed the
    /// certificate. verify-full: like verify-ca, and the certificate must be valid for host. Defaults to prefer.
    #[serde(default)]
    pub ssl_mode: SslMode,

    /// user is the role that backups log in as. The role must have permission to read all data: use a superuser, or
    /// grant pg_read_all_data (PostgreSQL 14 and later). If tables use row security, the role also needs the
    /// attribute BYPASSRLS. Exactly one of user and userSecretRef is required, unless uriSecretRef is set. At most 63
    /// bytes.
    #[schemars(length(min = 1, max = 63))]
    pub user: Option<String>,

    /// userSecretRef selects the key of a Secret that contains the name of the role that backups log in as, in place
    /// of user.
    pub user_secret_ref: Option<SecretKeyRef>,

    /// passwordSecretRef selects the key of a Secret that contains the password of the role.
    pub password_secret_ref: Option<SecretKeyRef>,

    /// caSecretRef selects the key of a Secret that contains the certificates of the CAs that can sign the server's
    /// certificate, in PEM format. It is required by sslMode verify-ca and verify-full, and not allowed with other
    /// values of sslMode.
    pub ca_secret_ref: Option<SecretKeyRef>,

    /// clientCertificateSecretRef selects a Secret of the type kubernetes.io/tls. It contains the client certificate
    /// (tls.crt) and the private key (tls.key) that the role logs in with, instead of a password or in addition to
    /// it.
    pub client_certificate_secret_ref: Option<SecretRef>,
}

/// The values of libpq's `sslmode`.
#[derive(JsonSchema, Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize, IntoStaticStr)]
#[serde(rename_all = "kebab-case")]
#[strum(serialize_all = "kebab-case")]
pub enum SslMode {
    /// No encryption.
    Disable,
    /// Encryption if the server supports it.
    #[default]
    Prefer,
    /// Encryption. The server's certificate is not verified.
    Require,
    /// Encryption. The CA must have signed the server's certificate.
    VerifyCa,
    /// Like `VerifyCa`, and the server's certificate must be valid for the host.
    VerifyFull,
}

impl SslMode {
    /// The spelling of libpq: `verify-full`.
    pub fn as_str(self) -> &'static str {
        self.into()
    }
}

/// A selection of databases.
#[derive(KubeSchema, Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[x_kube(
    validation = check::INCLUDED_AND_EXCLUDED.rule(),
    validation = check::INCLUDED_AND_RETIRED.rule()
)]
#[serde(rename_all = "camelCase")]
pub struct Databases {
    /// include lists the databases that are backed up, by name or by pattern: * matches any characters, and ? matches
    /// one character. A pattern matches only databases that accept connections, that are not templates, and that the
    /// role has permission to connect to. A backup fails if a database that is listed by name cannot be dumped, or if
    /// no database matches. Defaults to ["*"]. At most 100 entries. For example, ["shop", "app_*"].
    #[serde(default = "all_databases")]
    #[schemars(length(min = 1, max = 100), inner(length(min = 1, max = 63)))]
    pub include: Vec<String>,

    /// exclude lists the databases that are not backed up although include matches them, by name or by pattern. At
    /// most 100 entries. For example, ["scratch_*"].
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    #[schemars(length(max = 100), inner(length(min = 1, max = 63)))]
    pub exclude: Vec<String>,

    /// retired lists databases that have been dropped on purpose, by name; patterns are not allowed.
    /// retention.minimumVerified no longer keeps backups for the sake of these databases. A backup without these
    /// databases is not suspicious. At most 100 entries. For example, ["legacy"].
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    #[schemars(length(max = 100), inner(length(min = 1, max = 63)))]
    #[x_kube(validation = check::RETIRED_NAME.rule())]
    pub retired: Vec<String>,
}

/// Whether backups contain roles and tablespaces.
#[derive(JsonSchema, Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum Globals {
    /// Roles, memberships, settings and tablespaces, without password hashes.
    WithoutPasswords,
    /// Roles, memberships, settings and tablespaces, with password hashes.
    WithPasswords,
    /// No roles and no tablespaces.
    None,
}

impl Default for Globals {
    fn default() -> Self {
        invocation::Globals::default().into()
    }
}

impl From<invocation::Globals> for Globals {
    fn from(globals: invocation::Globals) -> Self {
        match globals {
            invocation::Globals::WithoutPasswords => Self::WithoutPasswords,
            invocation::Globals::WithPasswords => Self::WithPasswords,
            invocation::Globals::None => Self::None,
        }
    }
}

impl From<Globals> for invocation::Globals {
    fn from(globals: Globals) -> Self {
        match globals {
            Globals::WithoutPasswords => Self::WithoutPasswords,
            Globals::WithPasswords => Self::WithPasswords,
            Globals::None => Self::None,
        }
    }
}

const fn default_port() -> u16 {
    5432
}

fn all_databases() -> Vec<String> {
    vec![default::INCLUDE.to_owned()]
}

impl Default for Databases {
    fn default() -> Self {
        Self { include: all_databases(), exclude: Vec::new(), retired: Vec::new() }
    }
}
