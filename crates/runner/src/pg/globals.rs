//! Starts `pg_dumpall --globals-only`, which dumps roles and tablespaces.

use super::{dump_error::DumpError, preflight::Server, program::Program, tools};

/// The name of the globals file in a backup's folder.
pub const FILE: &str = "globals.sql";

/// Starts pg_dumpall. Returns the running program and its command line. Without `passwords` every role has
/// permission: only password hashes need the privilege to read pg_authid.
pub fn start(server: &Server, passwords: bool) -> Result<(Program, Vec<String>), DumpError> {
    let mut command = server.tools.dump("pg_dumpall", None);
    command
        .arg("--globals-only")
        .args((!passwords).then_some("--no-role-passwords"))
        .arg(format!("--encoding={}", server.maintenance_encoding))
        .arg(format!("--database={}", connection_string(&server.maintenance)));
    let line = tools::command_line(&command);
    Ok((Program::start(&mut command, "pg_dumpall")?, line))
}

/// Returns a connection string that selects the database. pg_dumpall ignores `PGDATABASE`, and would parse a
/// name such as `dbname=x host=y` as a connection string. A quoted name in a connection string is never
/// parsed (libpq, "Connection Strings").
fn connection_string(database: &str) -> String {
    format!("dbname='{}'", database.replace('\\', r"\\").replace('\'', r"\'"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn hostile_database_name_cannot_change_the_connection() {
        assert_eq!(connection_string("postgres"), "dbname='postgres'");
        assert_eq!(connection_string(r"a' host='evil\"), r"dbname='a\' host=\'evil\\'");
    }
}
