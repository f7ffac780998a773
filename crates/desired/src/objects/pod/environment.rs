//! The runner's environment variables in a pod.

use api::meta;
use domain::{invocation::variable, operation::Operation};
use k8s_openapi::api::core::v1::EnvVar;

use super::{
    env_var::{from_label, from_secret, plain},
    store, tls,
    volumes::SCRATCH_PATH,
};
use crate::validate::{Server, User, ValidPolicy};

/// Returns the variables that configure the connection to the server and the store, and that identify the
/// run. A scrub has no variables for the server, and none for the credentials for removals.
pub fn variables(policy: &ValidPolicy, operation: Operation) -> Vec<EnvVar> {
    let mut variables = if operation.connects_to_server() { server(policy) } else { Vec::new() };
    variables.extend(store::variables(policy, operation));
    variables.extend([
        from_label(variable::PGBACKUP_JOB, meta::JOB_NAME_LABEL),
        from_label(variable::PGBACKUP_JOB_UID, meta::JOB_UID_LABEL),
        plain("HOME", SCRATCH_PATH),
        plain("TMPDIR", SCRATCH_PATH),
    ]);
    variables
}

/// Returns the variables of the connection to the PostgreSQL server.
fn server(policy: &ValidPolicy) -> Vec<EnvVar> {
    let connection = &policy.connection;
    let mut variables = match &connection.server {
        Server::Uri(secret) => vec![from_secret(variable::PGBACKUP_URI, secret)],
        Server::Address { host, port, user, password } => {
            let user = match user {
                User::Named(user) => plain(variable::PGUSER, user),
                User::Secret(secret) => from_secret(variable::PGUSER, secret),
            };
            let password = password.as_ref().map(|password| from_secret(variable::PGPASSWORD, password));
            let address = [plain(variable::PGHOST, host), plain(variable::PGPORT, &port.to_string()), user];
            address.into_iter().chain(password).collect()
        }
    };
    variables.push(plain(variable::PGSSLMODE, connection.ssl_mode.as_str()));
    let file = |name: &str, file: &str| plain(name, &tls::path(file));
    variables.extend(connection.ca.is_some().then(|| file(variable::PGSSLROOTCERT, tls::CA_FILE)));
    if connection.client_certificate.is_some() {
        variables.extend([
            file(variable::PGSSLCERT, tls::CERT_FILE),
            file(variable::PGSSLKEY, tls::PRIVATE_KEY_FILE),
        ]);
    }
    variables
}
