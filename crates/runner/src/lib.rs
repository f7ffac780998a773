//! The rooms of pgbackup-runner. The program begins in `main.rs`.
//!
//! This is a library only so that `fuzz` can reach the parsers, through [`fuzzing`].
//!
//! The runner talks to PostgreSQL through its client programs, to the store, and to the kubelet through the termination
//! message; never to the Kubernetes API.

#![allow(missing_docs, reason = "only main.rs and the fuzz targets use this library")]

pub mod fuzzing;

pub mod args;
pub mod backup;
pub mod install;
pub mod list;
pub mod plan;
pub mod run;
pub mod scrub;
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
