//! Chooses the databases to dump, and explains why others are left out.

use std::collections::BTreeMap;

use domain::{
    manifest::DatabaseDefinition,
    pattern::{is_pattern, matches},
    reason::Reason,
};
use serde::{Deserialize, Deserializer, de::Error as _};

use super::{
    obstacle::Obstacle,
    privilege,
    session::{Session, SessionError},
    tools::Tools,
};

/// Databases of managed services that only the service can read.
const SERVICE_DATABASES: [&str; 4] = ["rdsadmin", "cloudsqladmin", "azure_maintenance", "azure_sys"];

#[derive(Clone, Debug)]
pub struct Database {
    pub name: String,
    pub oid: u32,
    /// The properties that `CREATE DATABASE` needs.
    pub definition: DatabaseDefinition,
}

#[derive(Clone, Debug, Default)]
pub struct Selection {
    /// The databases to dump, sorted by name.
    pub chosen: Vec<Database>,
    /// The databases that a pattern includes but that cannot be dumped.
    pub left_out: Vec<LeftOut>,
}

/// A database that a pattern includes but that cannot be dumped.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct LeftOut {
    pub name: String,
    /// The cause, as a predicate: "database x" or "it" comes before it in messages.
    pub why: &'static str,
    /// Whether a person may need the database: `false` for templates and databases of the hosting service.
    pub missed: bool,
}

#[derive(Debug, thiserror::Error)]
pub enum SelectionError {
    #[error("cannot list the databases: {0}")]
    List(#[from] SessionError),
    /// A database whose name is in `databases.include` does not exist or cannot be dumped.
    #[error("database {name:?}, which databases.include lists, {}", obstacle.fact())]
    Unavailable { name: String, obstacle: Obstacle },
    #[error("all selected databases were dropped during the run")]
    AllDropped,
    #[error(
        "databases.include {include:?} and databases.exclude {exclude:?} select no database; the server has the databases {present:?}"
    )]
    Nothing { include: Vec<String>, exclude: Vec<String>, present: Vec<String> },
}

impl SelectionError {
    /// Returns a hint for this case; `None` if the reason's general advice is enough.
    pub fn hint(&self) -> Option<String> {
        match self {
            Self::Unavailable { name, obstacle } => Some(obstacle.hint(name)),
            Self::List(error) => error.hint(privilege::ANY_ROLE),
            Self::AllDropped | Self::Nothing { .. } => None,
        }
    }

    pub fn reason(&self) -> Reason {
        match self {
            Self::List(error) => error.reason(Reason::InternalError),
            Self::Unavailable { .. } => Reason::DatabaseUnavailable,
            Self::AllDropped | Self::Nothing { .. } => Reason::NoDatabases,
        }
    }
}

/// A row of pg_database. `all` contains the columns that not every server version has.
#[derive(Debug, Deserialize)]
struct Row {
    oid: u32,
    #[serde(deserialize_with = "text_of_hex")]
    name: String,
    accepts: bool,
    template: bool,
    connection_limit: i32,
    connectable: bool,
    owner: String,
    encoding: String,
    tablespace: String,
    all: All,
    settings: BTreeMap<String, Vec<String>>,
}

#[derive(Debug, Deserialize)]
struct All {
    datcollate: String,
    datctype: String,
    datlocprovider: Option<String>,
    datlocale: Option<String>,
    daticulocale: Option<String>,
    daticurules: Option<String>,
    datcollversion: Option<String>,
}

/// Lists the databases. The name is sent as hexadecimal digits because each database's name is in its own
/// encoding. JSON would drop bytes that are not UTF-8, and the rest could be the name of another database.
const LIST: &str = r"
SELECT d.oid::int8 AS oid, encode(namesend(d.datname), 'hex') AS name, d.datallowconn AS accepts, d.datistemplate AS template,
       d.datconnlimit AS connection_limit, has_database_privilege(d.oid, 'CONNECT') AS connectable,
       pg_get_userbyid(d.datdba) AS owner, pg_encoding_to_char(d.encoding) AS encoding, t.spcname AS tablespace,
       to_jsonb(d) AS all,
       (SELECT coalesce(jsonb_object_agg(coalesce(r.rolname, ''), to_jsonb(s.setconfig)), '{}')
        FROM pg_db_role_setting s LEFT JOIN pg_roles r ON r.oid = s.setrole WHERE s.setdatabase = d.oid) AS settings
FROM pg_database d JOIN pg_tablespace t ON t.oid = d.dattablespace ORDER BY d.datname";

/// Lists the databases of the server and chooses those to dump.
pub async fn select(
    session: &mut Session,
    include: &[String],
    exclude: &[String],
) -> Result<Selection, SelectionError> {
    let rows: Vec<Row> = session.rows(LIST).await?;
    choose(rows, include, exclude)
}

/// Decodes hexadecimal digits to text. Bytes that are not UTF-8 become U+FFFD.
fn text_of_hex<'de, D: Deserializer<'de>>(digits: D) -> Result<String, D::Error> {
    let digits = String::deserialize(digits)?;
    let byte = |pair: &[u8]| u8::from_str_radix(std::str::from_utf8(pair).ok()?, 16).ok();
    let bytes: Option<Vec<u8>> = digits.as_bytes().chunks(2).map(byte).collect();
    let bytes = bytes.ok_or_else(|| D::Error::custom("not hexadecimal"))?;
    Ok(String::from_utf8_lossy(&bytes).into_owned())
}

/// Returns whether a database with this OID exists. The query runs in the database `maintenance`.
pub async fn exists(tools: &Tools, maintenance: &str, oid: u32) -> Result<bool, SessionError> {
    let mut session = Session::open(tools, maintenance)?;
    let there =
        session.query(&format!("SELECT to_json(count(*) > 0) FROM pg_database WHERE oid = {oid}")).await?;
    session.close().await;
    Ok(there)
}

fn choose(rows: Vec<Row>, include: &[String], exclude: &[String]) -> Result<Selection, SelectionError> {
    let is_excluded = |name: &str| exclude.iter().any(|pattern| matches(pattern, name));
    for name in include.iter().filter(|pattern| !is_pattern(pattern)) {
        let row = rows.iter().find(|row| row.name == *name);
        let obstacle = row.map_or(Some(Obstacle::Missing), Row::obstacle);
        let obstacle = obstacle.or_else(|| is_excluded(name).then_some(Obstacle::Excluded));
        if let Some(obstacle) = obstacle {
            return Err(SelectionError::Unavailable { name: name.clone(), obstacle });
        }
    }
    let present = rows.iter().map(|row| row.name.clone()).collect();
    let mut selection = Selection::default();
    for row in rows {
        let named = include.contains(&row.name);
        let included = include.iter().any(|pattern| matches(pattern, &row.name));
        if !included || is_excluded(&row.name) {
            continue;
        }
        let of_the_service = !named && SERVICE_DATABASES.contains(&row.name.as_str());
        let obstacle = of_the_service.then_some(Obstacle::OfTheService).or_else(|| row.obstacle());
        match obstacle {
            Some(obstacle) => {
                let missed = !(of_the_service || row.template);
                selection.left_out.push(LeftOut { name: row.name, why: obstacle.fact(), missed });
            }
            None => selection.chosen.push(row.into()),
        }
    }
    if selection.chosen.is_empty() {
        return Err(SelectionError::Nothing {
            include: include.to_vec(),
            exclude: exclude.to_vec(),
            present,
        });
    }
    Ok(selection)
}

impl Row {
    fn obstacle(&self) -> Option<Obstacle> {
        if self.connection_limit == -2 {
            Some(Obstacle::HalfDropped)
        } else if self.template {
            Some(Obstacle::Template)
        } else if !self.accepts {
            Some(Obstacle::NoConnections)
        } else if !self.connectable {
            Some(Obstacle::NoPrivilege)
        } else if self.name.contains(char::REPLACEMENT_CHARACTER) {
            Some(Obstacle::NotUtf8)
        } else {
            None
        }
    }
}

impl From<Row> for Database {
    fn from(row: Row) -> Self {
        let locale_provider = match row.all.datlocprovider.as_deref() {
            Some("i") => "icu",
            Some("b") => "builtin",
            _ => "libc",
        };
        Self {
            name: row.name,
            oid: row.oid,
            definition: DatabaseDefinition {
                owner: row.owner,
                encoding: row.encoding,
                locale_provider: locale_provider.to_owned(),
                collate: row.all.datcollate,
                ctype: row.all.datctype,
                locale: row.all.datlocale.or(row.all.daticulocale),
                icu_rules: row.all.daticurules,
                collation_version: row.all.datcollversion,
                tablespace: row.tablespace,
                connection_limit: row.connection_limit,
                settings: row.settings,
            },
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn row(name: &str) -> Row {
        Row {
            oid: 1,
            name: name.into(),
            accepts: true,
            template: name.starts_with("template"),
            connection_limit: -1,
            connectable: name != "secret",
            owner: "o".into(),
            encoding: "UTF8".into(),
            tablespace: "pg_default".into(),
            all: All {
                datcollate: "C".into(),
                datctype: "C".into(),
                datlocprovider: Some("b".into()),
                datlocale: None,
                daticulocale: None,
                daticurules: None,
                datcollversion: None,
            },
            settings: BTreeMap::new(),
        }
    }

    fn chosen(include: &[&str], exclude: &[&str]) -> Result<Selection, SelectionError> {
        let rows = ["caf\u{FFFD}", "postgres", "rdsadmin", "secret", "shop", "template1"].map(row).into();
        let owned = |patterns: &[&str]| patterns.iter().map(|p| (*p).to_owned()).collect::<Vec<_>>();
        choose(rows, &owned(include), &owned(exclude))
    }

    #[test]
    fn databases_that_cannot_be_dumped_are_skipped_and_listed() {
        let selection = chosen(&["*"], &["post*"]).unwrap();
        assert_eq!(selection.chosen.iter().map(|d| d.name.as_str()).collect::<Vec<_>>(), ["shop"]);
        assert_eq!(
            selection.left_out.iter().map(|out| (out.name.as_str(), out.missed)).collect::<Vec<_>>(),
            [("caf\u{FFFD}", true), ("rdsadmin", false), ("secret", true), ("template1", false)]
        );
    }

    #[test]
    fn half_dropped_database_is_skipped_with_a_warning() {
        let invalid = |name: &str| Row { connection_limit: -2, ..row(name) };
        let selection = choose(vec![invalid("broken"), row("shop")], &["*".to_owned()], &[]).unwrap();
        assert_eq!(selection.chosen.iter().map(|d| d.name.as_str()).collect::<Vec<_>>(), ["shop"]);
        let [LeftOut { name, why, missed: true }] = &selection.left_out[..] else { panic!("{selection:?}") };
        assert!(name == "broken" && why.contains("DROP DATABASE was interrupted"), "{why}");
        let error = choose(vec![invalid("broken")], &["broken".to_owned()], &[]).unwrap_err();
        assert_eq!(error.reason(), Reason::DatabaseUnavailable);
    }

    #[test]
    fn database_both_included_and_excluded_is_rejected() {
        for exclude in ["shop", "sh*"] {
            let error = chosen(&["postgres", "shop"], &[exclude]).unwrap_err();
            assert_eq!(error.reason(), Reason::DatabaseUnavailable);
            assert!(
                error.to_string().contains("\"shop\"") && error.to_string().contains("databases.exclude")
            );
        }
        assert!(chosen(&["postgres", "sho?"], &["shop"]).is_ok(), "a pattern does not name the database");
    }

    #[test]
    fn included_database_that_is_missing_or_closed_is_rejected() {
        assert_eq!(chosen(&["*", "nope"], &[]).unwrap_err().reason(), Reason::DatabaseUnavailable);
        let error = chosen(&["secret"], &[]).unwrap_err();
        assert_eq!(error.reason(), Reason::DatabaseUnavailable);
        assert_eq!(
            error.to_string(),
            "database \"secret\", which databases.include lists, does not grant CONNECT to the role"
        );
        assert!(error.hint().unwrap().starts_with("GRANT CONNECT ON DATABASE secret TO <user>"));
        assert_eq!(chosen(&["x*"], &[]).unwrap_err().reason(), Reason::NoDatabases);
        assert_eq!(chosen(&["*"], &["*"]).unwrap_err().reason(), Reason::NoDatabases);
    }
}
