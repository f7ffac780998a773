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
}

/// Tables that could not be held.
#[derive(Debug, thiserror::Error)]
pub enum HoldError {
    /// Others hold a lock that keeps ours out.
    #[error("a table could not be locked within {} s{}", wait.as_secs_f64(), blockers(blocking))]
    LockTimeout {
        /// How long was waited.
        wait: Duration,
        /// Who holds or awaits an ACCESS EXCLUSIVE lock.
        blocking: Vec<Blocker>,
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
    /// The session ended while pg_dump still needed it.
    #[error("the session that holds the tables was lost: {0}")]
    Lost(Box<SessionError>),
    /// The session ended or a statement failed.
    #[error("{0}")]
    Session(#[from] SessionError),
}

impl HoldError {
    /// The reason word.
    pub fn reason(&self) -> Reason {
        match self {
            Self::LockTimeout { .. } => Reason::LockTimeout,
            Self::SchemaChanging => Reason::SchemaChanging,
            Self::Unreadable { .. } => Reason::MissingPrivilege,
            Self::Lost(_) => Reason::HoldLost,
            Self::Session(error) => error.reason(Reason::InternalError),
        }
    }
}

/// A session in the way.
#[derive(Clone, Debug, PartialEq, Eq, Deserialize)]
pub struct Blocker {
    pid: i32,
    table: String,
    application: String,
    seconds: u64,
    query: String,
}

fn blockers(blocking: &[Blocker]) -> String {
    blocking.first().map_or_else(String::new, |b| {
        let name = if b.application.is_empty() { String::new() } else { format!(" ({})", b.application) };
        format!(
            "; {} is locked or awaited by process {}{name} since {} s: {}",
            b.table, b.pid, b.seconds, b.query
        )
    })
}

#[derive(Clone, Debug, PartialEq, Eq, Deserialize)]
struct Relation {
    oid: u32,
    quoted: String,
    readable: bool,
    filtered: bool,
}

/// Tables in the dump's scope: not temporary, not the system's, members of extensions only where these mark them
/// as configuration. The server quotes the names.
const RELATIONS: &str = r"
SELECT c.oid::int8 AS oid, format('%I.%I', n.nspname, c.relname) AS quoted,
       coalesce(has_schema_privilege(n.oid, 'USAGE') AND has_table_privilege(c.oid, 'SELECT'), true) AS readable,
       c.relrowsecurity AND row_security_active(c.oid) AS filtered
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

const BLOCKERS: &str = r"
SELECT a.pid, l.relation::regclass::text AS table, a.application_name AS application,
       greatest(0, extract(epoch FROM clock_timestamp() - coalesce(a.query_start, a.xact_start, clock_timestamp())))::int8 AS seconds,
       left(regexp_replace(a.query, '\s+', ' ', 'g'), 120) AS query
FROM pg_locks l JOIN pg_stat_activity a USING (pid)
     JOIN pg_class c ON c.oid = l.relation AND c.relkind IN ('r', 'p')
WHERE l.locktype = 'relation' AND l.mode = 'AccessExclusiveLock' AND a.pid <> pg_backend_pid()
  AND l.database = (SELECT oid FROM pg_database WHERE datname = current_database())
ORDER BY l.granted DESC, a.xact_start LIMIT 3";

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
                return Err(HoldError::LockTimeout { wait, blocking: blocking(tools, database).await });
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
    Ok(Some(Hold { session, snapshot, time, lsn, since }))
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

/// Who is in the way, as far as can be seen just after; nobody, if it cannot be asked.
pub async fn blocking(tools: &Tools, database: &str) -> Vec<Blocker> {
    let Ok(mut session) = Session::open(tools, database) else {
        return Vec::new();
    };
    let blocking = session.rows(BLOCKERS).await.unwrap_or_default();
    session.close().await;
    blocking
}
