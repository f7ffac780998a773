//! Decisions of pgbackup and the formats of what it stores and reports.
//!
//! Nothing here does I/O: time, configuration and bytes come in as arguments, decisions go out as values.
//! Both programs use this crate and share nothing else.

pub mod catalog;
pub mod comparison;
pub mod hash;
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
pub mod time;
pub mod uri;
