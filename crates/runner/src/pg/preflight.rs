//! What can be known to fail before a byte is dumped: reachability, the pooler check, versions.

use std::time::Duration;

use domain::{manifest::ServerFacts, reason::Reason};
use jiff::{SignedDuration, Timestamp};
use serde::Deserialize;

use super::{
    error::ToolError,
    session::{Session, SessionError},
    tools::{self, Tools},
};

/// What the policy accepts of a server.
#[derive(Clone, Copy, Debug)]
pub struct Requirements {
    /// Whether the client tools may have a newer major version than the server.
    pub allow_newer_client: bool,
    /// How far a standby may be behind its primary.
    pub max_replica_lag: Duration,
}

/// Where server-wide questions are asked. Any database does; these two are nearly always there.
const MAINTENANCE: [&str; 2] = ["postgres", "template1"];

/// A server that backups can be taken from.
#[derive(Debug)]
pub struct Server {
    /// The tools, with the settings that this server knows.
    pub tools: Tools,
    /// The server.
    pub facts: ServerFacts,
    /// pg_dump's version, as it says it.
    pub client_version: String,
    /// pg_dump's major version.
    pub client_major: u32,
    /// The database where server-wide questions are answered.
    pub maintenance: String,
    /// Its encoding.
    pub maintenance_encoding: String,
    /// Whether the role may read password hashes.
    pub reads_passwords: bool,
    /// What is worth knowing and no obstacle.
    pub warnings: Vec<String>,
}

/// A server that backups cannot be taken from.
#[derive(Debug, thiserror::Error)]
pub enum PreflightError {
    /// pg_dump is not there or says nothing of its version.
    #[error("the image has no usable pg_dump: {0}")]
    Client(String),
    /// No session came to be.
    #[error("{0}")]
    Connect(#[from] SessionError),
    /// A session's own settings are refused, or did not come back.
    #[error("a connection pooler answers at this address: {0}")]
    Pooler(String),
    /// A certificate is not there.
    #[error(
        "{variable}={path} is not there: create the Secret, with the key, that postgres.connection.{field} names"
    )]
    Certificate {
        /// libpq's variable.
        variable: &'static str,
        /// The file.
        path: String,
        /// The policy's field.
        field: &'static str,
    },
    /// A standby is too far behind.
    #[error("the standby {0}")]
    Stale(String),
    /// The client tools are of another major version than the server.
    #[error("the client tools are of PostgreSQL {client}, the server is PostgreSQL {server}")]
    Version {
        /// The client's major version.
        client: u32,
        /// The server's major version.
        server: u32,
    },
}

impl PreflightError {
    /// The reason word.
    pub fn reason(&self) -> Reason {
        match self {
            Self::Client(_) => Reason::InvalidConfiguration,
            Self::Connect(error) => error.reason(Reason::ServerNotReady),
            Self::Certificate { .. } => Reason::TlsFailed,
            Self::Stale(_) => Reason::ReplicaStale,
            Self::Pooler(_) => Reason::PoolerNotSupported,
            Self::Version { client, server } if client < server => Reason::ClientTooOld,
            Self::Version { .. } => Reason::ClientTooNew,
        }
    }
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
    others: Vec<Other>,
}

/// How far a standby is.
#[derive(Clone, Debug, Deserialize)]
struct Replay {
    /// Whether something sends it what the primary writes.
    receiving: bool,
    /// Whether all that was received is replayed.
    caught_up: bool,
    /// Whether all is replayed that its sender had when it sent its newest message: what was received may be hours old on
    /// a slow network. A sender that has more sends it at once; one that sent nothing yet has nothing. Not known where the
    /// role may not see it.
    level: Option<bool>,
    /// The age of the newest replayed transaction, in seconds; none was replayed yet.
    seconds: Option<f64>,
    /// Whether replay was paused by hand.
    paused: bool,
    /// Where it is.
    lsn: Option<String>,
}

/// A session of another run of the same policy. Anybody can give a session such a name, and everybody sees it: only those
/// of our own role count.
#[derive(Deserialize)]
struct Other {
    pid: i32,
    application: String,
    since: Option<Timestamp>,
}

/// Settings that the role may not see are empty in pg_settings, where current_setting() would fail. Of other roles'
/// sessions hardly more is seen than that they exist, unless the role is in pg_read_all_stats.
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

/// Clocks further apart than this make ages wrong and may put sets out of their order.
const CLOCKS_APART: SignedDuration = SignedDuration::from_mins(5);

/// Connects and looks; gives the session too, for more server-wide questions. `literals` are databases that the policy
/// names: one of them answers where the usual ones are missing.
pub async fn examine(
    tools: Tools,
    requirements: Requirements,
    literals: &[&str],
) -> Result<(Server, Session), PreflightError> {
    refuse_missing_certificates(|variable| std::env::var(variable).ok())?;
    let (client_version, client_major) = client_version().await?;
    // Most likely the server is of the client's version, and a role's own transaction_timeout must not end even the
    // first session. A server that is older refuses settings that it does not know: the first session does without
    // them there, so that the message can name the version.
    let likely = tools.clone().for_server(client_major);
    let connected = match connect(&likely, literals).await {
        Err(error) if is_about_a_setting(&error) => connect(&tools, literals).await,
        connected => connected,
    };
    let (session, facts, maintenance) = connected.map_err(|error| {
        if error.reason(Reason::ServerNotReady) == Reason::PoolerNotSupported {
            PreflightError::Pooler(error.to_string())
        } else {
            error.into()
        }
    })?;
    if facts.token.as_deref() != Some(tools.session_token()) {
        let why = "a setting that was given with the connection did not come back";
        return Err(PreflightError::Pooler(why.to_owned()));
    }
    let major = facts.version_num / 10_000;
    let mut warnings = facts.warnings(Timestamp::now());
    if client_major > major && requirements.allow_newer_client {
        warnings.push(format!(
            "the client tools are of PostgreSQL {client_major}: the archives may not restore into a server of {major}, as this one is"
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
        let others = self.others.iter().map(|Other { pid, application, since }| {
            let since = since.map(|since| format!(" since {since}")).unwrap_or_default();
            format!(
                "a session of another run is on the server: process {pid} ({application}){since}; if that run is dead, it ends by itself or by pg_terminate_backend({pid})"
            )
        });
        others.chain(clocks_apart(self.now, now)).collect()
    }
}

impl Replay {
    /// A standby that has replayed all that its sender has, and is still being sent more, is as new as its primary, however
    /// long ago that wrote something. Any other is as old as the newest transaction that it replayed.
    fn refuse_stale(&self, most: Duration) -> Result<(), PreflightError> {
        let Self { receiving, caught_up, level, seconds, paused, ref lsn } = *self;
        if receiving && caught_up && level == Some(true) && !paused {
            return Ok(());
        }
        if seconds.is_some_and(|seconds| seconds <= most.as_secs_f64()) {
            return Ok(());
        }
        let why = if paused {
            "its replay is paused"
        } else if !receiving {
            "nothing sends it what its primary writes"
        } else if !caught_up {
            "it has not replayed all that it has received"
        } else if level.is_none() {
            "whether its primary has written since cannot be seen without pg_read_all_stats (GRANT it to the role)"
        } else {
            "it has not received all that its primary has written"
        };
        let age = seconds.map_or("it has replayed nothing yet".to_owned(), |seconds| {
            format!("the newest transaction that it replayed is {seconds:.0} s old")
        });
        let at = lsn.as_ref().map(|lsn| format!(" (at {lsn})")).unwrap_or_default();
        Err(PreflightError::Stale(format!(
            "is too far behind its primary: {age}{at}, {why}; the policy allows {} s",
            most.as_secs()
        )))
    }
}

fn clocks_apart(server: Timestamp, ours: Timestamp) -> Option<String> {
    let apart = server.duration_since(ours);
    (apart.abs() > CLOCKS_APART).then(|| {
        let (minutes, way) = (apart.abs().as_mins(), if apart.is_positive() { "ahead of" } else { "behind" });
        format!(
            "the server's clock is {minutes} min {way} this node's: ages are wrong, and sets may stand in a wrong order; set both clocks by NTP"
        )
    })
}

async fn connect(tools: &Tools, literals: &[&str]) -> Result<(Session, Facts, String), SessionError> {
    let mut first_error = None;
    for database in MAINTENANCE.iter().chain(literals) {
        let mut session = Session::open(tools, database)?;
        match session.query(FACTS).await {
            Ok(facts) => return Ok((session, facts, (*database).to_owned())),
            Err(error) => {
                let other_database_may_do = is_about_the_database(&error);
                let first = first_error.get_or_insert(error);
                if !other_database_may_do {
                    // What is wrong is wrong for every database; the newest words are about this one.
                    return Err(first_error.take().unwrap_or(SessionError::Silent));
                }
                tracing::debug!("database {database} does not answer: {first}");
            }
        }
    }
    Err(first_error.unwrap_or(SessionError::Silent))
}

/// The settings that [`Tools`] gives to servers of some versions only. The server's words may be in any language,
/// the names are not.
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

/// Files that libpq is told of and that the pod has not got: the volume leaves out what does not exist.
fn refuse_missing_certificates(variable: impl Fn(&str) -> Option<String>) -> Result<(), PreflightError> {
    for (name, field) in [
        ("PGSSLROOTCERT", "caSecretRef"),
        ("PGSSLCERT", "clientCertificateSecretRef"),
        ("PGSSLKEY", "clientCertificateSecretRef"),
    ] {
        let missing =
            variable(name).filter(|path| path.starts_with('/') && !std::path::Path::new(path).exists());
        if let Some(path) = missing {
            return Err(PreflightError::Certificate { variable: name, path, field });
        }
    }
    Ok(())
}

async fn client_version() -> Result<(String, u32), PreflightError> {
    let output = tools::offline("pg_dump").arg("--version").output().await;
    let output = output.map_err(|error| PreflightError::Client(error.to_string()))?;
    let text = String::from_utf8_lossy(&output.stdout);
    parse_version(&text)
        .ok_or_else(|| PreflightError::Client(format!("pg_dump --version says {:?}", text.trim())))
}

/// `pg_dump (PostgreSQL) 17.6 (Debian 17.6-0+deb13u1)`: the version and its major number.
fn parse_version(text: &str) -> Option<(String, u32)> {
    let (_, version) = text.trim().split_once("(PostgreSQL) ")?;
    let digits: String = version.chars().take_while(char::is_ascii_digit).collect();
    Some((version.to_owned(), digits.parse().ok()?))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_version_is_read_from_what_pg_dump_says() {
        let read = |text| parse_version(text).map(|(_, major)| major);
        assert_eq!(read("pg_dump (PostgreSQL) 17.6 (Debian 17.6-0+deb13u1)\n"), Some(17));
        assert_eq!(read("pg_dump (PostgreSQL) 18beta1\n"), Some(18));
        assert_eq!(read("something else"), None);
    }

    #[test]
    fn a_certificate_that_is_not_there_is_named() {
        assert!(refuse_missing_certificates(|_| None).is_ok());
        // PostgreSQL 16 and later: the system's own.
        assert!(refuse_missing_certificates(|_| Some("system".into())).is_ok());
        assert!(refuse_missing_certificates(|_| Some("/proc/self/exe".into())).is_ok());
        let error = refuse_missing_certificates(|_| Some("/no/such/ca.crt".into())).unwrap_err();
        assert_eq!(error.reason(), Reason::TlsFailed);
        assert!(error.to_string().contains("/no/such/ca.crt") && error.to_string().contains("caSecretRef"));
    }

    #[test]
    fn clocks_that_are_far_apart_are_told() {
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
    fn a_standby_is_as_new_as_its_primary_or_as_old_as_its_newest_transaction() {
        let level = Replay {
            receiving: true,
            caught_up: true,
            level: Some(true),
            seconds: Some(7200.0),
            paused: false,
            lsn: Some("0/3000060".into()),
        };
        for (replay, why) in [
            (level.clone(), None),
            (Replay { seconds: None, ..level.clone() }, None),
            (Replay { paused: true, ..level.clone() }, Some("replay is paused")),
            (Replay { receiving: false, level: None, ..level.clone() }, Some("nothing sends it")),
            (Replay { caught_up: false, ..level.clone() }, Some("not replayed all that it has received")),
            (Replay { level: Some(false), ..level.clone() }, Some("not received all")),
            (Replay { level: None, ..level.clone() }, Some("pg_read_all_stats")),
            (Replay { receiving: false, seconds: None, ..level.clone() }, Some("replayed nothing yet")),
        ] {
            let told = |replay: &Replay| replay.refuse_stale(Duration::from_mins(5)).err();
            let refused = told(&replay);
            assert_eq!(refused.is_some(), why.is_some(), "{replay:?}");
            if let (Some(refused), Some(why)) = (refused, why) {
                assert_eq!(refused.reason(), Reason::ReplicaStale);
                let message = refused.to_string();
                assert!(message.contains(why) && message.contains("allows 300 s"), "{message}");
            }
            // What is young enough is fresh, whatever else is known.
            assert!(told(&Replay { seconds: Some(300.0), ..replay.clone() }).is_none(), "{replay:?}");
            assert_eq!(told(&Replay { seconds: Some(300.1), ..replay }).is_some(), why.is_some());
        }
    }

    #[test]
    fn the_reason_tells_an_old_client_from_a_new_one_and_the_message_names_both() {
        let error = PreflightError::Version { client: 15, server: 17 };
        assert_eq!(error.reason(), Reason::ClientTooOld);
        assert!(error.to_string().contains("15") && error.to_string().contains("17"));
        assert_eq!(PreflightError::Version { client: 17, server: 15 }.reason(), Reason::ClientTooNew);
    }
}
