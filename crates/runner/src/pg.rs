//! PostgreSQL, used only through its own programs: psql, pg_dump, pg_dumpall and pg_restore.
//!
//! There is no database driver, so authentication, TLS and service files work in the same way everywhere.
//! Programs are started without a shell. A database's name is passed only in `PGDATABASE`: with `-d`, a name
//! such as `dbname=x host=y` would select another server.

pub mod archive;
pub mod blocker;
pub mod client;
pub mod compression;
pub mod count;
pub mod databases;
pub mod dump;
pub mod dump_error;
pub mod globals;
pub mod hold;
pub mod inspect;
pub mod line_break;
pub mod lock_capacity;
pub mod obstacle;
pub mod pipe;
pub mod preflight;
pub mod preflight_error;
pub mod privilege;
pub mod program;
pub mod replica;
pub mod session;
pub mod source;
pub mod stderr;
pub mod tool_error;
pub mod tools;
