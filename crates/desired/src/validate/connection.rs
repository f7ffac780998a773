//! Validates the connection to the server.

use std::net::Ipv6Addr;

use api::{
    checks::postgres as check,
    policy::{Connection, SecretKeyRef, SecretRef, SslMode},
};

use super::field::{
    Invalid, alphanumeric, consists_of, in_limits, invalid, object_name, optional_secret_key, require,
    secret_key,
};

/// The validated connection to the server.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ValidConnection {
    /// The server and the role that logs in.
    pub server: Server,
    /// The value of libpq's `sslmode`.
    pub ssl_mode: SslMode,
    /// The Secret and key with the certificate of the certificate authority.
    pub ca: Option<SecretKeyRef>,
    /// The Secret with the role's certificate and private key.
    pub client_certificate: Option<SecretRef>,
}

/// The server and the role that logs in, as an address or as a connection URI.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Server {
    /// A host and a port. The role and its password are in fields of their own.
    Address {
        /// The host name or IP address.
        host: String,
        /// The port of the server.
        port: u16,
        /// The role that logs in.
        user: User,
        /// The Secret and key with the role's password.
        password: Option<SecretKeyRef>,
    },
    /// The Secret and key with a connection URI, which contains the role.
    Uri(SecretKeyRef),
}

/// The name of the role that logs in.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum User {
    /// The name itself.
    Named(String),
    /// The Secret and key with the name.
    Secret(SecretKeyRef),
}

const FIELD: &str = "postgres.connection";

/// Validates `postgres.connection`.
pub fn connection(given: &Connection) -> Result<ValidConnection, Invalid> {
    let Connection {
        host,
        uri_secret_ref,
        port: _,
        ssl_mode,
        user: _,
        user_secret_ref: _,
        password_secret_ref: _,
        ca_secret_ref: ca,
        client_certificate_secret_ref: client_certificate,
    } = given;
    let server = match (host, uri_secret_ref) {
        (Some(host), None) => address(host, given)?,
        (None, Some(uri)) => by_uri(uri, given)?,
        _ => return Err(invalid(FIELD, check::HOST_OR_URI.message)),
    };
    optional_secret_key("postgres.connection.caSecretRef", ca.as_ref())?;
    if let Some(SecretRef { name }) = client_certificate {
        object_name("postgres.connection.clientCertificateSecretRef.name", name)?;
        require(FIELD, check::CERTIFICATE_UNUSED, *ssl_mode != SslMode::Disable)?;
    }
    let verifies = matches!(ssl_mode, SslMode::VerifyCa | SslMode::VerifyFull);
    require(FIELD, check::CA_REQUIRED, ca.is_some() || !verifies)?;
    require(FIELD, check::CA_UNUSED, ca.is_none() || verifies)?;
    Ok(ValidConnection {
        server,
        ssl_mode: *ssl_mode,
        ca: ca.clone(),
        client_certificate: client_certificate.clone(),
    })
}

fn address(host: &str, connection: &Connection) -> Result<Server, Invalid> {
    let Connection {
        port, user, user_secret_ref, password_secret_ref, client_certificate_secret_ref, ..
    } = connection;
    let is_name = consists_of(host, 1..=253, alphanumeric, "._-");
    require("postgres.connection.host", check::HOST, is_name || host.parse::<Ipv6Addr>().is_ok())?;
    in_limits("postgres.connection.port", port, 1..=u16::MAX)?;
    let user = match (user, user_secret_ref) {
        (Some(user), None) if (1..=63).contains(&user.len()) => User::Named(user.clone()),
        (Some(_), None) => return Err(invalid("postgres.connection.user", "must have from 1 to 63 bytes")),
        (None, Some(secret)) => {
            secret_key("postgres.connection.userSecretRef", secret)?;
            User::Secret(secret.clone())
        }
        _ => return Err(invalid(FIELD, check::USER_OR_SECRET.message)),
    };
    optional_secret_key("postgres.connection.passwordSecretRef", password_secret_ref.as_ref())?;
    let logs_in = password_secret_ref.is_some() || client_certificate_secret_ref.is_some();
    require(FIELD, check::PASSWORD_OR_CERTIFICATE, logs_in)?;
    Ok(Server::Address { host: host.to_owned(), port: *port, user, password: password_secret_ref.clone() })
}

fn by_uri(uri: &SecretKeyRef, connection: &Connection) -> Result<Server, Invalid> {
    let Connection { port, user, user_secret_ref, password_secret_ref, .. } = connection;
    let alone = *port == 5432 && user.is_none() && user_secret_ref.is_none() && password_secret_ref.is_none();
    require(FIELD, check::URI_ALONE, alone)?;
    secret_key("postgres.connection.uriSecretRef", uri)?;
    Ok(Server::Uri(uri.clone()))
}
