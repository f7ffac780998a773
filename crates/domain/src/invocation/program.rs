//! The program of the runner, and how a pod gets it.

/// The file name of the runner.
pub const NAME: &str = "pgbackup-runner";

/// The subcommand that copies the runner into the folder that is its argument.
pub const INSTALL: &str = "install";
