//! The harness of the end-to-end tests: a real Kubernetes, real PostgreSQL servers, the product as it ships.
//!
//! A test is a [`story`] in a namespace of its own, or a [`story_alone`] if it stops the operator. It starts a
//! [`Postgres`], applies a [`Policy`], asks for backups, looks at the status, and looks at or tampers with the
//! [`Store`]. Nothing here uses code of the operator or the runner, only the formats and names that they share with
//! everybody (`domain`, `api`). Everything goes through the Kubernetes API, so any cluster works that has the images.

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
pub use env::{Env, story, story_alone, story_alone_within};
pub use job::{Death, RunnerJob, RunnerSpec, Signal};
pub use operator::Operator;
pub use policy::Policy;
pub use postgres::{Postgres, Session};
pub use store::{Set, Store};
