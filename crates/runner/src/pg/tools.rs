//! How the client programs are started: the same environment for all of them.

use std::{
    os::unix::process::ExitStatusExt as _,
    process::{ExitStatus, Stdio},
};

use domain::uri::ConnectionUri;
use tokio::process::Command;

/// The environment variable with a connection URI. No program of PostgreSQL's sees it.
pub const URI: &str = "PGBACKUP_URI";

/// libpq's keepalives have no environment variables of their own. A connection string without a database
/// leaves that to `PGDATABASE`. A dead server is noticed within a minute.
const CONNECTION: &str = "--dbname=keepalives=1 keepalives_idle=30 keepalives_interval=10 keepalives_count=3 tcp_user_timeout=60000";

/// Seconds until a server that does not answer is given up.
const CONNECT_TIMEOUT: &str = "15";

/// PostgreSQL cuts application names at 63 bytes.
const APPLICATION_NAME_MAX: usize = 63;

/// What the store's credentials begin with, and our own variables, the connection's URI among them: no client program of
/// PostgreSQL's has any use for them.
const NOT_FOR_CLIENTS: [&str; 4] = ["AWS_", "AZURE_", "GOOGLE_", "PGBACKUP_"];

/// Settings that a server refuses to start a session with before this major version.
pub const NEWER_SETTINGS: [(u32, &str, &str); 3] = [
    (14, "idle_session_timeout", "0"),
    (14, "client_connection_check_interval", "10s"),
    (17, "transaction_timeout", "0"),
];

/// The client programs with the settings of one run.
#[derive(Clone, Debug)]
pub struct Tools {
    /// The connection, where it comes as a URI; else the environment has it.
    uri: Option<ConnectionUri>,
    application_name: String,
    /// Known after the first session; the settings that older servers do not know depend on it.
    server_major: Option<u32>,
    /// A value that only a session of our own can give back: a pooler that hands out somebody else's has not.
    session_token: String,
}

impl Tools {
    /// The tools of the run `application_name`; `session_token` is any text that is different in each run.
    pub fn new(uri: Option<ConnectionUri>, mut application_name: String, session_token: String) -> Self {
        application_name.truncate(application_name.floor_char_boundary(APPLICATION_NAME_MAX));
        Self { uri, application_name, server_major: None, session_token }
    }

    /// The same, now that the server's major version is known.
    pub fn for_server(mut self, major: u32) -> Self {
        self.server_major = Some(major);
        self
    }

    /// The value that a session finds in its setting `pgbackup.session` if it is really ours.
    pub fn session_token(&self) -> &str {
        &self.session_token
    }

    /// psql on `database`, for [`super::session::Session`].
    pub fn psql(&self, database: &str) -> Command {
        let mut command = self.client("psql");
        command
            .env("PGDATABASE", database)
            .env("PGCLIENTENCODING", "UTF8")
            .env("PGOPTIONS", self.options(true));
        command
    }

    /// A program that reads `database` in its own encoding: pg_dump. With `None`: pg_dumpall, which finds a
    /// database by itself.
    pub fn dump(&self, program: &str, database: Option<&str>) -> Command {
        let mut command = self.client(program);
        command.env_remove("PGCLIENTENCODING").env("PGOPTIONS", self.options(false));
        if let Some(database) = database {
            command.env("PGDATABASE", database);
        }
        command
    }

    fn client(&self, program: &str) -> Command {
        let mut command = offline(program);
        command
            .args(["--no-password", CONNECTION])
            .env("PGAPPNAME", &self.application_name)
            .env("PGCONNECT_TIMEOUT", CONNECT_TIMEOUT);
        if let Some(uri) = &self.uri {
            let ssl_mode = std::env::var("PGSSLMODE").unwrap_or_else(|_| "prefer".to_owned());
            command.envs(uri.variables(&ssl_mode));
        }
        command
    }

    /// Settings of every session. Those of the role and of the database would win over the server's: a role's
    /// own statement_timeout has ended backups.
    fn options(&self, own_queries: bool) -> String {
        let mut settings = vec![
            "statement_timeout=0".to_owned(),
            "lock_timeout=0".to_owned(),
            "idle_in_transaction_session_timeout=0".to_owned(),
            "tcp_keepalives_idle=30".to_owned(),
            "tcp_keepalives_interval=10".to_owned(),
            "tcp_keepalives_count=3".to_owned(),
            "tcp_user_timeout=60s".to_owned(),
            "TimeZone=UTC".to_owned(),
            "bytea_output=hex".to_owned(),
            format!("pgbackup.session={}", self.session_token),
        ];
        if own_queries {
            // A hostile search_path could put its own functions before the system's.
            settings.extend(["row_security=off".to_owned(), "search_path=pg_catalog".to_owned()]);
        }
        let known = NEWER_SETTINGS.iter().filter(|(since, ..)| self.server_major >= Some(*since));
        settings.extend(known.map(|(_, name, value)| format!("{name}={value}")));
        settings.iter().map(|setting| format!("-c {setting}")).collect::<Vec<_>>().join(" ")
    }
}

/// A program with pipes and without a terminal, killed when it is dropped; its messages are English.
pub fn offline(program: &str) -> Command {
    let mut command = Command::new(program);
    command
        .kill_on_drop(true)
        .stdin(Stdio::null())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .env_remove("LC_ALL")
        .env_remove("LANGUAGE")
        .env("LC_MESSAGES", "C");
    remove_variables(&mut command, &NOT_FOR_CLIENTS);
    command
}

fn remove_variables(command: &mut Command, beginnings: &[&str]) {
    for (name, _) in std::env::vars_os() {
        if beginnings.iter().any(|beginning| name.as_encoded_bytes().starts_with(beginning.as_bytes())) {
            command.env_remove(name);
        }
    }
}

/// pg_restore without the connection's settings, the password above all.
pub fn pg_restore() -> Command {
    let mut command = offline("pg_restore");
    remove_variables(&mut command, &["PG"]);
    command
}

/// Whether a program was ended by signal 9: nobody but the kernel, short of memory, sends it to one of ours.
pub fn was_killed(status: ExitStatus) -> bool {
    status.signal() == Some(9)
}

/// A command line as it goes into the manifest: program and arguments. There are no secrets in it.
pub fn command_line(command: &Command) -> Vec<String> {
    let command = command.as_std();
    std::iter::once(command.get_program())
        .chain(command.get_args())
        .map(|word| word.to_string_lossy().into_owned())
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_database_name_is_never_an_argument() {
        let tools = Tools::new(None, "pgbackup/shop/x".into(), "token".into());
        let command = tools.dump("pg_dump", Some("dbname=t host=evil"));
        assert!(command_line(&command).iter().all(|word| !word.contains("evil")));
        let database = command.as_std().get_envs().find(|(name, _)| *name == "PGDATABASE");
        assert_eq!(database.unwrap().1.unwrap(), "dbname=t host=evil");
    }

    #[test]
    fn a_uri_travels_in_the_environment_and_is_shown_nowhere() {
        let uri = ConnectionUri::parse("postgresql://app:secret@db:5433/app").unwrap();
        let tools = Tools::new(Some(uri), "a".into(), "token".into());
        let command = tools.dump("pg_dump", Some("shop"));
        assert!(command_line(&command).iter().all(|word| !word.contains("secret")));
        assert!(!format!("{tools:?}").contains("secret"));
        let variables: std::collections::BTreeMap<_, _> = command.as_std().get_envs().collect();
        let variable = |name: &str| variables.get(std::ffi::OsStr::new(name)).copied().flatten();
        assert_eq!(variable("PGHOST").unwrap(), "db");
        assert_eq!(variable("PGPASSWORD").unwrap(), "secret");
        assert_eq!(variable("PGDATABASE").unwrap(), "shop", "not the URI's");
        assert_eq!(variable(URI), None);
    }

    #[test]
    fn a_long_name_is_cut_between_characters() {
        let tools = Tools::new(None, format!("{}é", "a".repeat(APPLICATION_NAME_MAX - 1)), "token".into());
        assert_eq!(tools.application_name, "a".repeat(APPLICATION_NAME_MAX - 1));
    }

    #[test]
    fn every_session_has_the_settings_that_keep_it_alive_and_its_words_the_same() {
        let tools = Tools::new(None, "pgbackup/shop/x".into(), "token".into()).for_server(17);
        let (ours, dumps) = (tools.psql("shop"), tools.dump("pg_dump", Some("shop")));
        for command in [&ours, &dumps] {
            let connection = command_line(command).join(" ");
            for setting in [
                "--no-password",
                "keepalives=1",
                "keepalives_idle=30",
                "keepalives_interval=10",
                "keepalives_count=3",
                "tcp_user_timeout=60000",
            ] {
                assert!(
                    connection.split([' ']).any(|word| word.trim_start_matches("--dbname=") == setting),
                    "{setting}"
                );
            }
            assert_eq!(variable(command, "PGCONNECT_TIMEOUT").as_deref(), Some("15"));
            assert_eq!(variable(command, "PGAPPNAME").as_deref(), Some("pgbackup/shop/x"));
            assert_eq!(variable(command, "LC_MESSAGES").as_deref(), Some("C"));
            let options = variable(command, "PGOPTIONS").unwrap();
            let settings: Vec<&str> = options.split("-c ").map(str::trim).collect();
            for setting in [
                "statement_timeout=0",
                "lock_timeout=0",
                "idle_in_transaction_session_timeout=0",
                "idle_session_timeout=0",
                "transaction_timeout=0",
                "client_connection_check_interval=10s",
                "tcp_keepalives_idle=30",
                "tcp_keepalives_interval=10",
                "tcp_keepalives_count=3",
                "tcp_user_timeout=60s",
                "TimeZone=UTC",
                "bytea_output=hex",
                "pgbackup.session=token",
            ] {
                assert!(settings.contains(&setting), "{setting} is not in {options}");
            }
        }
        // Those of our own queries only.
        for setting in ["row_security=off", "search_path=pg_catalog"] {
            let has = |command| variable(command, "PGOPTIONS").unwrap().contains(setting);
            assert!(has(&ours) && !has(&dumps), "{setting}");
        }
        assert_eq!(variable(&ours, "PGCLIENTENCODING").as_deref(), Some("UTF8"));
        assert_eq!(variable(&dumps, "PGCLIENTENCODING"), None, "the archive's encoding is the database's");
    }

    /// What a command sets a variable to.
    fn variable(command: &Command, name: &str) -> Option<String> {
        let mut variables = command.as_std().get_envs();
        let (_, value) = variables.find(|(variable, _)| *variable == name)?;
        Some(value?.to_str()?.to_owned())
    }

    #[test]
    fn settings_that_a_server_does_not_know_are_left_out() {
        let tools = Tools::new(None, "a".into(), "token".into());
        assert!(!tools.options(true).contains("client_connection_check_interval"));
        let tools = tools.for_server(17);
        assert!(tools.options(true).contains("-c transaction_timeout=0"));
        assert!(!tools.options(false).contains("search_path"));
    }
}
