//! The Kubernetes resource `BackupPolicy`: its spec, its status, its CustomResourceDefinition, and the labels
//! and annotations that the programs use.

pub mod checks;
pub mod crd;
pub mod meta;
pub mod policy;
pub mod status;

pub use crd::crd;
pub use policy::{BackupPolicy, BackupPolicySpec};
pub use status::BackupPolicyStatus;
