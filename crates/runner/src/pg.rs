//! PostgreSQL, through its own programs only: psql, pg_dump, pg_dumpall, pg_restore.
//!
//! There is no second driver: authentication, TLS and service files behave the same everywhere. Programs are never started
//! through a shell. A database's name is passed only in `PGDATABASE`: in `-d`, a name such as `dbname=x host=y` would lead
//! to another server.

pub mod archive;
pub mod blocker;
pub mod client;
pub mod compression;
pub mod count;
pub mod databases;
pub mod dump;
pub mod dump_error;
pub mod error;
pub mod globals;
pub mod hold;
pub mod inspect;
pub mod line_break;
pub mod lock_table;
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
pub mod tools;
