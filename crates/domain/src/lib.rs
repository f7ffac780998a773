//! The decisions of pgbackup, and the formats of stored files and reports.
//!
//! Nothing in this crate does I/O. Time, configuration and bytes come in as arguments; decisions are return
//! values. Operator, runner and plugin share this crate.

pub mod catalog;
pub mod hash;
pub mod invocation;
pub mod manifest;
pub mod message;
pub mod name;
pub mod operation;
pub mod overdue;
pub mod pattern;
pub mod reason;
pub mod report;
pub mod retention;
pub mod schedule;
pub mod scrub;
pub mod size;
pub mod suspicion;
pub mod suspicion_rules;
pub mod time;
pub mod uri;
