//! The `BackupPolicy` resource: its spec, its status, and the labels and annotations that go with it.

pub mod crd;
pub mod messages;
pub mod meta;
pub mod policy;
pub mod status;

pub use crd::crd;
pub use policy::{BackupPolicy, BackupPolicySpec};
pub use status::BackupPolicyStatus;
