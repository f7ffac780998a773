//! The runner's environment.

use api::{
    meta,
    policy::{SecretKeyRef, SslMode},
};
use domain::operation::Operation;
use k8s_openapi::api::core::v1::{EnvVar, EnvVarSource, ObjectFieldSelector, SecretKeySelector};

use super::{CA_FILE, SCRATCH_PATH, TLS_CERT_KEY, TLS_PATH, TLS_PRIVATE_KEY_KEY, store};
use crate::validate::{Server, User, ValidPolicy};

/// How the server and the store are reached, and which run this is. A scrub has nothing to do with the server, and removes
/// nothing.
pub fn variables(policy: &ValidPolicy, operation: Operation) -> Vec<EnvVar> {
    let mut variables = match operation {
        Operation::Backup => server(policy),
        Operation::Scrub => Vec::new(),
    };
    variables.extend(store::variables(policy, operation));
    variables.extend([
        from_label("PGBACKUP_JOB", meta::JOB_NAME_LABEL),
        from_label("PGBACKUP_JOB_UID", meta::JOB_UID_LABEL),
        plain("HOME", SCRATCH_PATH),
        plain("TMPDIR", SCRATCH_PATH),
    ]);
    variables
}

/// libpq's usual variables.
fn server(policy: &ValidPolicy) -> Vec<EnvVar> {
    let connection = &policy.connection;
    let ssl_mode = match connection.ssl_mode {
        SslMode::Disable => "disable",
        SslMode::Prefer => "prefer",
        SslMode::Require => "require",
        SslMode::VerifyCa => "verify-ca",
        SslMode::VerifyFull => "verify-full",
    };
    let mut variables = match &connection.server {
        Server::Uri(secret) => vec![from_secret("PGBACKUP_URI", secret)],
        Server::Address { host, port, user, password } => {
            let user = match user {
                User::Named(user) => plain("PGUSER", user),
                User::Secret(secret) => from_secret("PGUSER", secret),
            };
            let password = password.as_ref().map(|password| from_secret("PGPASSWORD", password));
            let address = [plain("PGHOST", host), plain("PGPORT", &port.to_string()), user];
            address.into_iter().chain(password).collect()
        }
    };
    variables.push(plain("PGSSLMODE", ssl_mode));
    let file = |name: &str, file: &str| plain(name, &format!("{TLS_PATH}/{file}"));
    variables.extend(connection.ca.is_some().then(|| file("PGSSLROOTCERT", CA_FILE)));
    if connection.client_certificate.is_some() {
        variables.extend([file("PGSSLCERT", TLS_CERT_KEY), file("PGSSLKEY", TLS_PRIVATE_KEY_KEY)]);
    }
    variables
}

/// Kubernetes expands `$(NAME)` in arguments and values; a doubled dollar sign is one that stays.
pub fn literal(text: &str) -> String {
    text.replace('$', "$$")
}

pub fn plain(name: &str, value: &str) -> EnvVar {
    EnvVar { name: name.to_owned(), value: Some(literal(value)), value_from: None }
}

pub fn from_secret(name: &str, secret: &SecretKeyRef) -> EnvVar {
    let selector = SecretKeySelector { name: secret.name.clone(), key: secret.key.clone(), optional: None };
    let source = EnvVarSource { secret_key_ref: Some(selector), ..EnvVarSource::default() };
    EnvVar { name: name.to_owned(), value: None, value_from: Some(source) }
}

fn from_label(name: &str, label: &str) -> EnvVar {
    let field = ObjectFieldSelector {
        api_version: Some("v1".to_owned()),
        field_path: format!("metadata.labels['{label}']"),
    };
    let source = EnvVarSource { field_ref: Some(field), ..EnvVarSource::default() };
    EnvVar { name: name.to_owned(), value: None, value_from: Some(source) }
}
