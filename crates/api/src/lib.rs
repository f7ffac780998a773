//! The Kubernetes resource `BackupPolicy`: its spec, its status, its CustomResourceDefinition, and the labels
//! and annotations that the programs use.

pub mod checks;
pub mod crd_corrections;
pub mod meta;
pub mod policy;
pub mod status;

pub use crd_corrections::crd;
pub use policy::{BackupPolicy, BackupPolicySpec};
pub use status::BackupPolicyStatus;
