//! Stores the roles and tablespaces ("globals") in a backup.

use domain::{invocation::Globals, reason::Reason, report::BackupStage};

use super::error::BackupError;
use crate::{
    pg::{dump_error::DumpError, globals, preflight::Server, tool_error::ToolError},
    run::Run,
    store::BackupWriter,
    transfer::{self, TransferError, Uploaded},
};

/// The globals file, uploaded but not yet read back.
pub struct StoredGlobals {
    pub uploaded: Uploaded,
    /// The command line of pg_dumpall, without secrets.
    pub command: Vec<String>,
    pub passwords: bool,
}

/// Stores the globals as far as the role has permission to read them, and warns about the rest. Missing
/// globals do not fail a backup whose databases are stored.
pub async fn store(
    run: &mut Run,
    writer: &BackupWriter,
    server: &Server,
    globals: Globals,
) -> Result<Option<StoredGlobals>, BackupError> {
    run.stage(BackupStage::Dump);
    let with_passwords: &[bool] = match globals {
        // Checked in advance, because the server translates the error that pg_dumpall prints.
        Globals::WithPasswords if !server.reads_passwords => {
            run.warn(
                "password hashes are not in this backup: the role has no permission to read pg_authid"
                    .to_owned(),
            );
            &[false]
        }
        Globals::WithPasswords => &[true, false],
        Globals::WithoutPasswords => &[false],
        Globals::None => &[],
    };
    for passwords in with_passwords.iter().copied() {
        let mut upload = writer.upload(globals::FILE, true, 0).await?;
        let (program, command) = globals::start(server, passwords).map_err(TransferError::from)?;
        match transfer::upload(program, &mut upload).await {
            Ok(uploaded) => {
                upload.finish().await?;
                for line in &uploaded.warnings {
                    run.warn(format!("{}: {line}", globals::FILE));
                }
                return Ok(Some(StoredGlobals { uploaded, command, passwords }));
            }
            Err(TransferError::Dump(DumpError::Failed(error))) if is_missing_privilege(&error) => {
                if let Err(error) = upload.discard().await {
                    run.log(format_args!("cannot remove the unfinished file {:?}: {error}", globals::FILE));
                }
                let what = if passwords { "password hashes" } else { "roles and tablespaces" };
                run.warn(format!("{what} are not in this backup: {error}"));
            }
            Err(error) => return Err(error.into()),
        }
    }
    Ok(None)
}

fn is_missing_privilege(error: &ToolError) -> bool {
    error.reason(Reason::DumpFailed) == Reason::MissingPrivilege
}
