//! The runner's environment.

use api::{meta, policy::SslMode};
use domain::operation::Operation;
use k8s_openapi::api::core::v1::EnvVar;

use super::{
    env_var::{from_label, from_secret, plain},
    store, tls,
    volumes::SCRATCH_PATH,
};
use crate::validate::{Server, User, ValidPolicy};

/// How the runner reaches the server and the store, and which run it is. A scrub gets neither the server nor the
/// credentials for removals.
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

/// The variables of libpq.
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
    let file = |name: &str, file: &str| plain(name, &tls::path(file));
    variables.extend(connection.ca.is_some().then(|| file("PGSSLROOTCERT", tls::CA_FILE)));
    if connection.client_certificate.is_some() {
        variables.extend([file("PGSSLCERT", tls::CERT_FILE), file("PGSSLKEY", tls::PRIVATE_KEY_FILE)]);
    }
    variables
}
