//! The subcommand `install`: copies the runner into a volume that a container with another image mounts.

use std::{fs, io, os::unix::fs::PermissionsExt, path::Path};

use domain::invocation::program;

/// Copies this program to `<folder>/pgbackup-runner`.
pub fn install(folder: &Path) -> io::Result<()> {
    let target = folder.join(program::NAME);
    fs::copy(std::env::current_exe()?, &target)?;
    fs::set_permissions(&target, fs::Permissions::from_mode(0o555))?;
    println!("installed {}", target.display());
    Ok(())
}
