//! Counts the rows of tables in the snapshot that is dumped, for comparison with the archive.
//!
//! A separate session imports the snapshot and counts each table in a short transaction, while the session
//! that exported the snapshot still holds the tables.

use std::{collections::BTreeMap, time::Duration};

use super::{
    hold::{HoldError, Relation},
    session::{Session, SessionError},
    tools::Tools,
};

/// Returns a query whose result is the statement that counts a table's rows. For a table of an extension, the
/// server adds the condition that selects the user's rows, as pg_dump does. psql executes the result with
/// `\gexec`. The condition is not sent through standard input, because there it could contain commands of
/// psql, which can start a shell.
fn counting(oid: u32) -> String {
    format!(
        "SELECT format('SELECT to_json(count(*)) FROM ONLY %I.%I %s', n.nspname, c.relname, \
             (SELECT condition FROM pg_extension x, unnest(x.extconfig, x.extcondition) AS k(relation, condition) \
              WHERE k.relation = c.oid)) \
         FROM pg_class c JOIN pg_namespace n ON n.oid = c.relnamespace WHERE c.oid = {oid} \\gexec"
    )
}

/// Returns the number of rows of each table, by OID. If a lock is not available at once, the error is a lock
/// timeout: another session already waits for the table.
pub async fn count(
    tools: &Tools,
    database: &str,
    snapshot: &str,
    tables: &[&Relation],
) -> Result<BTreeMap<u32, u64>, HoldError> {
    let mut session = Session::open(tools, database)?;
    let mut counts = BTreeMap::new();
    for table in tables {
        let name = &table.quoted;
        let begin =
            format!("BEGIN ISOLATION LEVEL REPEATABLE READ READ ONLY; SET TRANSACTION SNAPSHOT '{snapshot}'");
        session.execute(&begin).await.map_err(snapshot_gone)?;
        let lock = format!("LOCK TABLE ONLY {name} IN ACCESS SHARE MODE NOWAIT");
        session.execute(&lock).await.map_err(|error| not_locked(name, error))?;
        let rows = session.long_query(&counting(table.oid)).await.map_err(HoldError::while_holding)?;
        session.execute("COMMIT").await.map_err(HoldError::while_holding)?;
        counts.insert(table.oid, rows);
    }
    session.close().await;
    Ok(counts)
}

/// Converts an error of `SET TRANSACTION SNAPSHOT`. A snapshot exists only as long as the session that
/// exported it, so an unknown snapshot means that this session was lost.
fn snapshot_gone(error: SessionError) -> HoldError {
    match error.sqlstate() {
        // "invalid snapshot identifier", "does not exist" (newer servers), "source process is not running
        // anymore".
        Some("22023" | "42704" | "55000") => HoldError::Lost(Box::new(error)),
        _ => HoldError::while_holding(error),
    }
}

fn not_locked(table: &str, error: SessionError) -> HoldError {
    match error.sqlstate() {
        Some("55P03") => {
            HoldError::LockTimeout { what: table.to_owned(), wait: Duration::ZERO, blocker: None }
        }
        _ => HoldError::while_holding(error),
    }
}

#[cfg(test)]
mod tests {
    use domain::reason::Reason;

    use super::{super::tool_error::ToolError, *};

    #[test]
    fn row_count_distinguishes_lost_snapshot_from_lock_timeout() {
        let failed = |stderr: &str| SessionError::from(ToolError::new("psql", stderr));
        for (stderr, wanted) in [
            ("ERROR:  22023: invalid snapshot identifier: \"00000003-00000002-1\"", Reason::HoldLost),
            ("FEHLER:  42704: Snapshot »00000003-00000002-1« existiert nicht", Reason::HoldLost),
            ("ERROR:  55000: could not import the requested snapshot", Reason::HoldLost),
            ("FATAL:  57P01: terminating connection due to administrator command", Reason::HoldLost),
            ("ERROR:  42501: permission denied for table t", Reason::MissingPrivilege),
            ("ERROR:  XX001: invalid page in block 0", Reason::InternalError),
        ] {
            assert_eq!(snapshot_gone(failed(stderr)).reason(), wanted, "{stderr}");
        }
        let awaited =
            not_locked("public.t", failed("ERROR:  55P03: could not obtain lock on relation \"t\""));
        assert_eq!(awaited.reason(), Reason::LockTimeout);
        assert!(awaited.to_string().contains("public.t"), "{awaited}");
        assert_eq!(not_locked("t", failed("FATAL:  57P01: terminating")).reason(), Reason::HoldLost);
    }
}
