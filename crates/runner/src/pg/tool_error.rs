//! The errors of client programs, and the reason of each.
//!
//! libpq's own messages are English (`LC_MESSAGES=C`). The server's messages may be translated until a
//! session exists. Reasons are therefore derived from libpq's messages and from SQLSTATEs where possible.

use domain::reason::Reason;

use super::privilege;

/// The error of a client program that failed, or of a statement that failed in psql.
#[derive(Clone, Debug, thiserror::Error)]
#[error("{}", self.message())]
pub struct ToolError {
    pub program: String,
    /// The program's standard error, trimmed.
    pub stderr: String,
}

/// Parts of libpq's messages about a failed connection. The last two are from libpq 13 and its programs.
const FAILED_CONNECTION: [&str; 4] = [
    "connection to server",
    "could not translate host name",
    "could not connect to server",
    "connection to database",
];

/// Messages of failed connections, and the reason of each. The first match decides.
const CONNECTING: [(&str, Reason); 23] = [
    ("could not translate host name", Reason::NameNotResolved),
    ("no pg_hba.conf entry", Reason::AuthenticationFailed),
    ("pg_hba.conf rejects connection", Reason::AuthenticationFailed),
    ("server does not support SSL", Reason::TlsFailed),
    ("SSL error", Reason::TlsFailed),
    ("certificate verify failed", Reason::TlsFailed),
    ("valid client certificate", Reason::AuthenticationFailed),
    ("private key file", Reason::TlsFailed),
    ("root certificate file", Reason::TlsFailed),
    ("server certificate", Reason::TlsFailed),
    ("unsupported startup parameter", Reason::PoolerNotSupported),
    ("password authentication failed", Reason::AuthenticationFailed),
    ("no password supplied", Reason::AuthenticationFailed),
    ("authentication failed", Reason::AuthenticationFailed),
    ("is not permitted to log in", Reason::AuthenticationFailed),
    ("permission denied for database", Reason::MissingPrivilege),
    ("FATAL:  database \"", Reason::DatabaseUnavailable),
    ("FATAL:  role \"", Reason::AuthenticationFailed),
    ("Connection refused", Reason::Unreachable),
    ("timeout expired", Reason::Unreachable),
    ("No route to host", Reason::Unreachable),
    ("Network is unreachable", Reason::Unreachable),
    ("server closed the connection unexpectedly", Reason::Unreachable),
];

impl ToolError {
    pub fn new(program: &str, stderr: &str) -> Self {
        Self { program: program.to_owned(), stderr: stderr.trim().to_owned() }
    }

    /// Returns the SQLSTATE of the error; SQLSTATEs of warnings are skipped. psql prints SQLSTATEs because of
    /// `VERBOSITY=verbose`.
    pub fn sqlstate(&self) -> Option<&str> {
        self.stderr.lines().filter_map(sqlstate_of).find(|state| !is_of_a_notice(state))
    }

    /// Returns the reason of the error; `otherwise` for an unknown error.
    pub fn reason(&self, otherwise: Reason) -> Reason {
        // The hint of "out of shared memory" contains the name of this setting in every language.
        if self.stderr.contains("max_locks_per_transaction") {
            return Reason::LockTableTooSmall;
        }
        if let Some(state) = self.sqlstate() {
            return match state {
                "42501" => Reason::MissingPrivilege,
                "28P01" | "28000" => Reason::AuthenticationFailed,
                // A SQL_ASCII database contains bytes that are not UTF-8.
                "22021" | "22P05" => Reason::EncodingNotSupported,
                "57P01" | "57P02" | "57P03" | "53300" => Reason::ServerNotReady,
                _ => otherwise,
            };
        }
        if FAILED_CONNECTION.iter().any(|text| self.stderr.contains(text)) {
            let known = CONNECTING.iter().find(|(text, _)| self.stderr.contains(text));
            return known.map_or(Reason::ServerNotReady, |(_, reason)| *reason);
        }
        if self.stderr.contains("permission denied") {
            return Reason::MissingPrivilege;
        }
        otherwise
    }

    /// Returns a hint if the role lacks a privilege. `role` is the role's quoted name.
    pub fn hint(&self, role: &str) -> Option<String> {
        privilege::hint(&self.stderr, role)
    }

    /// Formats the standard error on one line, without positions in the server's source files.
    fn message(&self) -> String {
        let lines = self.stderr.lines().map(str::trim).filter(|line| {
            !line.is_empty()
                && !line.starts_with("LOCATION:")
                && !line.starts_with("Is the server running on that host")
        });
        let text = lines.collect::<Vec<_>>().join("; ");
        if text.is_empty() { format!("{} exited without an error message", self.program) } else { text }
    }
}

/// Returns the SQLSTATE of a line such as `ERROR:  57014: canceling statement`: the five characters after the
/// severity, which may be in any language.
fn sqlstate_of(line: &str) -> Option<&str> {
    let (_, rest) = line.split_once(":  ")?;
    let state = rest.get(..5)?;
    let is_state =
        rest[5..].starts_with(':') && state.bytes().all(|b| b.is_ascii_uppercase() || b.is_ascii_digit());
    is_state.then_some(state)
}

/// Returns whether the SQLSTATE is of class 00 (success), 01 (warning) or 02 (no data), which do not end a
/// statement.
fn is_of_a_notice(state: &str) -> bool {
    ["00", "01", "02"].iter().any(|class| state.starts_with(class))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn reason(stderr: &str) -> Reason {
        ToolError::new("psql", stderr).reason(Reason::InternalError)
    }

    #[test]
    fn failed_connection_reason_follows_the_libpq_message() {
        let at = "psql: error: connection to server at \"db\" (10.0.0.1), port 5432 failed: ";
        let table = [
            (
                "psql: error: could not translate host name \"nope\" to address: Name or service not known",
                Reason::NameNotResolved,
            ),
            (
                &*format!(
                    "{at}Connection refused\n\tIs the server running on that host and accepting TCP/IP connections?"
                ),
                Reason::Unreachable,
            ),
            (&*format!("{at}timeout expired"), Reason::Unreachable),
            (
                &*format!("{at}FATAL:  password authentication failed for user \"app\""),
                Reason::AuthenticationFailed,
            ),
            (&*format!("{at}FATAL:  role \"nobody\" does not exist"), Reason::AuthenticationFailed),
            (&*format!("{at}FATAL:  too many connections for role \"app\""), Reason::ServerNotReady),
            (&*format!("{at}fe_sendauth: no password supplied"), Reason::AuthenticationFailed),
            (
                &*format!(
                    "{at}FATAL:  no pg_hba.conf entry for host \"10.0.0.2\", user \"app\", database \"postgres\", no encryption"
                ),
                Reason::AuthenticationFailed,
            ),
            (&*format!("{at}server does not support SSL, but SSL was required"), Reason::TlsFailed),
            (&*format!("{at}FATAL:  unsupported startup parameter: options"), Reason::PoolerNotSupported),
            (&*format!("{at}FATAL:  database \"shop\" does not exist"), Reason::DatabaseUnavailable),
            (&*format!("{at}FATAL:  the database system is starting up"), Reason::ServerNotReady),
            (&*format!("{at}FATAL:  sorry, too many clients already"), Reason::ServerNotReady),
            ("psql: error: could not connect to server: Connection refused", Reason::Unreachable),
            (
                "psql: error: could not connect to server: FATAL:  password authentication failed for user \"app\"",
                Reason::AuthenticationFailed,
            ),
            (
                "pg_dump: error: connection to database \"shop\" failed: FATAL:  the database system is starting up",
                Reason::ServerNotReady,
            ),
        ];
        for (stderr, wanted) in table {
            assert_eq!(reason(stderr), wanted, "{stderr}");
        }
    }

    #[test]
    fn failed_statement_reason_follows_the_sqlstate() {
        assert_eq!(reason("FEHLER:  42501: keine Berechtigung für Tabelle t"), Reason::MissingPrivilege);
        assert_eq!(reason("FATAL:  57P01: terminating connection"), Reason::ServerNotReady);
        assert_eq!(ToolError::new("psql", "ERROR:  55P03: x\nLOCATION:  y").sqlstate(), Some("55P03"));
        assert_eq!(ToolError::new("psql", "ERROR:  oh no").sqlstate(), None);
        let after_a_warning = "WARNING:  01000: database \"shop\" has a collation version mismatch\nDETAIL:  The database was created using collation version 2.31\nERROR:  57014: canceling statement due to statement timeout";
        assert_eq!(ToolError::new("psql", after_a_warning).sqlstate(), Some("57014"));
    }

    #[test]
    fn postgresql_error_is_shown_without_source_position() {
        let error = ToolError::new(
            "psql",
            "ERROR:  57014: canceling statement\nLOCATION:  ProcessInterrupts, postgres.c:3319\n",
        );
        assert_eq!(error.to_string(), "ERROR:  57014: canceling statement");
        let silent = ToolError::new("psql", "");
        assert_eq!(silent.to_string(), "psql exited without an error message");
    }
}
