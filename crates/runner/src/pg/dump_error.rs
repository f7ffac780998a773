//! The errors of pg_dump and pg_dumpall.

use std::process::ExitStatus;

use domain::reason::Reason;

use super::{privilege, tool_error::ToolError, tools};

/// The maximum length of a list of tables in a message, in bytes.
const TABLES_MAX: usize = 120;

/// The reason why pg_dump or pg_dumpall failed.
#[derive(Debug, thiserror::Error)]
pub enum DumpError {
    #[error("cannot start {program}: {source}")]
    Start { program: &'static str, source: std::io::Error },
    #[error("cannot read the output of {program}: {source}")]
    Read { program: &'static str, source: std::io::Error },
    /// pg_dump waited longer than its lock timeout for a table.
    #[error("pg_dump could not lock {tables} within dump.lockTimeout: {error}")]
    LockTimeout {
        /// The tables of the LOCK TABLE statement that failed.
        tables: String,
        error: ToolError,
    },
    /// The snapshot no longer existed when pg_dump imported it.
    #[error("the session that exports the snapshot ended before pg_dump imported it: {0}")]
    SnapshotGone(ToolError),
    /// This pg_dump was built without the library of the compression method.
    #[error("{0}")]
    NoSuchCompression(ToolError),
    #[error("pg_dump exited with status 0 but wrote nothing")]
    Empty,
    /// The program was ended by signal 9. Only the kernel sends it, when memory is short.
    #[error("{program} was killed by signal 9: the pod ran out of memory")]
    Killed { program: &'static str },
    #[error("{0}")]
    Failed(ToolError),
}

impl DumpError {
    pub fn reason(&self) -> Reason {
        match self {
            Self::Start { .. } => Reason::InvalidConfiguration,
            Self::Read { .. } | Self::Empty | Self::NoSuchCompression(_) => Reason::DumpFailed,
            Self::LockTimeout { .. } => Reason::LockTimeout,
            Self::SnapshotGone(_) => Reason::HoldLost,
            Self::Killed { .. } => Reason::OutOfMemory,
            Self::Failed(error) => error.reason(Reason::DumpFailed),
        }
    }

    /// Returns a hint for this case; `None` if the reason's general advice is enough.
    pub fn hint(&self) -> Option<String> {
        match self {
            Self::Failed(error) => error.hint(privilege::ANY_ROLE),
            _ => None,
        }
    }

    /// Returns the error of a program that failed with this standard error and exit status.
    pub fn of_exit(program: &'static str, stderr: &str, status: ExitStatus) -> Self {
        if tools::was_killed(status) {
            return Self::Killed { program };
        }
        if stderr.trim().is_empty() {
            let text = format!("{program} exited without an error message ({status})");
            return Self::Failed(ToolError::new(program, &text));
        }
        Self::of_message(ToolError::new(program, stderr))
    }

    /// Classifies an error by the SQL statement that failed. pg_dump prints the statement on a line of its
    /// own, whose start is English even if the server's messages are not. Other lines are not searched for
    /// statements, because names of tables may contain any text.
    fn of_message(error: ToolError) -> Self {
        if error.stderr.starts_with("pg_dump: error: this build does not support compression with ") {
            return Self::NoSuchCompression(error);
        }
        let mut lines = error.stderr.lines();
        let statement = lines.find_map(|line| STATEMENT.iter().find_map(|prefix| line.strip_prefix(prefix)));
        match statement {
            Some(statement) if statement.starts_with("SET TRANSACTION SNAPSHOT ") => {
                Self::SnapshotGone(error)
            }
            Some(statement) if statement.starts_with("LOCK TABLE ") && !is_no_timeout(&error) => {
                Self::LockTimeout { tables: locked_tables(statement), error }
            }
            _ => Self::Failed(error),
        }
    }
}

/// The text that pg_dump prints before the failed statement: since version 15, and in older versions.
const STATEMENT: [&str; 2] = ["pg_dump: detail: Query was: ", "pg_dump: error: query was: "];

/// Returns whether a LOCK TABLE failed for a known cause other than the timeout. The server's messages may be
/// translated, so an unknown message most likely means the timeout.
fn is_no_timeout(error: &ToolError) -> bool {
    let first = error.stderr.lines().next().unwrap_or_default();
    error.reason(Reason::LockTimeout) != Reason::LockTimeout
        || ["ERROR:  relation ", "ERROR:  deadlock detected", "server closed the connection", "FATAL:  "]
            .iter()
            .any(|text| first.contains(text))
}

/// Returns the tables of a statement such as `LOCK TABLE public.a, public.b IN ACCESS SHARE MODE`, shortened
/// to [`TABLES_MAX`] bytes.
fn locked_tables(statement: &str) -> String {
    let tables = statement.trim_start_matches("LOCK TABLE ");
    let mut tables =
        tables.split_once(" IN ACCESS SHARE MODE").map_or(tables, |(tables, _)| tables).to_owned();
    domain::message::cut(&mut tables, TABLES_MAX);
    tables
}

#[cfg(test)]
mod tests {
    use super::*;

    fn reason(stderr: &str) -> Reason {
        DumpError::of_message(ToolError::new("pg_dump", stderr)).reason()
    }

    fn failed(message: &str, statement: &str) -> String {
        format!("pg_dump: error: query failed: {message}\npg_dump: detail: Query was: {statement}\n")
    }

    #[test]
    fn pg_dump_lock_timeout_is_distinguished_from_other_errors() {
        let lock = "LOCK TABLE public.goods IN ACCESS SHARE MODE";
        for (message, wanted) in [
            ("ERROR:  canceling statement due to statement timeout", Reason::LockTimeout),
            ("FEHLER:  storniere Anfrage wegen Zeitüberschreitung der Anfrage", Reason::LockTimeout),
            ("ERROR:  permission denied for table goods", Reason::MissingPrivilege),
            ("ERROR:  relation \"public.goods\" does not exist", Reason::DumpFailed),
            ("FATAL:  terminating connection due to administrator command", Reason::DumpFailed),
            (
                "ERROR:  out of shared memory\nHINT:  You might need to increase \"max_locks_per_transaction\".",
                Reason::LockTableTooSmall,
            ),
        ] {
            assert_eq!(reason(&failed(message, lock)), wanted, "{message}");
        }
    }

    #[test]
    fn lost_snapshot_is_recognized_by_the_failed_statement() {
        let gone = failed("ERROR:  invalid snapshot identifier", "SET TRANSACTION SNAPSHOT '00000003-1'");
        assert_eq!(reason(&gone), Reason::HoldLost);
        let named = failed(
            "ERROR:  could not read block 0 in file \"base/1/2\"",
            "COPY public.order_snapshots (id) TO stdout;",
        );
        assert_eq!(reason(&named), Reason::DumpFailed);
        let named = failed("ERROR:  invalid page", "COPY public.\"LOCK TABLE\" (id) TO stdout;");
        assert_eq!(reason(&named), Reason::DumpFailed);
    }

    #[test]
    fn lock_timeout_error_lists_the_tables() {
        let statement = "LOCK TABLE public.a, public.b IN ACCESS SHARE MODE";
        let of_14 = format!(
            "pg_dump: error: query failed: ERROR:  canceling\npg_dump: error: query was: {statement}"
        );
        for stderr in [failed("ERROR:  canceling", statement), of_14] {
            let DumpError::LockTimeout { tables, .. } =
                DumpError::of_message(ToolError::new("pg_dump", &stderr))
            else {
                panic!("not a timeout: {stderr}")
            };
            assert_eq!(tables, "public.a, public.b");
        }
    }
}
