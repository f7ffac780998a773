//! The harness of the end-to-end tests: a real Kubernetes, real PostgreSQL servers, the product as it ships.
//!
//! A test is a [`story`] in its own namespace, or a [`serial_story`] if it stops the operator. It starts a [`Postgres`],
//! creates a [`Policy`], requests backups, reads the status, and reads or corrupts the [`Store`]. Nothing here uses code of the operator or the runner, only the formats and names that they share with
//! everybody (`domain`, `api`). Everything goes through the Kubernetes API, so any cluster works that has the images.

#![allow(missing_docs, reason = "only tests of this workspace use the harness, and most names say all")]

pub mod bucket;
pub mod cluster;
pub mod diagnosis;
pub mod env;
pub mod exec;
pub mod job;
pub mod manifests;
pub mod operator;
pub mod policy;
pub mod postgres;
pub mod store;
pub mod wait;

pub use bucket::Bucket;
pub use cluster::Cluster;
pub use env::{Env, serial_story, serial_story_within, story};
pub use job::{Death, RunnerJob, RunnerSpec, Signal};
pub use operator::Operator;
pub use policy::Policy;
pub use postgres::{Postgres, Session};
pub use store::{Store, StoreBackup};
