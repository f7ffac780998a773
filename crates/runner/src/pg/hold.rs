//! Locks the tables of a database before the snapshot is taken.
//!
//! pg_dump takes its snapshot first and its locks later. A table that is rewritten in between is dumped
//! empty, with exit status 0. For this reason a separate session lists the tables, locks them (ACCESS SHARE),
//! takes the snapshot and lists them again. It exports the snapshot to pg_dump only if both lists are equal.

use std::time::{Duration, Instant};

use domain::{message, reason::Reason};
use jiff::Timestamp;
use serde::Deserialize;

use super::{
    blocker::{self, Blocker},
    privilege::{self, ANY_ROLE},
    session::{Session, SessionError},
    tools::Tools,
};

/// The maximum number of times that the tables are listed and locked until both lists are equal.
const LISTS: u32 = 5;

/// The number of tables that a message lists.
const NAMED: usize = 5;

/// A session that holds the locks of all tables and a snapshot taken after them.
#[derive(Debug)]
pub struct Hold {
    /// The session that holds the locks and the snapshot.
    pub session: Session,
    /// The identifier of the exported snapshot, for pg_dump's option `--snapshot`.
    pub snapshot: String,
    /// The time of the snapshot; on a standby, the time of the newest replayed transaction.
    pub time: Timestamp,
    /// The server's write position; on a standby, its replay position.
    pub lsn: String,
    /// The local time since which the transaction has been open, for measuring how long the snapshot is held.
    pub since: Instant,
    pub relations: Vec<Relation>,
    /// The size of the database in bytes, for estimating the archive's size.
    pub database_bytes: u64,
}

/// The reason why the tables of a database could not be held.
#[derive(Debug, thiserror::Error)]
pub enum HoldError {
    /// Another session holds a lock that conflicts with the locks of the runner's session or of pg_dump.
    #[error("cannot lock {what} within {} s{}", wait.as_secs_f64(), detail(blocker.as_deref()))]
    LockTimeout {
        /// The locked tables, or "a table" if they are unknown.
        what: String,
        /// The time that the session waited for the lock.
        wait: Duration,
        blocker: Option<Box<Blocker>>,
    },
    #[error("cannot lock all tables: tables were created or dropped in each of {LISTS} tries")]
    SchemaChanging,
    #[error("{}", unreadable(role, tables, filtered))]
    Unreadable {
        /// The role's name, quoted.
        role: String,
        /// The tables that the role has no permission to read.
        tables: Vec<String>,
        /// The tables in which row security may hide rows from the role.
        filtered: Vec<String>,
    },
    #[error("a table or schema has a name that is not valid UTF-8{}: {error}", candidates(names))]
    NotUtf8 {
        /// Tables whose names are not ASCII. Each byte that is not ASCII is written in octal.
        names: Vec<String>,
        error: SessionError,
    },
    /// The session ended while pg_dump still needed its locks and snapshot.
    #[error("the session that locks the tables and exports the snapshot ended too early: {0}")]
    Lost(Box<SessionError>),
    /// The connection or a statement failed.
    #[error("{0}")]
    Session(#[from] SessionError),
}

impl HoldError {
    /// Converts an error of a session that holds tables. If the error means that the session has ended, the
    /// result is [`Self::Lost`].
    pub fn while_holding(error: SessionError) -> Self {
        let ended = match &error {
            SessionError::Silent => true,
            // SQLSTATEs of failed connections, of sessions ended by an administrator and of sessions ended by
            // an idle timeout. libpq's own messages have no SQLSTATE.
            SessionError::Failed(failed) => failed
                .sqlstate()
                .is_none_or(|state| ["08", "57P", "25P"].iter().any(|class| state.starts_with(class))),
            _ => false,
        };
        if ended { Self::Lost(Box::new(error)) } else { Self::Session(error) }
    }

    /// Returns a hint for this case; `None` if the reason's general advice is enough.
    pub fn hint(&self) -> Option<String> {
        match self {
            Self::LockTimeout { blocker, .. } => blocker.as_ref().map(|blocker| blocker.hint()),
            Self::Unreadable { role, tables, filtered } => {
                let mut hints = Vec::new();
                if !tables.is_empty() {
                    let names = message::list(tables, NAMED, "tables");
                    hints.push(format!(
                        "GRANT USAGE on the schema and SELECT on {names} to {role}, or {}.",
                        privilege::read_all(role)
                    ));
                }
                if !filtered.is_empty() {
                    hints.push(privilege::bypass_row_security(role));
                }
                Some(hints.join(" "))
            }
            Self::NotUtf8 { error, .. } | Self::Session(error) => error.hint(ANY_ROLE),
            Self::SchemaChanging | Self::Lost(_) => None,
        }
    }

    pub fn reason(&self) -> Reason {
        match self {
            Self::LockTimeout { .. } => Reason::LockTimeout,
            Self::SchemaChanging => Reason::SchemaChanging,
            Self::Unreadable { .. } => Reason::MissingPrivilege,
            Self::NotUtf8 { .. } => Reason::EncodingNotSupported,
            Self::Lost(_) => Reason::HoldLost,
            // A standby cancels statements that conflict with replay, and a deadlock cancels one of two
            // statements. A retry helps against both.
            Self::Session(error) if matches!(error.sqlstate(), Some("40001" | "40P01")) => Reason::HoldLost,
            Self::Session(error) => error.reason(Reason::InternalError),
        }
    }
}

/// Formats the possible names in parentheses, or returns an empty text if none is known.
fn candidates(names: &[String]) -> String {
    if names.is_empty() { String::new() } else { format!(" (one of {})", names.join(", ")) }
}

fn detail(blocker: Option<&Blocker>) -> String {
    blocker.map_or_else(String::new, |blocker| format!(": {blocker}"))
}

fn unreadable(role: &str, tables: &[String], filtered: &[String]) -> String {
    let list = |tables: &[String]| message::list(tables, NAMED, "tables");
    let mut facts = Vec::new();
    if !tables.is_empty() {
        facts.push(format!("role {role} has no permission to read {}", list(tables)));
    }
    if !filtered.is_empty() {
        facts.push(format!("row security can hide rows from role {role} in {}", list(filtered)));
    }
    facts.join("; ")
}

/// A table whose rows are dumped.
#[derive(Clone, Debug, PartialEq, Eq, Deserialize)]
pub struct Relation {
    pub oid: u32,
    /// The schema and the table's name, each quoted by the server.
    pub quoted: String,
    /// The schema and the table's name, without quotes.
    pub name: String,
    readable: bool,
    /// Whether row security applies to the role.
    filtered: bool,
}

/// Lists the tables whose rows pg_dump reads: neither temporary nor system tables; members of an extension
/// only if the extension marks them as configuration. Row security is checked on partitions only, because a
/// partitioned table has no rows of its own.
const RELATIONS: &str = r"
SELECT c.oid::int8 AS oid, format('%I.%I', n.nspname, c.relname) AS quoted, n.nspname || '.' || c.relname AS name,
       coalesce(has_schema_privilege(n.oid, 'USAGE') AND has_table_privilege(c.oid, 'SELECT'), true) AS readable,
       c.relkind = 'r' AND c.relrowsecurity AND row_security_active(c.oid) AS filtered
FROM pg_class c JOIN pg_namespace n ON n.oid = c.relnamespace
WHERE c.relkind IN ('r', 'p') AND c.relpersistence <> 't'
  AND n.nspname !~ '^pg_' AND n.nspname <> 'information_schema'
  AND (EXISTS (SELECT FROM pg_extension x WHERE c.oid = ANY (x.extconfig))
       OR NOT EXISTS (SELECT FROM pg_depend d WHERE d.classid = 'pg_class'::regclass AND d.objid = c.oid
                      AND d.refclassid = 'pg_extension'::regclass AND d.deptype = 'e'))
ORDER BY c.oid";

/// Takes and exports the snapshot. `statement_timestamp()` is the time at which the server received this
/// statement; the snapshot contains everything that was committed by then.
const EXPORT: &str = r"
SELECT to_json(q) FROM (
    SELECT pg_export_snapshot() AS snapshot,
           CASE WHEN pg_is_in_recovery() THEN least(statement_timestamp(), coalesce(pg_last_xact_replay_timestamp(), statement_timestamp()))
                ELSE statement_timestamp() END AS time,
           (CASE WHEN pg_is_in_recovery() THEN pg_last_wal_replay_lsn() ELSE pg_current_wal_lsn() END)::text AS lsn
) q";

/// Lists a few names that are not ASCII. Converting from SQL_ASCII to SQL_ASCII keeps all bytes.
const NOT_ASCII: &str = r"
SELECT coalesce(json_agg(name), '[]') FROM (
    SELECT encode(convert_to(n.nspname || '.' || c.relname, 'SQL_ASCII'), 'escape') AS name
    FROM pg_class c JOIN pg_namespace n ON n.oid = c.relnamespace
    WHERE n.nspname || c.relname ~ '[^\x01-\x7f]' AND c.relkind IN ('r', 'p')
    ORDER BY c.oid LIMIT 5
) q";

#[derive(Deserialize)]
struct Export {
    snapshot: String,
    time: Timestamp,
    lsn: String,
}

/// Locks every table of `database` and takes a snapshot. Returns a lock timeout after `wait` and does not
/// retry: while another session waits for ACCESS EXCLUSIVE, all later readers of the table wait too.
pub async fn take(tools: &Tools, database: &str, wait: Duration) -> Result<Hold, HoldError> {
    for _ in 0..LISTS {
        match lock_and_list(tools, database, wait).await {
            Ok(Some(hold)) => return Ok(hold),
            Ok(None) => {}
            Err(HoldError::Session(error)) if error.sqlstate() == Some("57014") => {
                let blocker = blocker::seen_afterwards(tools, database).await.map(Box::new);
                return Err(HoldError::LockTimeout { what: "a table".to_owned(), wait, blocker });
            }
            Err(HoldError::Session(error))
                if error.reason(Reason::InternalError) == Reason::EncodingNotSupported =>
            {
                let names = not_ascii(tools, database).await;
                return Err(HoldError::NotUtf8 { names, error });
            }
            // A listed table was dropped before it was locked.
            Err(HoldError::Session(error))
                if matches!(error.sqlstate(), Some("42P01" | "3F000" | "42809")) => {}
            Err(error) => return Err(error),
        }
    }
    Err(HoldError::SchemaChanging)
}

async fn lock_and_list(tools: &Tools, database: &str, wait: Duration) -> Result<Option<Hold>, HoldError> {
    let mut session = Session::open(tools, database)?;
    let before: Vec<Relation> = session.rows(RELATIONS).await?;
    refuse_unreadable(&mut session, &before).await?;
    let database_bytes = session.query("SELECT to_json(pg_database_size(current_database()))").await?;
    session.execute("BEGIN ISOLATION LEVEL REPEATABLE READ READ ONLY").await?;
    let since = Instant::now();
    if !before.is_empty() {
        let names: Vec<String> = before.iter().map(|relation| format!("ONLY {}", relation.quoted)).collect();
        let lock = format!(
            "SET LOCAL statement_timeout = {}; LOCK TABLE {} IN ACCESS SHARE MODE; SET LOCAL statement_timeout = 0",
            wait.as_millis(),
            names.join(", ")
        );
        session.execute(&lock).await?;
    }
    let export: Export = session.query(EXPORT).await?;
    let inside: Vec<Relation> = session.rows(RELATIONS).await?;
    if inside != before {
        session.close().await;
        return Ok(None);
    }
    let Export { snapshot, time, lsn } = export;
    Ok(Some(Hold { session, snapshot, time, lsn, since, relations: inside, database_bytes }))
}

async fn refuse_unreadable(session: &mut Session, relations: &[Relation]) -> Result<(), HoldError> {
    let quoted = |relations: Vec<&Relation>| relations.iter().map(|table| table.quoted.clone()).collect();
    let tables: Vec<&Relation> = relations.iter().filter(|table| !table.readable).collect();
    let filtered: Vec<&Relation> =
        relations.iter().filter(|table| table.readable && table.filtered).collect();
    if tables.is_empty() && filtered.is_empty() {
        return Ok(());
    }
    let role = session.query("SELECT to_json(quote_ident(current_user))").await?;
    Err(HoldError::Unreadable { role, tables: quoted(tables), filtered: quoted(filtered) })
}

/// Returns a few names that are not ASCII, with escaped bytes, for example `gru\337`. Returns an empty list
/// if the query fails.
async fn not_ascii(tools: &Tools, database: &str) -> Vec<String> {
    let Ok(mut session) = Session::open(tools, database) else {
        return Vec::new();
    };
    let names = session.query(NOT_ASCII).await.unwrap_or_default();
    session.close().await;
    names
}

#[cfg(test)]
mod tests {
    use super::{super::tool_error::ToolError, *};

    #[test]
    fn only_a_terminated_session_is_reported_as_hold_lost() {
        for (stderr, wanted) in [
            ("FATAL:  57P01: terminating connection due to administrator command", Reason::HoldLost),
            ("FATAL:  25P03: terminating connection due to idle-in-transaction timeout", Reason::HoldLost),
            ("server closed the connection unexpectedly", Reason::HoldLost),
            ("ERROR:  40001: canceling statement due to conflict with recovery", Reason::HoldLost),
            ("ERROR:  22021: invalid byte sequence", Reason::EncodingNotSupported),
            ("ERROR:  42501: permission denied for function f", Reason::MissingPrivilege),
            ("ERROR:  XX000: cache lookup failed", Reason::InternalError),
        ] {
            let error = HoldError::while_holding(ToolError::new("psql", stderr).into());
            assert_eq!(error.reason(), wanted, "{stderr}");
        }
        assert_eq!(HoldError::while_holding(SessionError::Killed).reason(), Reason::OutOfMemory);
    }

    #[test]
    fn error_lists_unreadable_tables_and_the_needed_grant() {
        let names = |names: &[&str]| names.iter().map(|name| (*name).to_owned()).collect::<Vec<_>>();
        let unreadable = |tables: &[&str], filtered: &[&str]| HoldError::Unreadable {
            role: "backup".to_owned(),
            tables: names(tables),
            filtered: names(filtered),
        };
        let denied = unreadable(&["a.t1", "a.t2", "a.t3", "a.t4", "a.t5", "a.t6"], &[]);
        assert_eq!(
            denied.to_string(),
            "role backup has no permission to read a.t1, a.t2, a.t3, a.t4, a.t5 and 1 more tables"
        );
        let hint = denied.hint().unwrap();
        assert!(
            hint.contains("SELECT on a.t1") && hint.contains("GRANT pg_read_all_data TO backup"),
            "{hint}"
        );
        let hidden = unreadable(&[], &["public.orders"]);
        assert_eq!(hidden.to_string(), "row security can hide rows from role backup in public.orders");
        let hint = hidden.hint().unwrap();
        assert_eq!(hint, "Run ALTER ROLE backup BYPASSRLS, or let the tables' owner run the backup.");
    }
}
