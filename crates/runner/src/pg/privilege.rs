//! Hints with the SQL statements that give a role the privileges for a backup.

/// The placeholder for a role whose name is unknown.
pub const ANY_ROLE: &str = "<user>";

/// Returns the statement that helps against `permission denied` or row security. `role` is the role's quoted
/// name. Returns `None` for other messages and for messages in other languages than English.
pub fn hint(message: &str, role: &str) -> Option<String> {
    if message.contains("row-level security policy") {
        return Some(bypass_row_security(role));
    }
    let (_, object) = message.split_once("permission denied for ")?;
    let object = object.lines().next().unwrap_or(object).trim();
    let (kind, name) = object.split_once(' ')?;
    Some(match kind {
        "function" => grant_execute(name, role),
        "schema" => format!("GRANT USAGE ON SCHEMA {name} TO {role}."),
        "database" => format!("GRANT CONNECT ON DATABASE {name} TO {role}."),
        "large" => format!("GRANT SELECT ON LARGE OBJECT {} TO {role}.", name.trim_start_matches("object ")),
        "sequence" => format!("GRANT SELECT ON SEQUENCE {name} TO {role}, or {}.", read_all(role)),
        "table" | "view" | "relation" => format!("GRANT SELECT ON {name} TO {role}, or {}.", read_all(role)),
        _ => return None,
    })
}

/// Returns a hint to grant EXECUTE. It applies to one database, because each database has its own privileges
/// on functions.
pub fn grant_execute(functions: &str, role: &str) -> String {
    format!("Run in this database: GRANT EXECUTE ON FUNCTION {functions} TO {role}.")
}

pub fn bypass_row_security(role: &str) -> String {
    format!("Run ALTER ROLE {role} BYPASSRLS, or let the tables' owner run the backup.")
}

/// Returns a statement that grants reading all tables, sequences and schemas. It does not cover large objects
/// and row security.
pub fn read_all(role: &str) -> String {
    format!("GRANT pg_read_all_data TO {role} (PostgreSQL 14 and later)")
}

/// Returns a name as it is written in SQL: quoted unless it is a plain lower-case identifier.
pub fn quoted(name: &str) -> String {
    let is_plain = name.starts_with(|c: char| c.is_ascii_lowercase() || c == '_')
        && name.chars().all(|c| c.is_ascii_lowercase() || c.is_ascii_digit() || c == '_');
    if is_plain { name.to_owned() } else { format!("\"{}\"", name.replace('"', "\"\"").escape_debug()) }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn missing_privilege_hint_contains_the_statement_to_run() {
        for (message, wanted) in [
            (
                "ERROR:  42501: permission denied for function pg_control_system\nLOCATION:  x",
                "Run in this database: GRANT EXECUTE ON FUNCTION pg_control_system TO backup.",
            ),
            (
                "ERROR:  query would be affected by row-level security policy for table \"t\"",
                "Run ALTER ROLE backup BYPASSRLS, or let the tables' owner run the backup.",
            ),
            ("ERROR:  permission denied for schema app", "GRANT USAGE ON SCHEMA app TO backup."),
            ("ERROR:  permission denied for large object 7", "GRANT SELECT ON LARGE OBJECT 7 TO backup."),
            (
                "ERROR:  permission denied for table t",
                "GRANT SELECT ON t TO backup, or GRANT pg_read_all_data TO backup (PostgreSQL 14 and later).",
            ),
        ] {
            assert_eq!(hint(message, "backup").as_deref(), Some(wanted), "{message}");
        }
        assert_eq!(hint("FEHLER:  keine Berechtigung für Tabelle t", "backup"), None);
    }

    #[test]
    fn role_name_in_a_hint_is_quoted_only_if_needed() {
        assert_eq!(quoted("backup_1"), "backup_1");
        assert_eq!(quoted("Backup"), "\"Backup\"");
        assert_eq!(quoted("a\"b"), "\"a\\\"\\\"b\"");
    }
}
