//! How the server is reached.

use std::net::Ipv6Addr;

use api::{
    messages,
    policy::{Connection, SecretKeyRef, SecretRef, SslMode},
};

use super::{Invalid, is_object_name, optional_secret, valid_secret, value};

/// How the server is reached.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ValidConnection {
    /// Who is asked, as whom.
    pub server: Server,
    /// libpq's sslmode.
    pub ssl_mode: SslMode,
    /// Where the CA's certificate is.
    pub ca: Option<SecretKeyRef>,
    /// Where the role's certificate and key are.
    pub client_certificate: Option<SecretRef>,
}

/// Who is asked, as whom.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Server {
    /// By fields.
    Address {
        /// Host name or address.
        host: String,
        /// Port.
        port: u16,
        /// The role.
        user: User,
        /// Where its password is.
        password: Option<SecretKeyRef>,
    },
    /// By a connection URI, which is there.
    Uri(SecretKeyRef),
}

/// The role that backups log in as.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum User {
    /// Its name.
    Named(String),
    /// Where its name is.
    Secret(SecretKeyRef),
}

pub(super) fn connection(given: &Connection) -> Result<ValidConnection, Invalid> {
    let Connection {
        host,
        uri_secret_ref,
        port: _,
        ssl_mode,
        user: _,
        user_secret_ref: _,
        password_secret_ref: _,
        ca_secret_ref,
        client_certificate_secret_ref,
    } = given;
    let server = match (host, uri_secret_ref) {
        (Some(host), None) => address(host, given)?,
        (None, Some(uri)) => by_uri(uri, given)?,
        _ => return Err(value("postgres.connection", messages::HOST_OR_URI)),
    };
    let ca = optional_secret("postgres.connection.caSecretRef", ca_secret_ref.as_ref())?;
    let client_certificate = client_certificate_secret_ref.clone();
    if client_certificate.as_ref().is_some_and(|secret| !is_object_name(&secret.name)) {
        return Err(value("postgres.connection.clientCertificateSecretRef", messages::OBJECT_NAME));
    }
    if client_certificate.is_some() && *ssl_mode == SslMode::Disable {
        return Err(value("postgres.connection", messages::CERTIFICATE_UNUSED));
    }
    let verifies = matches!(ssl_mode, SslMode::VerifyCa | SslMode::VerifyFull);
    match &ca {
        None if verifies => Err(value("postgres.connection", messages::CA_MISSING)),
        Some(_) if !verifies => Err(value("postgres.connection", messages::CA_UNUSED)),
        _ => Ok(ValidConnection { server, ssl_mode: *ssl_mode, ca, client_certificate }),
    }
}

fn address(host: &str, connection: &Connection) -> Result<Server, Invalid> {
    let Connection {
        port, user, user_secret_ref, password_secret_ref, client_certificate_secret_ref, ..
    } = connection;
    let plain = |c: char| c.is_ascii_alphanumeric() || "._-".contains(c);
    let is_name = (1..=253).contains(&host.len()) && host.chars().all(plain);
    if !is_name && host.parse::<Ipv6Addr>().is_err() {
        return Err(value("postgres.connection.host", messages::HOST));
    }
    if *port == 0 {
        return Err(value("postgres.connection.port", "write a port from 1 to 65535, for example 5432"));
    }
    let user = match (user, user_secret_ref) {
        (Some(user), None) if (1..=63).contains(&user.len()) => User::Named(user.clone()),
        (Some(_), None) => {
            return Err(value("postgres.connection.user", "write a role's name of 1 to 63 bytes"));
        }
        (None, Some(secret)) => User::Secret(valid_secret("postgres.connection.userSecretRef", secret)?),
        _ => return Err(value("postgres.connection", messages::USER_OR_SECRET)),
    };
    let password = optional_secret("postgres.connection.passwordSecretRef", password_secret_ref.as_ref())?;
    if password.is_none() && client_certificate_secret_ref.is_none() {
        return Err(value("postgres.connection", messages::PASSWORD_OR_CERTIFICATE));
    }
    Ok(Server::Address { host: host.to_owned(), port: *port, user, password })
}

fn by_uri(uri: &SecretKeyRef, connection: &Connection) -> Result<Server, Invalid> {
    let Connection { port, user, user_secret_ref, password_secret_ref, .. } = connection;
    if *port != 5432 || user.is_some() || user_secret_ref.is_some() || password_secret_ref.is_some() {
        return Err(value("postgres.connection", messages::URI_HAS_THEM));
    }
    Ok(Server::Uri(valid_secret("postgres.connection.uriSecretRef", uri)?))
}
