//! Roles and tablespaces: `pg_dumpall --globals-only`.

use super::{
    dump::{self, DumpError, Stream},
    preflight::Server,
    tools,
};
use crate::store::Upload;

/// The file in the set.
pub const FILE: &str = "globals.sql";

/// Stores the roles and tablespaces; gives the command line too. Without `passwords` it needs no right to read
/// pg_authid, so any role can do it.
pub async fn dump(
    server: &Server,
    file: &mut Upload,
    passwords: bool,
) -> Result<(Stream, Vec<String>), DumpError> {
    let mut command = server.tools.dump("pg_dumpall", None);
    command
        .arg("--globals-only")
        .args((!passwords).then_some("--no-role-passwords"))
        .arg(format!("--encoding={}", server.maintenance_encoding))
        .arg(format!("--database={}", connection_string(&server.maintenance)));
    let words = tools::command_line(&command);
    let stream = dump::run(&mut command, "pg_dumpall", file, None, None).await?;
    Ok((stream, words))
}

/// pg_dumpall takes no database from `PGDATABASE`, and reads a name as a connection string where it looks like one.
/// In a quoted one the name can be nothing else (libpq, "Connection Strings").
fn connection_string(database: &str) -> String {
    format!("dbname='{}'", database.replace('\\', r"\\").replace('\'', r"\'"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_hostile_name_stays_a_name() {
        assert_eq!(connection_string("postgres"), "dbname='postgres'");
        assert_eq!(connection_string(r"a' host='evil\"), r"dbname='a\' host=\'evil\\'");
    }
}
