//! Starts the client programs, all with the same environment.

use std::{
    os::unix::process::ExitStatusExt as _,
    process::{ExitStatus, Stdio},
};

use domain::{invocation::variable, uri::ConnectionUri};
use tokio::process::Command;

/// A connection string that sets keepalives, for which libpq has no environment variables. A dead server is
/// detected within a minute. The string has no database, so libpq uses `PGDATABASE`.
const CONNECTION: &str = "--dbname=keepalives=1 keepalives_idle=30 keepalives_interval=10 keepalives_count=3 tcp_user_timeout=60000";

/// The time limit for connecting, in seconds.
const CONNECT_TIMEOUT: &str = "15";

/// The maximum length of an application name, in bytes. PostgreSQL truncates longer names.
const APPLICATION_NAME_MAX: usize = 63;

/// Prefixes of environment variables that PostgreSQL's programs must not receive: the store's credentials and
/// pgbackup's own variables, including the connection URI.
const NOT_FOR_CLIENTS: [&str; 4] = ["AWS_", "AZURE_", "GOOGLE_", "PGBACKUP_"];

/// Settings that older servers reject: the first major version that accepts the setting, its name and its
/// value.
pub const NEWER_SETTINGS: [(u32, &str, &str); 3] = [
    (14, "idle_session_timeout", "0"),
    (14, "client_connection_check_interval", "10s"),
    (17, "transaction_timeout", "0"),
];

/// The client programs, with the settings of one run.
#[derive(Clone, Debug)]
pub struct Tools {
    /// The connection; `None` if the environment contains libpq's variables instead.
    uri: Option<ConnectionUri>,
    application_name: String,
    /// The server's major version, which decides which settings it accepts; `None` before the first session.
    server_major: Option<u32>,
    /// The value of the setting `pgbackup.session`. A connection pooler that returns another client's session
    /// is detected because that session does not have the value.
    session_token: String,
}

impl Tools {
    /// Creates the tools of a run. `session_token` must be unique to the attempt.
    pub fn new(uri: Option<ConnectionUri>, mut application_name: String, session_token: String) -> Self {
        application_name.truncate(application_name.floor_char_boundary(APPLICATION_NAME_MAX));
        Self { uri, application_name, server_major: None, session_token }
    }

    /// Adds the settings that servers of this major version accept.
    pub fn for_server(mut self, major: u32) -> Self {
        self.server_major = Some(major);
        self
    }

    /// Returns the value of the setting `pgbackup.session` in every session of this run.
    pub fn session_token(&self) -> &str {
        &self.session_token
    }

    /// Returns libpq's variable `name` from the URI or, if it is not there, from the environment.
    pub fn connection_variable(&self, name: &str) -> Option<String> {
        let of_uri = self.uri.as_ref().and_then(|uri| uri.variables("").get(name).cloned());
        of_uri.or_else(|| std::env::var(name).ok())
    }

    /// Returns a command that runs psql on `database`.
    pub fn psql(&self, database: &str) -> Command {
        let mut command = self.client("psql");
        command
            .env("PGDATABASE", database)
            .env("PGCLIENTENCODING", "UTF8")
            .env("PGOPTIONS", self.options(true));
        command
    }

    /// Returns a command that runs pg_dump on `database` in the database's own encoding, or pg_dumpall with
    /// `None`: pg_dumpall chooses the database itself.
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
            let ssl_mode = std::env::var(variable::PGSSLMODE).unwrap_or_else(|_| "prefer".to_owned());
            command.envs(uri.variables(&ssl_mode));
        }
        command
    }

    /// Returns the settings of every session, for `PGOPTIONS`. They override those of the role and the
    /// database: a role's own statement_timeout would end a backup. `own_queries` is true for psql and false
    /// for the dump programs.
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
            // With another search_path, a function in the database could replace a system function.
            settings.extend(["row_security=off".to_owned(), "search_path=pg_catalog".to_owned()]);
        }
        let known = NEWER_SETTINGS.iter().filter(|(since, ..)| self.server_major >= Some(*since));
        settings.extend(known.map(|(_, name, value)| format!("{name}={value}")));
        settings.iter().map(|setting| format!("-c {setting}")).collect::<Vec<_>>().join(" ")
    }
}

/// Returns a command with pipes instead of a terminal. The program is killed when it is dropped, and its own
/// messages are English.
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

fn remove_variables(command: &mut Command, prefixes: &[&str]) {
    for (name, _) in std::env::vars_os() {
        if prefixes.iter().any(|prefix| name.as_encoded_bytes().starts_with(prefix.as_bytes())) {
            command.env_remove(name);
        }
    }
}

/// Returns a command that runs pg_restore, without the environment variables of the connection.
pub fn pg_restore() -> Command {
    let mut command = offline("pg_restore");
    remove_variables(&mut command, &["PG"]);
    command
}

/// Returns whether a program was ended by signal 9. Only the kernel sends it to these programs, when memory
/// is short.
pub fn was_killed(status: ExitStatus) -> bool {
    status.signal() == Some(9)
}

/// Returns the program and its arguments for the manifest. Arguments never contain secrets.
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
    fn database_name_is_never_a_command_line_argument() {
        let tools = Tools::new(None, "pgbackup/shop/x".into(), "token".into());
        let command = tools.dump("pg_dump", Some("dbname=t host=evil"));
        assert!(command_line(&command).iter().all(|word| !word.contains("evil")));
        let database = command.as_std().get_envs().find(|(name, _)| *name == "PGDATABASE");
        assert_eq!(database.unwrap().1.unwrap(), "dbname=t host=evil");
    }

    #[test]
    fn connection_uri_is_passed_only_in_the_environment() {
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
        assert_eq!(variable(variable::PGBACKUP_URI), None);
    }

    #[test]
    fn long_application_name_is_cut_at_a_character_boundary() {
        let tools = Tools::new(None, format!("{}é", "a".repeat(APPLICATION_NAME_MAX - 1)), "token".into());
        assert_eq!(tools.application_name, "a".repeat(APPLICATION_NAME_MAX - 1));
    }

    #[test]
    fn psql_and_pg_dump_sessions_share_timeouts_and_keepalives() {
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
        // These settings are only for the runner's own queries.
        for setting in ["row_security=off", "search_path=pg_catalog"] {
            let has = |command| variable(command, "PGOPTIONS").unwrap().contains(setting);
            assert!(has(&ours) && !has(&dumps), "{setting}");
        }
        assert_eq!(variable(&ours, "PGCLIENTENCODING").as_deref(), Some("UTF8"));
        assert_eq!(variable(&dumps, "PGCLIENTENCODING"), None, "the archive's encoding is the database's");
    }

    /// Returns the value of a variable in a command's environment.
    fn variable(command: &Command, name: &str) -> Option<String> {
        let mut variables = command.as_std().get_envs();
        let (_, value) = variables.find(|(variable, _)| *variable == name)?;
        Some(value?.to_str()?.to_owned())
    }

    #[test]
    fn settings_unknown_to_the_server_are_omitted() {
        let tools = Tools::new(None, "a".into(), "token".into());
        assert!(!tools.options(true).contains("client_connection_check_interval"));
        let tools = tools.for_server(17);
        assert!(tools.options(true).contains("-c transaction_timeout=0"));
        assert!(!tools.options(false).contains("search_path"));
    }
}
