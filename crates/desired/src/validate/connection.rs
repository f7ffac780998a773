//! How pods connect to the server.

use std::net::Ipv6Addr;

use api::{
    messages::postgres as check,
    policy::{Connection, SecretKeyRef, SecretRef, SslMode},
};

use super::field::{
    Invalid, alphanumeric, consists_of, in_limits, invalid, object_name, optional_secret_key, require,
    secret_key,
};

/// How pods connect to the server.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ValidConnection {
    /// The server, and the role that logs in.
    pub server: Server,
    /// libpq's `sslmode`.
    pub ssl_mode: SslMode,
    /// Where the CA's certificate is.
    pub ca: Option<SecretKeyRef>,
    /// Where the role's certificate and key are.
    pub client_certificate: Option<SecretRef>,
}

/// A server, and the role that logs in.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Server {
    /// The parts of an address.
    Address {
        /// The host name or IP address.
        host: String,
        /// The port.
        port: u16,
        /// The role.
        user: User,
        /// Where the role's password is.
        password: Option<SecretKeyRef>,
    },
    /// Where the connection URI is.
    Uri(SecretKeyRef),
}

/// The role that logs in.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum User {
    /// The role's name.
    Named(String),
    /// Where the role's name is.
    Secret(SecretKeyRef),
}

const FIELD: &str = "postgres.connection";

/// Checks `postgres.connection`.
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
