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

/// What an extension says of which rows of its tables are the user's, as it is appended to the query that pg_dump makes.
const CONDITIONS: &str = "SELECT relation::int8 AS oid, condition FROM pg_extension x, \
     unnest(x.extconfig, x.extcondition) AS c(relation, condition) WHERE condition <> ''";

#[derive(serde::Deserialize)]
struct Condition {
    oid: u32,
    condition: String,
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
    let conditions: Vec<Condition> = session.rows(CONDITIONS).await?;
    let conditions: BTreeMap<u32, String> =
        conditions.into_iter().map(|Condition { oid, condition }| (oid, condition)).collect();
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
        let condition = conditions.get(&table.oid).map(String::as_str).unwrap_or_default();
        let rows = session.query(&format!("SELECT to_json(count(*)) FROM ONLY {name} {condition}")).await?;
        session.execute("COMMIT").await?;
        counts.insert(table.oid, rows);
    }
    session.close().await;
    Ok(counts)
}
