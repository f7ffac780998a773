//! The objects of a database in the dumped snapshot, for comparison with the archive.
//!
//! Objects are compared by OID, never by name. These kinds are not compared: ACLs, comments, default
//! privileges, the public schema, members of extensions, publications, subscriptions, event triggers and
//! security labels.

use std::collections::BTreeMap;

use archive::toc::SourceObject;
use serde::Deserialize;

use super::session::{Session, SessionError};

/// The contents of a database in the snapshot.
#[derive(Clone, Debug)]
pub struct Source {
    /// The objects that the archive must contain.
    pub objects: Vec<SourceObject>,
    /// The tables whose rows the archive must contain: schema and name, by OID.
    pub tables: BTreeMap<u32, (String, String)>,
    /// The number of rows of each table according to the statistics (`pg_class.reltuples`), by OID.
    pub estimates: BTreeMap<u32, u64>,
    /// The counted rows of each table, by OID; `None` if they were not counted.
    pub counts: Option<BTreeMap<u32, u64>>,
    /// The number of large objects.
    pub large_objects: u64,
    /// The versions of the extensions, by name.
    pub extensions: BTreeMap<String, String>,
}

/// Lists the objects that the archive must contain: relations of user schemas, and their indexes,
/// constraints, triggers and policies; functions and types. Members of extensions are omitted, except the
/// rows of tables that the extension marks as configuration. Invalid indexes are omitted, as in pg_dump.
const OBJECTS: &str = r"
WITH member AS (
    SELECT classid, objid FROM pg_depend WHERE refclassid = 'pg_extension'::regclass AND deptype = 'e'
), own_schema AS (
    SELECT oid, nspname FROM pg_namespace WHERE nspname !~ '^pg_' AND nspname <> 'information_schema'
), config AS (
    SELECT unnest(extconfig) AS oid FROM pg_extension
), relation AS (
    SELECT c.oid, c.relkind, c.relpersistence, c.reltype, n.nspname || '.' || c.relname AS name,
           EXISTS (SELECT FROM member m WHERE m.classid = 'pg_class'::regclass AND m.objid = c.oid) AS is_member
    FROM pg_class c JOIN own_schema n ON n.oid = c.relnamespace
    WHERE c.relpersistence <> 't'
), own AS (
    SELECT * FROM relation WHERE NOT is_member
)
SELECT 'pg_class'::regclass::oid::int8 AS class, oid::int8 AS oid, name,
       CASE relkind WHEN 'v' THEN 'VIEW' WHEN 'm' THEN 'MATERIALIZED VIEW' WHEN 'f' THEN 'FOREIGN TABLE' ELSE 'TABLE' END AS kind
FROM own WHERE relkind IN ('r', 'p', 'v', 'm', 'f')
UNION ALL
SELECT 0, oid::int8, name, 'TABLE DATA' FROM relation
WHERE relkind = 'r' AND (NOT is_member OR oid IN (SELECT oid FROM config))
  AND NOT (relpersistence = 'u' AND pg_is_in_recovery())
UNION ALL
SELECT 'pg_class'::regclass::oid::int8, s.oid::int8, s.name, 'SEQUENCE' FROM own s
WHERE s.relkind = 'S' AND NOT EXISTS (
    SELECT FROM pg_depend d JOIN relation t ON t.oid = d.refobjid AND t.is_member
    WHERE d.classid = 'pg_class'::regclass AND d.objid = s.oid AND d.refclassid = 'pg_class'::regclass)
UNION ALL
SELECT 'pg_class'::regclass::oid::int8, i.indexrelid::int8, i.indexrelid::regclass::text, 'INDEX'
FROM pg_index i JOIN own t ON t.oid = i.indrelid JOIN pg_class ic ON ic.oid = i.indexrelid
WHERE (i.indisvalid OR t.relkind = 'p') AND i.indisready AND t.relkind IN ('r', 'p', 'm')
  AND NOT EXISTS (SELECT FROM pg_constraint k WHERE k.conindid = i.indexrelid AND k.contype IN ('p', 'u', 'x'))
UNION ALL
SELECT 'pg_constraint'::regclass::oid::int8, k.oid::int8, k.conname || ' on ' || t.name,
       CASE k.contype WHEN 'f' THEN 'FK CONSTRAINT' ELSE 'CONSTRAINT' END
FROM pg_constraint k JOIN own t ON t.oid = k.conrelid
WHERE t.relkind IN ('r', 'p') AND (
    (k.contype = 'f' AND k.conparentid = 0)
    OR (k.contype IN ('p', 'u', 'x') AND EXISTS (
        SELECT FROM pg_index i WHERE i.indexrelid = k.conindid AND (i.indisvalid OR t.relkind = 'p') AND i.indisready)))
UNION ALL
SELECT 'pg_trigger'::regclass::oid::int8, g.oid::int8, g.tgname || ' on ' || t.name, 'TRIGGER'
FROM pg_trigger g JOIN own t ON t.oid = g.tgrelid WHERE NOT g.tgisinternal AND g.tgparentid = 0
UNION ALL
SELECT 'pg_policy'::regclass::oid::int8, p.oid::int8, p.polname || ' on ' || t.name, 'POLICY'
FROM pg_policy p JOIN own t ON t.oid = p.polrelid
UNION ALL
SELECT 'pg_proc'::regclass::oid::int8, f.oid::int8, n.nspname || '.' || f.proname,
       CASE f.prokind WHEN 'p' THEN 'PROCEDURE' WHEN 'a' THEN 'AGGREGATE' ELSE 'FUNCTION' END
FROM pg_proc f JOIN own_schema n ON n.oid = f.pronamespace
WHERE NOT EXISTS (SELECT FROM pg_depend d WHERE d.classid = 'pg_proc'::regclass AND d.objid = f.oid AND d.deptype IN ('e', 'i'))
UNION ALL
SELECT 'pg_type'::regclass::oid::int8, y.oid::int8, n.nspname || '.' || y.typname,
       CASE y.typtype WHEN 'd' THEN 'DOMAIN' ELSE 'TYPE' END
FROM pg_type y JOIN own_schema n ON n.oid = y.typnamespace LEFT JOIN pg_class c ON c.oid = y.typrelid
WHERE (y.typtype IN ('e', 'r', 'd') OR (y.typtype = 'c' AND c.relkind = 'c'))
  AND NOT EXISTS (SELECT FROM member m WHERE m.classid = 'pg_type'::regclass AND m.objid = y.oid)
";

#[derive(Deserialize)]
struct Table {
    oid: u32,
    schema: String,
    name: String,
    estimate: u64,
}

#[derive(Deserialize)]
struct Extension {
    name: String,
    version: String,
}

impl Source {
    /// Removes the rows of these tables from what the archive must contain.
    pub fn without_data(&mut self, tables: &[u32]) {
        self.objects.retain(|object| object.class != 0 || !tables.contains(&object.oid));
        self.tables.retain(|oid, _| !tables.contains(oid));
    }
}

/// Queries the contents of the database in the session that holds the snapshot.
pub async fn describe(session: &mut Session) -> Result<Source, SessionError> {
    let objects: Vec<SourceObject> = session.rows(OBJECTS).await?;
    let tables: Vec<Table> = session
        .rows("SELECT c.oid::int8 AS oid, n.nspname AS schema, c.relname AS name, CASE WHEN EXISTS (SELECT FROM pg_extension x, unnest(x.extconfig, x.extcondition) AS k(relation, condition) WHERE k.relation = c.oid AND k.condition <> '') THEN 0 ELSE greatest(c.reltuples, 0) END::int8 AS estimate FROM pg_class c JOIN pg_namespace n ON n.oid = c.relnamespace WHERE c.relkind = 'r' AND n.nspname !~ '^pg_' AND n.nspname <> 'information_schema'")
        .await?;
    let extensions: Vec<Extension> =
        session.rows("SELECT extname AS name, extversion AS version FROM pg_extension").await?;
    let large_objects = session.query("SELECT count(*) FROM pg_largeobject_metadata").await?;
    let estimates = tables.iter().map(|table| (table.oid, table.estimate)).collect();
    let names: BTreeMap<u32, (String, String)> =
        tables.into_iter().map(|table| (table.oid, (table.schema, table.name))).collect();
    let with_rows = objects.iter().filter(|object| object.class == 0);
    let tables = with_rows.filter_map(|object| Some((object.oid, names.get(&object.oid)?.clone()))).collect();
    Ok(Source {
        tables,
        objects,
        estimates,
        counts: None,
        large_objects,
        extensions: extensions.into_iter().map(|extension| (extension.name, extension.version)).collect(),
    })
}
