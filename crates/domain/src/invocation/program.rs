//! The runner's program, and the subcommand that copies it into a pod.

/// The file name of the runner's program.
pub const NAME: &str = "pgbackup-runner";

/// The subcommand that copies the runner's program into a folder. The folder is its only argument.
pub const INSTALL: &str = "install";
