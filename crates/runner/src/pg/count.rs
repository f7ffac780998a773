//! Rows counted at the source, in the snapshot that is dumped: what the archive must hold of each table.
//!
//! A session of its own imports the snapshot and counts each table in a short transaction, while the session that
//! exported it still holds the tables.

use std::{collections::BTreeMap, time::Duration};

use super::{
    hold::{HoldError, Relation},
    session::Session,
    tools::Tools,
};

/// Makes the statement that counts one table's rows, on the server, which also knows what an extension says of which of
/// them are the user's (pg_dump appends the same text to its own query). psql sends what comes of it as it is: read from
/// its standard input, a condition could hold commands of psql's, and these can start a shell.
fn counting(oid: u32) -> String {
    format!(
        "SELECT format('SELECT to_json(count(*)) FROM ONLY %I.%I %s', n.nspname, c.relname, \
             (SELECT condition FROM pg_extension x, unnest(x.extconfig, x.extcondition) AS k(relation, condition) \
              WHERE k.relation = c.oid)) \
         FROM pg_class c JOIN pg_namespace n ON n.oid = c.relnamespace WHERE c.oid = {oid} \\gexec"
    )
}

/// The rows of each of `tables`, by OID. A lock that is not to be had at once is a lock timeout: somebody waits for the
/// table behind the lock that is held already.
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
        let begin = format!(
            "BEGIN ISOLATION LEVEL REPEATABLE READ READ ONLY; SET TRANSACTION SNAPSHOT '{snapshot}'; \
             LOCK TABLE ONLY {name} IN ACCESS SHARE MODE NOWAIT"
        );
        match session.execute(&begin).await {
            Err(error) if error.sqlstate() == Some("55P03") => {
                return Err(HoldError::LockTimeout {
                    what: name.clone(),
                    wait: Duration::ZERO,
                    blocker: None,
                });
            }
            begun => begun?,
        }
        let rows = session.long_query(&counting(table.oid)).await?;
        session.execute("COMMIT").await?;
        counts.insert(table.oid, rows);
    }
    session.close().await;
    Ok(counts)
}
