//! The runner's arguments in a pod.

use std::time::Duration;

use domain::{
    invocation::{Invocation, default},
    operation::Operation,
};

use super::{env_var::literal, lifetime, store};
use crate::validate::{ValidPolicy, ValidStorage};

/// Returns the runner's arguments for an operation, with escaped dollar signs.
pub fn arguments(policy: &ValidPolicy, operation: Operation) -> Vec<String> {
    let options = policy.options_of(operation);
    let mut store = store::store(policy);
    store.bucket.leftover_age = leftover_age(policy);
    let invocation = Invocation { policy: policy.identity.clone(), store, options };
    invocation.arguments().iter().map(|argument| literal(argument)).collect()
}

/// Returns the age at which a backup without a manifest is removed from a bucket. It is at least the maximum
/// duration of a run. On a volume, locks show which runs are active, so the age does not matter.
fn leftover_age(policy: &ValidPolicy) -> Duration {
    match policy.storage {
        ValidStorage::Volume(_) => default::LEFTOVER_AGE,
        ValidStorage::S3(_) | ValidStorage::Gcs(_) | ValidStorage::Azure(_) => {
            lifetime::longest(policy).max(default::LEFTOVER_AGE)
        }
    }
}
