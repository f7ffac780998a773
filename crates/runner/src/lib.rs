//! The modules of pgbackup-runner. The program itself is in `main.rs`.
//!
//! This is a library only so that `fuzz` can call the parsers, through [`fuzzing`].
//!
//! The runner uses PostgreSQL through its client programs, the store, and the termination message that the
//! kubelet reads. It never uses the Kubernetes API.

#![allow(missing_docs, reason = "only main.rs and the fuzz targets use this library")]

pub mod fuzzing;

pub mod args;
pub mod backup;
pub mod install;
pub mod list;
pub mod plan;
pub mod run;
pub mod scrub;
pub mod signals;
pub mod termination;
pub mod verify;

mod acknowledge;
mod catalog;
mod clock;
mod failpoint;
mod pg;
mod prune;
mod read_back;
mod store;
mod transfer;
