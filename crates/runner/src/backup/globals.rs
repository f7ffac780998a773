//! The roles and tablespaces of a server, into a backup.

use domain::{reason::Reason, report::Stage};

use crate::{
    args::Globals,
    backup::BackupError,
    pg::{dump_error::DumpError, globals, preflight::Server},
    run::Run,
    transfer::{self, TransferError, Uploaded},
};

/// The file of roles and tablespaces, stored and not yet read back.
pub struct StoredGlobals {
    pub uploaded: Uploaded,
    pub command: Vec<String>,
    pub passwords: bool,
}

/// Roles and tablespaces. A role that may not read them makes no failed backup of good databases: what it may read is
/// stored, and the rest is named.
pub async fn store(
    run: &mut Run,
    server: &Server,
    globals: Globals,
) -> Result<Option<StoredGlobals>, BackupError> {
    run.stage(Stage::Dump);
    let tries: &[bool] = match globals {
        // Asked for beforehand: pg_dumpall says it in the server's language, which nobody here reads.
        Globals::WithPasswords if !server.reads_passwords => {
            run.warn(
                "password hashes of roles are not in this backup: the role may not read pg_authid".to_owned(),
            );
            &[false]
        }
        Globals::WithPasswords => &[true, false],
        Globals::WithoutPasswords => &[false],
        Globals::None => &[],
    };
    for passwords in tries.iter().copied() {
        let backup = run.backup.as_ref().expect("the databases should have made the backup");
        let mut partial = backup.upload(globals::FILE, true, 0).await?;
        let (program, command) = globals::start(server, passwords).map_err(TransferError::from)?;
        match transfer::send(program, &mut partial, None, None).await {
            Ok(uploaded) => {
                partial.finish().await?;
                for line in &uploaded.warnings {
                    run.warn(format!("{}: {line}", globals::FILE));
                }
                return Ok(Some(StoredGlobals { uploaded, command, passwords }));
            }
            Err(TransferError::Dump(DumpError::Failed(error)))
                if error.reason(Reason::DumpFailed) == Reason::MissingPrivilege =>
            {
                if let Err(stays) = partial.discard().await {
                    run.log(format_args!("a part stays behind: {stays}"));
                }
                let what = if passwords { "password hashes of roles" } else { "roles and tablespaces" };
                run.warn(format!("{what} are not in this backup: {error}"));
            }
            Err(error) => return Err(error.into()),
        }
    }
    Ok(None)
}
