//! Locks before the snapshot.
//!
//! pg_dump takes its snapshot first and its locks later; a table that is rewritten in between is dumped empty,
//! with exit status 0. So a session of ours lists the tables, locks them (ACCESS SHARE), takes the snapshot, lists
//! again, and exports the snapshot to pg_dump only if both lists agree.

use std::time::{Duration, Instant};

use domain::reason::Reason;
use jiff::Timestamp;
use serde::Deserialize;

use super::{
    blocker::{self, Blocker},
    session::{Session, SessionError},
    tools::Tools,
};

/// How often the lists may differ before it is given up.
const LISTS: u32 = 5;

/// Tables, locked, and the snapshot that was taken after that.
#[derive(Debug)]
pub struct Hold {
    /// The session that holds both.
    pub session: Session,
    /// What pg_dump's `--snapshot` takes.
    pub snapshot: String,
    /// When it was taken; on a standby, the newest replayed transaction's time.
    pub time: Timestamp,
    /// The server's write position; on a standby, its replay position.
    pub lsn: String,
    /// Since when it is held.
    pub since: Instant,
    /// The tables.
    pub relations: Vec<Relation>,
    /// The size of the database, of which that of its archive can be guessed.
    pub database_bytes: u64,
}

/// Tables that could not be held.
#[derive(Debug, thiserror::Error)]
pub enum HoldError {
    /// Others hold a lock that keeps ours, or pg_dump's, out.
    #[error("{what} could not be locked within {} s{}", wait.as_secs_f64(), words(blocker.as_deref()))]
    LockTimeout {
        /// What, as far as it is known.
        what: String,
        /// How long was waited.
        wait: Duration,
        /// Who is in the way, where it could be seen.
        blocker: Option<Box<Blocker>>,
    },
    /// Tables came and went at every try.
    #[error("tables were created or dropped during each of {LISTS} tries to lock them")]
    SchemaChanging,
    /// The role may not read some tables.
    #[error("the role may not read {}", tables.join(", "))]
    Unreadable {
        /// The first of them, each with what is missing.
        tables: Vec<String>,
    },
    /// A name has no place in UTF-8.
    #[error("a name cannot be read as UTF-8 ({error}); it is one of {}", names.join(", "))]
    NotUtf8 {
        /// Tables and schemas whose names are not ASCII, their bytes in octal.
        names: Vec<String>,
        /// The server's words.
        error: SessionError,
    },
    /// The session ended while pg_dump still needed it.
    #[error("the session that holds the tables was lost: {0}")]
    Lost(Box<SessionError>),
    /// The session ended or a statement failed.
    #[error("{0}")]
    Session(#[from] SessionError),
}

impl HoldError {
    /// What a failure in the session that holds the tables means: that they are not held any more, if it was ended;
    /// else what the failure says by itself.
    pub fn while_holding(error: SessionError) -> Self {
        let ended = match &error {
            SessionError::Silent => true,
            // Connection failures, ends by an administrator, ends by a timeout of idle sessions; and libpq's own
            // words, which have no SQLSTATE.
            SessionError::Failed(failed) => failed
                .sqlstate()
                .is_none_or(|state| ["08", "57P", "25P"].iter().any(|class| state.starts_with(class))),
            _ => false,
        };
        if ended { Self::Lost(Box::new(error)) } else { Self::Session(error) }
    }

    /// The reason word.
    pub fn reason(&self) -> Reason {
        match self {
            Self::LockTimeout { .. } => Reason::LockTimeout,
            Self::SchemaChanging => Reason::SchemaChanging,
            Self::Unreadable { .. } => Reason::MissingPrivilege,
            Self::NotUtf8 { .. } => Reason::EncodingNotSupported,
            Self::Lost(_) => Reason::HoldLost,
            // A standby ends what is in the way of its replay; a deadlock ends one of two. Both pass.
            Self::Session(error) if matches!(error.sqlstate(), Some("40001" | "40P01")) => Reason::HoldLost,
            Self::Session(error) => error.reason(Reason::InternalError),
        }
    }
}

fn words(blocker: Option<&Blocker>) -> String {
    blocker.map_or_else(String::new, |blocker| format!("; {blocker}"))
}

/// A table in the dump's scope.
#[derive(Clone, Debug, PartialEq, Eq, Deserialize)]
pub struct Relation {
    /// Its OID.
    pub oid: u32,
    /// Schema and name as the server quotes them.
    pub quoted: String,
    /// The same as they are.
    pub name: String,
    readable: bool,
    filtered: bool,
}

/// Tables in the dump's scope: not temporary, not the system's, members of extensions only where these mark them
/// as configuration. The server quotes the names. Row security hides rows only where there are any: nothing is read
/// from a partitioned table itself.
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

/// `statement_timestamp()` is when the statement that takes the snapshot arrived: everything committed by then is
/// in it.
const EXPORT: &str = r"
SELECT to_json(q) FROM (
    SELECT pg_export_snapshot() AS snapshot,
           CASE WHEN pg_is_in_recovery() THEN least(statement_timestamp(), coalesce(pg_last_xact_replay_timestamp(), statement_timestamp()))
                ELSE statement_timestamp() END AS time,
           (CASE WHEN pg_is_in_recovery() THEN pg_last_wal_replay_lsn() ELSE pg_current_wal_lsn() END)::text AS lsn
) q";

/// Conversion to the encoding that it has already leaves a SQL_ASCII name as it is.
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

/// Locks every table of `database` and takes a snapshot. A lock that is not had within `wait` ends the try at
/// once: behind a waiting ACCESS EXCLUSIVE lock every reader of the table waits too.
pub async fn take(tools: &Tools, database: &str, wait: Duration) -> Result<Hold, HoldError> {
    for _ in 0..LISTS {
        match try_once(tools, database, wait).await {
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
            // A table of the list is gone.
            Err(HoldError::Session(error))
                if matches!(error.sqlstate(), Some("42P01" | "3F000" | "42809")) => {}
            Err(error) => return Err(error),
        }
    }
    Err(HoldError::SchemaChanging)
}

async fn try_once(tools: &Tools, database: &str, wait: Duration) -> Result<Option<Hold>, HoldError> {
    let mut session = Session::open(tools, database)?;
    let before: Vec<Relation> = session.rows(RELATIONS).await?;
    refuse_unreadable(&before)?;
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

fn refuse_unreadable(relations: &[Relation]) -> Result<(), HoldError> {
    let unreadable = relations.iter().filter_map(|relation| match relation {
        Relation { readable: false, quoted, .. } => {
            Some(format!("{quoted} (SELECT or the schema's USAGE is missing)"))
        }
        Relation { filtered: true, quoted, .. } => {
            Some(format!("all rows of {quoted} (row security: BYPASSRLS is missing)"))
        }
        _ => None,
    });
    let all: Vec<String> = unreadable.collect();
    if all.is_empty() {
        return Ok(());
    }
    let mut tables: Vec<String> = all.iter().take(5).cloned().collect();
    if all.len() > tables.len() {
        tables.push(format!("and {} more", all.len() - tables.len()));
    }
    Err(HoldError::Unreadable { tables })
}

/// Names that are not ASCII, in ASCII: `gru\337`. A few; none, if it cannot be asked.
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
    use super::{super::error::ToolError, *};

    #[test]
    fn only_an_ended_session_is_a_lost_hold() {
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
}
