//! The `BackupPolicy` resource: its spec, its status, and the labels and annotations that go with it.

pub mod crd;
pub mod meta;
pub mod policy;
pub mod status;
pub mod words;

pub use crd::crd;
pub use policy::{BackupPolicy, BackupPolicySpec};
pub use status::BackupPolicyStatus;
