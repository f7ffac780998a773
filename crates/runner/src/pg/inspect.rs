//! Checks a database before it is dumped: for what would make the dump fail, and for what pg_dump would leave
//! out with exit status 0.
//!
//! This module checks sequences, large objects, the size of the lock table, and objects that pg_dump leaves
//! out. The privileges on tables are checked in `hold`, where the tables are locked.

use domain::{message, reason::Reason};
use serde::Deserialize;

use super::{
    lock_capacity::{LockSettings, LockTableError},
    privilege::{self, ANY_ROLE},
    session::{Session, SessionError},
    tools::Tools,
};

/// The number of objects that a message lists.
const NAMED: usize = 5;

/// The time limit of the query on extensions' tables, including waiting for locks, in milliseconds.
const EXTENSION_QUERY_TIMEOUT: u32 = 5000;

/// The reason why a database cannot be dumped completely.
#[derive(Debug, thiserror::Error)]
pub enum InspectError {
    #[error("{0}")]
    Session(#[from] SessionError),
    #[error("role {role} has no permission to read {}", unreadable(sequences, *large_objects))]
    Unreadable {
        /// The role's name, quoted.
        role: String,
        sequences: Vec<String>,
        /// The number of large objects that the role cannot read.
        large_objects: u64,
    },
    #[error(transparent)]
    LockTable(#[from] LockTableError),
    /// Tables of extensions have rows that pg_dump leaves out, and the policy sets `dump.strictExtensions`.
    #[error("{}", what.join("; "))]
    ExtensionRows { what: Vec<String> },
}

impl InspectError {
    /// Returns a hint for this case; `None` if the reason's general advice is enough.
    pub fn hint(&self) -> Option<String> {
        match self {
            Self::Session(error) => error.hint(ANY_ROLE),
            Self::Unreadable { role, sequences, large_objects } => {
                let mut hints = Vec::new();
                if !sequences.is_empty() {
                    let names = message::list(sequences, NAMED, "sequences");
                    hints.push(format!(
                        "GRANT SELECT ON SEQUENCE {names} TO {role} and USAGE on the schema, or {}.",
                        privilege::read_all(role)
                    ));
                }
                if *large_objects > 0 {
                    hints.push(format!(
                        "GRANT SELECT ON LARGE OBJECT <oid> TO {role} for each large object, or let their owner run the backup."
                    ));
                }
                Some(hints.join(" "))
            }
            Self::LockTable(error) => Some(error.hint()),
            Self::ExtensionRows { .. } => None,
        }
    }

    pub fn reason(&self) -> Reason {
        match self {
            Self::Session(error) => error.reason(Reason::InternalError),
            Self::Unreadable { .. } => Reason::MissingPrivilege,
            Self::LockTable(_) => Reason::LockTableTooSmall,
            Self::ExtensionRows { .. } => Reason::ExtensionDataLeftOut,
        }
    }
}

#[derive(Debug, Deserialize)]
struct Findings {
    sequences: Vec<String>,
    large_objects: u64,
    role: String,
    tables: u64,
    lock_settings: LockSettings,
    unlogged: Vec<String>,
    user_mappings: Vec<String>,
    subscriptions: Vec<String>,
    extension_tables: Vec<ExtensionTable>,
}

/// A table that an extension does not mark as configuration. pg_dump leaves its rows out.
#[derive(Debug, Deserialize)]
struct ExtensionTable {
    extension: String,
    quoted: String,
    readable: bool,
}

/// Finds everything that the role cannot read and everything that pg_dump leaves out.
///
/// - Sequences: has_sequence_privilege() fails for other relations, and only CASE guarantees the order of
///   evaluation.
/// - Large objects: superusers, the owner, roles in the ACL and, with `lo_compat_privileges`, all roles can
///   read them. `has_largeobject_privilege()` exists only since version 18.
/// - User mappings: pg_dump reads the view pg_user_mappings, which hides options from roles without
///   permission.
/// - Subscriptions: only a superuser can dump them, because their connections contain passwords.
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
    quote_ident(current_user) AS role,
    json_build_object('per_transaction', current_setting('max_locks_per_transaction')::int8,
                      'connections', current_setting('max_connections')::int8,
                      'prepared', current_setting('max_prepared_transactions')::int8) AS lock_settings,
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

/// Checks the database and returns warnings. With `strict`, rows of extensions' tables that pg_dump leaves
/// out are an error instead of a warning.
pub async fn inspect(tools: &Tools, database: &str, strict: bool) -> Result<Vec<String>, InspectError> {
    let mut session = Session::open(tools, database)?;
    let findings: Findings = session.query(FINDINGS).await?;
    refuse_unreadable(&findings)?;
    let mut warnings = Vec::new();
    warnings.extend(findings.lock_settings.check(findings.tables)?);
    if !findings.unlogged.is_empty() {
        warnings.push(format!(
            "the backup does not contain the rows of unlogged tables, because a standby does not have them: {}",
            some(&findings.unlogged, "tables")
        ));
    }
    if !findings.user_mappings.is_empty() {
        warnings.push(format!(
            "the backup does not contain the options of user mappings, because the role has no permission to read them: {}",
            some(&findings.user_mappings, "user mappings")
        ));
    }
    if !findings.subscriptions.is_empty() {
        warnings.push(format!(
            "the backup does not contain subscriptions, because the role is not a superuser: {}",
            some(&findings.subscriptions, "subscriptions")
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
    let Findings { role, sequences, large_objects, .. } = findings;
    if sequences.is_empty() && *large_objects == 0 {
        return Ok(());
    }
    let (role, sequences, large_objects) = (role.clone(), sequences.clone(), *large_objects);
    Err(InspectError::Unreadable { role, sequences, large_objects })
}

fn unreadable(sequences: &[String], large_objects: u64) -> String {
    let mut what = Vec::new();
    if !sequences.is_empty() {
        what.push(some(sequences, "sequences"));
    }
    match large_objects {
        0 => {}
        1 => what.push("1 large object".to_owned()),
        n => what.push(format!("{n} large objects")),
    }
    what.join(" and ")
}

/// Returns a message for each of the tables that has rows or cannot be checked.
async fn extension_rows(
    session: &mut Session,
    tables: Vec<ExtensionTable>,
) -> Result<Vec<String>, InspectError> {
    let (readable, hidden): (Vec<_>, Vec<_>) = tables.into_iter().partition(|table| table.readable);
    let mut found = Vec::new();
    if !readable.is_empty() {
        let queries: Vec<String> = readable
            .iter()
            .enumerate()
            .map(|(n, table)| format!("SELECT {n} AS n WHERE EXISTS (SELECT FROM ONLY {})", table.quoted))
            .collect();
        let answer: Result<Vec<usize>, SessionError> = session
            .query(&format!(
                "SET statement_timeout = {EXTENSION_QUERY_TIMEOUT}; SELECT coalesce(json_agg(n), '[]') FROM ({}) q",
                queries.join(" UNION ALL ")
            ))
            .await;
        let holding = match answer {
            // A lock, many dead rows, or a table that was dropped prevented the check.
            Err(error) if error.sqlstate().is_some() => {
                return Ok(vec![format!(
                    "the backup possibly lacks rows of extensions' tables, because these tables cannot be checked: {error}"
                )]);
            }
            answer => answer?,
        };
        found.extend(holding.into_iter().filter_map(|n| readable.get(n)).map(|table| {
            format!(
                "pg_dump does not dump the rows of {}: the table belongs to extension {}, which does not mark it with pg_extension_config_dump",
                table.quoted, table.extension
            )
        }));
    }
    found.extend(hidden.iter().map(|table| {
        format!(
            "the backup possibly lacks rows of {}: the table belongs to extension {}, and the role has no permission to read it",
            table.quoted, table.extension
        )
    }));
    Ok(found)
}

fn some(names: &[String], noun: &str) -> String {
    message::list(names, NAMED, noun)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn error_lists_unreadable_sequences_and_the_needed_grant() {
        let unreadable = |sequences: u32, large_objects| InspectError::Unreadable {
            role: "backup".to_owned(),
            sequences: (1..=sequences).map(|n| format!("s{n}")).collect(),
            large_objects,
        };
        let error = unreadable(7, 1);
        assert_eq!(error.reason(), Reason::MissingPrivilege);
        assert_eq!(
            error.to_string(),
            "role backup has no permission to read s1, s2, s3, s4, s5 and 2 more sequences and 1 large object"
        );
        let hint = error.hint().unwrap();
        assert!(hint.starts_with("GRANT SELECT ON SEQUENCE s1, "), "{hint}");
        assert!(hint.contains("pg_read_all_data") && hint.contains("ON LARGE OBJECT"), "{hint}");
        // pg_read_all_data does not include large objects.
        assert!(!unreadable(0, 2).hint().unwrap().contains("pg_read_all_data"));
    }
}
