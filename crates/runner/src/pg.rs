//! PostgreSQL, through its own programs only: psql, pg_dump, pg_dumpall, pg_restore.
//!
//! No second driver: authentication, TLS and service files behave the same everywhere. Never through a shell,
//! and a database's name travels only in `PGDATABASE`: in `-d` a name such as `dbname=x host=y` would lead to
//! another server.

pub mod archive;
pub mod blocker;
pub mod compression;
pub mod count;
pub mod databases;
pub mod dump;
pub mod dump_error;
pub mod error;
pub mod globals;
pub mod hold;
pub mod inspect;
pub mod pipe;
pub mod preflight;
pub mod program;
pub mod session;
pub mod source;
pub mod stderr;
pub mod tools;
