//! What a dump of one database would stumble over or leave out in silence, asked before a byte is dumped.
//!
//! Tables are asked for where they are locked (see [`super::hold`]); here is the rest: sequences, large objects, the
//! room for locks, and what pg_dump leaves out with exit status 0.

use domain::reason::Reason;
use serde::Deserialize;

use super::{
    session::{Session, SessionError},
    tools::Tools,
};

/// How many things a message names.
const NAMED: usize = 5;

/// How long a look into an extension's table may wait for its lock, in milliseconds.
const LOOK_TIMEOUT: u32 = 5000;

/// Holder and pg_dump each lock every table.
const LOCKERS: u64 = 2;

/// Of the room for locks, in percent: above the first it is worth a word, above the second a dump would take away
/// what others need.
const LOCKS_WARN: u64 = 50;
const LOCKS_REFUSE: u64 = 80;

/// A database that should not be dumped as it is.
#[derive(Debug, thiserror::Error)]
pub enum InspectError {
    /// The server could not be asked.
    #[error("{0}")]
    Session(#[from] SessionError),
    /// Something cannot be read.
    #[error("the role may not read {}", what.join(", "))]
    Unreadable {
        /// What, each with what is missing.
        what: Vec<String>,
    },
    /// Locks on all tables would fill the server's table of locks.
    #[error(
        "a dump needs {needed} locks (two on each of {tables} tables), and the server has room for {room} (max_locks_per_transaction x (max_connections + max_prepared_transactions))"
    )]
    LockTable {
        /// How many locks.
        needed: u64,
        /// On how many tables.
        tables: u64,
        /// How many the server has room for.
        room: u64,
    },
    /// Rows that pg_dump leaves out, where that is not to be.
    #[error("{}", what.join("; "))]
    ExtensionRows {
        /// Which.
        what: Vec<String>,
    },
}

impl InspectError {
    /// The reason word.
    pub fn reason(&self) -> Reason {
        match self {
            Self::Session(error) => error.reason(Reason::InternalError),
            Self::Unreadable { .. } => Reason::MissingPrivilege,
            Self::LockTable { .. } => Reason::LockTableTooSmall,
            Self::ExtensionRows { .. } => Reason::ExtensionDataLeftOut,
        }
    }
}

#[derive(Debug, Deserialize)]
struct Findings {
    sequences: Vec<String>,
    large_objects: u64,
    tables: u64,
    lock_room: u64,
    unlogged: Vec<String>,
    user_mappings: Vec<String>,
    subscriptions: Vec<String>,
    extension_tables: Vec<ExtensionTable>,
}

/// A table that belongs to an extension, which has not marked it as configuration: pg_dump leaves its rows out.
#[derive(Debug, Deserialize)]
struct ExtensionTable {
    extension: String,
    quoted: String,
    readable: bool,
}

/// has_sequence_privilege() fails on what is no sequence, and only CASE keeps an order. A superuser may read everything. A large object is read by its owner, or by whom its ACL or `lo_compat_privileges`
/// lets; `has_largeobject_privilege()` came with 18 only. pg_user_mappings hides options from those who may not see
/// them, and pg_dump reads that view. Subscriptions only a superuser can dump: their connections have passwords.
const FINDINGS: &str = r"
WITH me AS (SELECT rolsuper FROM pg_roles WHERE rolname = current_user),
own_schema AS (SELECT oid, nspname FROM pg_namespace WHERE nspname !~ '^pg_' AND nspname <> 'information_schema'),
member AS (
    SELECT d.objid AS oid, x.extname, d.objid = ANY (coalesce(x.extconfig, '{}')) AS is_config
    FROM pg_depend d JOIN pg_extension x ON x.oid = d.refobjid
    WHERE d.classid = 'pg_class'::regclass AND d.refclassid = 'pg_extension'::regclass AND d.deptype = 'e'
),
relation AS (
    SELECT c.oid, c.relkind, c.relpersistence, format('%I.%I', n.nspname, c.relname) AS quoted, m.extname, m.is_config,
           has_schema_privilege(n.oid, 'USAGE') AS reachable
    FROM pg_class c JOIN own_schema n ON n.oid = c.relnamespace LEFT JOIN member m ON m.oid = c.oid
    WHERE c.relkind IN ('r', 'p', 'S') AND c.relpersistence <> 't'
)
SELECT to_json(q) FROM (SELECT
    (SELECT coalesce(json_agg(quoted ORDER BY quoted), '[]') FROM relation
     WHERE (extname IS NULL OR is_config)
       AND CASE WHEN relkind = 'S' THEN NOT coalesce(reachable AND has_sequence_privilege(oid, 'SELECT'), true) END
       AND NOT EXISTS (SELECT FROM pg_depend d JOIN member m ON m.oid = d.refobjid
                       WHERE d.classid = 'pg_class'::regclass AND d.objid = relation.oid
                         AND d.refclassid = 'pg_class'::regclass)) AS sequences,
    (SELECT count(*) FROM pg_largeobject_metadata m, me
     WHERE NOT me.rolsuper AND NOT current_setting('lo_compat_privileges')::bool
       AND NOT pg_has_role(m.lomowner, 'USAGE')
       AND NOT EXISTS (SELECT FROM aclexplode(m.lomacl) a WHERE a.privilege_type = 'SELECT'
                       AND (a.grantee = 0 OR pg_has_role(a.grantee, 'USAGE')))) AS large_objects,
    (SELECT count(*) FROM relation WHERE relkind IN ('r', 'p') AND (extname IS NULL OR is_config)) AS tables,
    current_setting('max_locks_per_transaction')::int8
        * (current_setting('max_connections')::int8 + current_setting('max_prepared_transactions')::int8) AS lock_room,
    (SELECT coalesce(json_agg(quoted ORDER BY quoted), '[]') FROM relation
     WHERE relkind = 'r' AND relpersistence = 'u' AND extname IS NULL AND pg_is_in_recovery()) AS unlogged,
    (SELECT coalesce(json_agg(format('%I on %I', u.usename, u.srvname)), '[]') FROM pg_user_mappings u, me
     WHERE NOT me.rolsuper AND u.umoptions IS NULL) AS user_mappings,
    (SELECT coalesce(json_agg(format('%I', s.subname) ORDER BY s.subname), '[]') FROM pg_subscription s, me
     WHERE NOT me.rolsuper
       AND s.subdbid = (SELECT oid FROM pg_database WHERE datname = current_database())) AS subscriptions,
    (SELECT coalesce(json_agg(json_build_object('extension', extname, 'quoted', quoted,
                'readable', coalesce(reachable AND has_table_privilege(oid, 'SELECT'), true))), '[]')
     FROM relation WHERE relkind = 'r' AND NOT is_config) AS extension_tables
) q";

/// Looks; gives warnings. `strict`: rows in tables of extensions that pg_dump leaves out are a failure.
pub async fn inspect(tools: &Tools, database: &str, strict: bool) -> Result<Vec<String>, InspectError> {
    let mut session = Session::open(tools, database)?;
    let findings: Findings = session.query(FINDINGS).await?;
    refuse_unreadable(&findings)?;
    let mut warnings = Vec::new();
    warnings.extend(locks(findings.tables, findings.lock_room)?);
    if !findings.unlogged.is_empty() {
        warnings.push(format!("a standby has no rows of unlogged tables: {}", some(&findings.unlogged)));
    }
    if !findings.user_mappings.is_empty() {
        warnings.push(format!(
            "options of user mappings that the role may not see are left out: {}",
            some(&findings.user_mappings)
        ));
    }
    if !findings.subscriptions.is_empty() {
        warnings.push(format!(
            "subscriptions are left out, since the role is no superuser: {}",
            some(&findings.subscriptions)
        ));
    }
    let rows = extension_rows(&mut session, findings.extension_tables).await?;
    session.close().await;
    if strict && !rows.is_empty() {
        return Err(InspectError::ExtensionRows { what: rows });
    }
    warnings.extend(rows);
    Ok(warnings)
}

fn refuse_unreadable(findings: &Findings) -> Result<(), InspectError> {
    let mut what = Vec::new();
    if !findings.sequences.is_empty() {
        what.push(format!("{} (SELECT or the schema's USAGE is missing)", some(&findings.sequences)));
    }
    match findings.large_objects {
        0 => {}
        1 => what.push("1 large object (GRANT SELECT ON LARGE OBJECT, or be its owner)".to_owned()),
        n => what.push(format!("{n} large objects (GRANT SELECT ON LARGE OBJECT, or be their owner)")),
    }
    if what.is_empty() { Ok(()) } else { Err(InspectError::Unreadable { what }) }
}

/// The server's own reserve of locks is not counted on: it is for others.
fn locks(tables: u64, room: u64) -> Result<Option<String>, InspectError> {
    let needed = tables * LOCKERS;
    let percent = (needed * 100).checked_div(room).unwrap_or(u64::MAX);
    if percent > LOCKS_REFUSE {
        return Err(InspectError::LockTable { needed, tables, room });
    }
    Ok((percent > LOCKS_WARN).then(|| {
        format!(
            "a dump takes {percent} % of the server's room for locks ({needed} of {room}); above {LOCKS_REFUSE} % it is refused: raise max_locks_per_transaction"
        )
    }))
}

/// Which of the tables hold rows. The server quotes their names.
async fn extension_rows(
    session: &mut Session,
    tables: Vec<ExtensionTable>,
) -> Result<Vec<String>, InspectError> {
    let (readable, hidden): (Vec<_>, Vec<_>) = tables.into_iter().partition(|table| table.readable);
    let mut found = Vec::new();
    if !readable.is_empty() {
        let looks: Vec<String> = readable
            .iter()
            .enumerate()
            .map(|(n, table)| format!("SELECT {n} AS n WHERE EXISTS (SELECT FROM ONLY {})", table.quoted))
            .collect();
        let looked: Result<Vec<usize>, SessionError> = session
            .query(&format!(
                "SET statement_timeout = {LOOK_TIMEOUT}; SELECT coalesce(json_agg(n), '[]') FROM ({}) q",
                looks.join(" UNION ALL ")
            ))
            .await;
        let holding = match looked {
            // A lock, many dead rows, or a table that was dropped meanwhile.
            Err(error) if error.sqlstate().is_some() => {
                return Ok(vec![format!(
                    "whether tables of extensions hold rows is not known, they would be left out: {error}"
                )]);
            }
            looked => looked?,
        };
        found.extend(holding.into_iter().filter_map(|n| readable.get(n)).map(|table| {
            format!(
                "the rows of {} are left out: the table belongs to the extension {}, which does not mark it as configuration (pg_extension_config_dump)",
                table.quoted, table.extension
            )
        }));
    }
    found.extend(hidden.iter().map(|table| {
        format!(
            "whether {} of the extension {} holds rows is not known, since the role may not read it; they would be left out",
            table.quoted, table.extension
        )
    }));
    Ok(found)
}

/// The first of many.
fn some(names: &[String]) -> String {
    let shown = names.iter().take(NAMED).cloned().collect::<Vec<_>>().join(", ");
    match names.len().saturating_sub(NAMED) {
        0 => shown,
        more => format!("{shown} and {more} more"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn locks_are_warned_of_above_half_and_refused_above_four_fifths() {
        assert_eq!(locks(1600, 6400).unwrap(), None);
        let warning = locks(1700, 6400).unwrap().unwrap();
        assert!(warning.contains("53 %") && warning.contains("3400 of 6400"), "{warning}");
        assert!(locks(2560, 6400).is_ok());
        let error = locks(2700, 6400).unwrap_err();
        assert_eq!(error.reason(), Reason::LockTableTooSmall);
        assert!(
            error.to_string().contains("5400") && error.to_string().contains("max_locks_per_transaction")
        );
    }

    #[test]
    fn a_message_names_a_few_of_many() {
        let names: Vec<String> = (1..=7).map(|n| format!("t{n}")).collect();
        assert_eq!(some(&names), "t1, t2, t3, t4, t5 and 2 more");
        assert_eq!(some(&names[..1]), "t1");
    }
}
