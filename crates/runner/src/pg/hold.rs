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
    /// Others hold a lock that keeps ours, or pg_dump's, out.
    #[error("{what} could not be locked within {} s{}", wait.as_secs_f64(), blockers(blocking))]
    LockTimeout {
        /// What, as far as it is known.
        what: String,
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

/// A session in the way.
#[derive(Clone, Debug, PartialEq, Eq, Deserialize)]
pub struct Blocker {
    who: String,
    table: String,
    seconds: u64,
    query: String,
}

fn blockers(blocking: &[Blocker]) -> String {
    blocking.first().map_or_else(String::new, |Blocker { who, table, seconds, query }| {
        format!("; {table} is locked or awaited by {who} since {seconds} s: {query}")
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
/// as configuration. The server quotes the names. Row security hides rows only where there are any: nothing is read
/// from a partitioned table itself.
const RELATIONS: &str = r"
SELECT c.oid::int8 AS oid, format('%I.%I', n.nspname, c.relname) AS quoted,
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

/// A prepared transaction holds locks and has no process; its lock on its own number tells which one it is.
const BLOCKERS: &str = r"
SELECT CASE WHEN a.pid IS NULL THEN 'prepared transaction ' || coalesce(p.gid, '?')
            ELSE 'process ' || a.pid || coalesce(' (' || nullif(a.application_name, '') || ')', '') END AS who,
       l.relation::regclass::text AS table,
       greatest(0, extract(epoch FROM clock_timestamp() - coalesce(a.query_start, a.xact_start, p.prepared, clock_timestamp())))::int8 AS seconds,
       coalesce(left(regexp_replace(a.query, '\s+', ' ', 'g'), 120), 'COMMIT PREPARED or ROLLBACK PREPARED ends it') AS query
FROM pg_locks l LEFT JOIN pg_stat_activity a USING (pid)
     LEFT JOIN pg_locks own ON l.pid IS NULL AND own.pid IS NULL AND own.locktype = 'transactionid'
               AND own.virtualtransaction = l.virtualtransaction
     LEFT JOIN pg_prepared_xacts p ON p.transaction = own.transactionid
     JOIN pg_class c ON c.oid = l.relation AND c.relkind IN ('r', 'p')
WHERE l.locktype = 'relation' AND l.mode = 'AccessExclusiveLock' AND l.pid IS DISTINCT FROM pg_backend_pid()
  AND l.database = (SELECT oid FROM pg_database WHERE datname = current_database())
ORDER BY l.granted DESC, a.xact_start LIMIT 3";

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
                let blocking = blocking(tools, database).await;
                return Err(HoldError::LockTimeout { what: "a table".to_owned(), wait, blocking });
            }
            Err(HoldError::Session(error)) if is_about_the_encoding(&error) => {
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

/// Whether the server could not say something in UTF-8.
pub fn is_about_the_encoding(error: &SessionError) -> bool {
    error.reason(Reason::InternalError) == Reason::EncodingNotSupported
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

/// Who is in the way, as far as can be seen just after; nobody, if it cannot be asked.
async fn blocking(tools: &Tools, database: &str) -> Vec<Blocker> {
    let Ok(mut session) = Session::open(tools, database) else {
        return Vec::new();
    };
    let blocking = session.rows(BLOCKERS).await.unwrap_or_default();
    session.close().await;
    blocking
}

/// The same from the session that holds the tables, while it still does: whoever waits behind it is gone the moment
/// it ends, so the answer may not take long.
pub async fn blocking_now(session: &mut Session) -> Vec<Blocker> {
    let asked = tokio::time::timeout(Duration::from_secs(1), session.rows(BLOCKERS)).await;
    asked.ok().and_then(Result::ok).unwrap_or_default()
}
