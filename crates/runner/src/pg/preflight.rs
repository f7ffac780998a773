//! Checks the server before anything is dumped: the connection, connection poolers, versions, clocks, and the
//! lag of a standby.

use std::time::Duration;

use domain::{invocation::variable, manifest::ServerFacts, reason::Reason};
use jiff::{SignedDuration, Timestamp};
use serde::Deserialize;

use super::{
    client::{self, ClientVersion},
    line_break,
    preflight_error::PreflightError,
    privilege,
    replica::Replay,
    session::{Session, SessionError},
    tool_error::ToolError,
    tools::{self, Tools},
};

/// The limits that the policy sets for a server.
#[derive(Clone, Copy, Debug)]
pub struct Requirements {
    /// Whether the client programs may have a newer major version than the server.
    pub allow_newer_client: bool,
    /// The maximum lag of a standby behind its primary.
    pub max_replica_lag: Duration,
}

/// The databases that are tried for queries about the whole server. Every database would work; these two
/// nearly always exist.
const MAINTENANCE: [&str; 2] = ["postgres", "template1"];

/// A server that passed the preflight checks.
#[derive(Debug)]
pub struct Server {
    /// The client programs, with the settings that this server supports.
    pub tools: Tools,
    pub facts: ServerFacts,
    /// The version of pg_dump, as pg_dump prints it.
    pub client_version: String,
    pub client_major: u32,
    /// The database for queries about the whole server.
    pub maintenance: String,
    pub maintenance_encoding: String,
    /// Whether the role has permission to read password hashes.
    pub reads_passwords: bool,
    pub warnings: Vec<String>,
}

#[derive(Deserialize)]
struct Facts {
    token: Option<String>,
    version: String,
    version_num: u32,
    system_identifier: String,
    timeline: u32,
    in_recovery: bool,
    bootstrap_superuser: String,
    preload: String,
    roles: Vec<String>,
    now: Timestamp,
    encoding: String,
    reads_passwords: bool,
    replay: Option<Replay>,
    others: Vec<OtherSession>,
}

/// A session of another run of the same policy, found by its application name. Only sessions of the same role
/// are searched, because any role can choose such a name.
#[derive(Deserialize)]
struct OtherSession {
    pid: i32,
    application: String,
    since: Option<Timestamp>,
}

/// Queries everything that preflight needs. It reads settings from pg_settings, which omits a setting that
/// the role has no permission to see; current_setting() would fail.
const FACTS: &str = r"
SELECT to_json(q) FROM (
    SELECT current_setting('pgbackup.session', true) AS token,
           current_setting('server_version') AS version,
           current_setting('server_version_num')::int AS version_num,
           (SELECT system_identifier::text FROM pg_control_system()) AS system_identifier,
           (SELECT timeline_id FROM pg_control_checkpoint()) AS timeline,
           pg_is_in_recovery() AS in_recovery,
           pg_get_userbyid(10) AS bootstrap_superuser,
           coalesce((SELECT setting FROM pg_settings WHERE name = 'shared_preload_libraries'), '') AS preload,
           (SELECT coalesce(json_agg(rolname ORDER BY rolname), '[]') FROM pg_roles WHERE rolname !~ '^pg_') AS roles,
           clock_timestamp() AS now,
           current_setting('server_encoding') AS encoding,
           has_table_privilege('pg_authid', 'SELECT') AS reads_passwords,
           CASE WHEN pg_is_in_recovery() THEN json_build_object(
               'receiving', EXISTS (SELECT FROM pg_stat_wal_receiver),
               'caught_up', coalesce(pg_last_wal_replay_lsn() >= pg_last_wal_receive_lsn(), false),
               'level', (SELECT coalesce(pg_last_wal_replay_lsn() >= latest_end_lsn, clock_timestamp() - last_msg_receipt_time > '5 s')
                         FROM pg_stat_wal_receiver),
               'seconds', extract(epoch FROM clock_timestamp() - pg_last_xact_replay_timestamp()),
               'paused', pg_is_wal_replay_paused(),
               'lsn', pg_last_wal_replay_lsn()::text) END AS replay,
           (SELECT coalesce(json_agg(json_build_object('pid', pid, 'application', application_name, 'since', backend_start)), '[]')
            FROM pg_stat_activity WHERE pid <> pg_backend_pid() AND usename = session_user AND split_part(application_name, '/', 1) = 'pgbackup'
            AND split_part(application_name, '/', 2) = split_part(current_setting('application_name'), '/', 2)) AS others
) q";

/// The difference of the clocks above which the run warns. Such a difference makes ages wrong and may change
/// the order of backups.
const CLOCKS_APART: SignedDuration = SignedDuration::from_mins(5);

/// Connects to the server and checks it. Returns the server, and the session for further queries about the
/// whole server. `literals` are the names in `databases.include`; they are tried if [`MAINTENANCE`] does not
/// exist.
pub async fn examine(
    tools: Tools,
    requirements: Requirements,
    literals: &[&str],
) -> Result<(Server, Session), PreflightError> {
    refuse_missing_certificates(|variable| std::env::var(variable).ok())?;
    let ClientVersion { text: client_version, major: client_major } = client::version().await?;
    // The server most likely has the client's version. The settings of that version are used from the first
    // session on, because a role's own transaction_timeout could end it. An older server rejects settings
    // that it does not know; then the first session is repeated without them, so that the error can name both
    // versions.
    let likely = tools.clone().for_server(client_major);
    let connected = match connect(&likely, literals).await {
        Err(failure) if is_about_a_setting(&failure.error) => connect(&tools, literals).await,
        connected => connected,
    };
    let (session, facts, maintenance) = connected.map_err(|failure| explained(failure, &tools))?;
    if facts.token.as_deref() != Some(tools.session_token()) {
        let why = "the session lacks a setting that was sent when the connection was opened";
        return Err(PreflightError::Pooler(why.to_owned()));
    }
    let major = facts.version_num / 10_000;
    let mut warnings = facts.warnings(Timestamp::now());
    if client_major > major && requirements.allow_newer_client {
        warnings.push(format!(
            "the client tools have major version {client_major}, but the server has {major}: a server of version {major} cannot always restore these archives"
        ));
    } else if client_major != major {
        return Err(PreflightError::Version { client: client_major, server: major });
    }
    if let Some(replay) = &facts.replay {
        replay.refuse_stale(requirements.max_replica_lag)?;
    }
    let server = Server {
        tools: tools.for_server(major),
        warnings,
        facts: ServerFacts {
            version: facts.version,
            version_num: facts.version_num,
            system_identifier: facts.system_identifier,
            timeline: facts.timeline,
            in_recovery: facts.in_recovery,
            bootstrap_superuser: facts.bootstrap_superuser,
            shared_preload_libraries: facts.preload,
            roles: facts.roles,
        },
        client_version,
        client_major,
        maintenance,
        maintenance_encoding: facts.encoding,
        reads_passwords: facts.reads_passwords,
    };
    Ok((server, session))
}

impl Facts {
    fn warnings(&self, now: Timestamp) -> Vec<String> {
        let others = self.others.iter().map(|OtherSession { pid, application, since }| {
            let since = since.map(|since| format!(" since {since}")).unwrap_or_default();
            format!(
                "the server has a session of another run of this policy: process {pid} ({application}){since}. If that run has ended, run pg_terminate_backend({pid}), or wait until the server ends the session."
            )
        });
        others.chain(clocks_apart(self.now, now)).collect()
    }
}

fn clocks_apart(server: Timestamp, ours: Timestamp) -> Option<String> {
    let apart = server.duration_since(ours);
    (apart.abs() > CLOCKS_APART).then(|| {
        let (minutes, way) = (apart.abs().as_mins(), if apart.is_positive() { "ahead of" } else { "behind" });
        format!(
            "the server's clock is {minutes} min {way} the node's clock, so the age and the order of backups can be wrong. Synchronize both clocks with NTP."
        )
    })
}

/// A failure of the first session, with the database that it used.
struct ConnectFailure {
    error: SessionError,
    database: String,
}

async fn connect(tools: &Tools, literals: &[&str]) -> Result<(Session, Facts, String), ConnectFailure> {
    let mut first_failure = None;
    for database in MAINTENANCE.iter().chain(literals) {
        let failed = |error| ConnectFailure { error, database: (*database).to_owned() };
        let mut session = Session::open(tools, database).map_err(failed)?;
        match session.query(FACTS).await {
            Ok(facts) => return Ok((session, facts, (*database).to_owned())),
            Err(error) => {
                let is_about_the_database = is_about_the_database(&error);
                tracing::debug!("cannot use database {database} for queries about the server: {error}");
                let first = first_failure.take().unwrap_or_else(|| failed(error));
                if !is_about_the_database {
                    // The failure does not depend on the database, so no other one is tried.
                    return Err(first);
                }
                first_failure = Some(first);
            }
        }
    }
    Err(first_failure.expect("there should be a database to connect to"))
}

fn explained(ConnectFailure { error, database }: ConnectFailure, tools: &Tools) -> PreflightError {
    match error.reason(Reason::ServerNotReady) {
        Reason::PoolerNotSupported => PreflightError::Pooler(error.to_string()),
        Reason::AuthenticationFailed => match line_break::find(|name| tools.connection_variable(name)) {
            Some(value) => {
                let user = tools.connection_variable(variable::PGUSER).unwrap_or_default();
                let message = match &error {
                    SessionError::Failed(ToolError { program, stderr }) => {
                        ToolError::new(program, &line_break::shown(stderr, &user)).to_string()
                    }
                    error => error.to_string(),
                };
                PreflightError::LineBreak { value, message }
            }
            None => error.into(),
        },
        Reason::MissingPrivilege => {
            let role = tools.connection_variable(variable::PGUSER);
            let role = role.map_or(privilege::ANY_ROLE.to_owned(), |role| privilege::quoted(&role));
            PreflightError::Facts { error, database, role }
        }
        _ => error.into(),
    }
}

/// Returns whether the server rejects a setting that it does not know. The message may be translated, but the
/// setting's name is not.
fn is_about_a_setting(error: &SessionError) -> bool {
    let SessionError::Failed(ToolError { stderr, .. }) = error else {
        return false;
    };
    tools::NEWER_SETTINGS.iter().any(|(_, name, _)| stderr.contains(name))
}

fn is_about_the_database(error: &SessionError) -> bool {
    let SessionError::Failed(ToolError { stderr, .. }) = error else {
        return false;
    };
    stderr.contains("FATAL:") && stderr.contains("database \"") && !stderr.contains("authentication failed")
}

/// Returns an error for a certificate file that does not exist. A pod's volume omits missing Secrets and
/// keys.
fn refuse_missing_certificates(variable: impl Fn(&str) -> Option<String>) -> Result<(), PreflightError> {
    for (name, field) in [
        (variable::PGSSLROOTCERT, "caSecretRef"),
        (variable::PGSSLCERT, "clientCertificateSecretRef"),
        (variable::PGSSLKEY, "clientCertificateSecretRef"),
    ] {
        let missing =
            variable(name).filter(|path| path.starts_with('/') && !std::path::Path::new(path).exists());
        if let Some(path) = missing {
            return Err(PreflightError::Certificate { path, field });
        }
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn missing_certificate_file_is_rejected() {
        assert!(refuse_missing_certificates(|_| None).is_ok());
        // Since PostgreSQL 16, "system" means the system's own certificates.
        assert!(refuse_missing_certificates(|_| Some("system".into())).is_ok());
        assert!(refuse_missing_certificates(|_| Some("/proc/self/exe".into())).is_ok());
        let error = refuse_missing_certificates(|_| Some("/no/such/ca.crt".into())).unwrap_err();
        assert_eq!(error.reason(), Reason::TlsFailed);
        let wanted = "the file \"/no/such/ca.crt\" of postgres.connection.caSecretRef does not exist";
        assert_eq!(error.to_string(), wanted);
        let hint = "Create the Secret that postgres.connection.caSecretRef selects, with all its keys.";
        assert_eq!(error.hint().as_deref(), Some(hint));
    }

    #[test]
    fn clock_difference_over_five_minutes_causes_a_warning() {
        let time = |text: &str| text.parse::<Timestamp>().unwrap();
        let ours = time("2026-05-01T12:00:00Z");
        assert_eq!(clocks_apart(time("2026-05-01T12:04:59Z"), ours), None);
        assert_eq!(clocks_apart(time("2026-05-01T11:55:01Z"), ours), None);
        let ahead = clocks_apart(time("2026-05-01T13:00:00Z"), ours).unwrap();
        assert!(ahead.contains("60 min ahead of"), "{ahead}");
        let behind = clocks_apart(time("2026-05-01T11:50:00Z"), ours).unwrap();
        assert!(behind.contains("10 min behind"), "{behind}");
    }

    #[test]
    fn version_mismatch_error_shows_both_versions() {
        let error = PreflightError::Version { client: 15, server: 17 };
        assert_eq!(error.reason(), Reason::ClientTooOld);
        assert_eq!(
            error.to_string(),
            "the client tools have major version 15, but the server has major version 17"
        );
        assert_eq!(PreflightError::Version { client: 17, server: 15 }.reason(), Reason::ClientTooNew);
    }

    fn explained_as(stderr: &str, user: &str) -> PreflightError {
        let uri = format!("postgresql://{user}:x@db/");
        let uri = domain::uri::ConnectionUri::parse(&uri).unwrap();
        let tools = Tools::new(Some(uri), "a".into(), "token".into());
        let error = ToolError::new("psql", stderr).into();
        explained(ConnectFailure { error, database: "postgres".to_owned() }, &tools)
    }

    #[test]
    fn user_name_with_a_trailing_line_break_is_reported() {
        let stderr = "psql: error: connection to server at \"db\" failed: FATAL:  password authentication failed for user \"postgres\n\"";
        let error = explained_as(stderr, "postgres%0A");
        assert_eq!(error.reason(), Reason::AuthenticationFailed);
        assert_eq!(
            error.to_string(),
            "the user name ends with a line break: psql: error: connection to server at \"db\" failed: FATAL:  password authentication failed for user \"postgres\""
        );
        assert!(error.hint().unwrap().contains("without a line break"), "{:?}", error.hint());
    }

    #[test]
    fn hint_for_denied_pg_control_functions_is_grant_execute() {
        let error = explained_as("ERROR:  42501: permission denied for function pg_control_system", "Backup");
        assert_eq!(error.reason(), Reason::MissingPrivilege);
        assert_eq!(
            error.hint().unwrap(),
            "Run in database \"postgres\": GRANT EXECUTE ON FUNCTION pg_control_system(), pg_control_checkpoint() TO \"Backup\"."
        );
    }
}
