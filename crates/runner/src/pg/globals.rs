//! Roles and tablespaces: `pg_dumpall --globals-only`, without password hashes.

use super::{
    dump::{self, DumpError, Stream},
    tools::{self, Tools},
};
use crate::store::PartialFile;

/// The file in the set.
pub const FILE: &str = "globals.sql";

/// Stores the roles and tablespaces; gives the command line too. `--no-role-passwords` needs no right to read
/// pg_authid, so any role can do it.
pub async fn dump(tools: &Tools, file: &mut PartialFile) -> Result<(Stream, Vec<String>), DumpError> {
    let mut command = tools.dump("pg_dumpall", None);
    command.args(["--globals-only", "--no-role-passwords"]);
    let words = tools::command_line(&command);
    let stream = dump::run(&mut command, "pg_dumpall", file, None, None).await?;
    Ok((stream, words))
}
