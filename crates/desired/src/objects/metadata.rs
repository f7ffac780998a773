//! The labels and the owner of a policy's objects.

use std::collections::BTreeMap;

use api::{BackupPolicy, meta};
use domain::operation::Operation;
use k8s_openapi::apimachinery::pkg::apis::meta::v1::OwnerReference;
use kube::Resource;

use crate::validate::ValidPolicy;

/// Returns the labels of an operation's CronJob, Jobs and pods. The operator's watches select objects by
/// them.
pub fn labels(policy: &ValidPolicy, operation: Operation) -> BTreeMap<String, String> {
    let mut labels = policy_labels(policy);
    labels.insert(meta::OPERATION_LABEL.to_owned(), operation.as_str().to_owned());
    labels
}

/// Returns the labels that all objects of the policy have.
pub fn policy_labels(policy: &ValidPolicy) -> BTreeMap<String, String> {
    [(meta::MANAGED_BY_LABEL, meta::MANAGED_BY), (meta::POLICY_LABEL, &policy.identity.name)]
        .into_iter()
        .map(|(key, value)| (key.to_owned(), value.to_owned()))
        .collect()
}

/// Returns the owner reference to the policy. Because of it, the garbage collector deletes the CronJobs after
/// the policy, and no finalizer is needed.
pub fn owner(policy: &ValidPolicy) -> OwnerReference {
    OwnerReference {
        api_version: BackupPolicy::api_version(&()).into_owned(),
        kind: BackupPolicy::kind(&()).into_owned(),
        name: policy.identity.name.clone(),
        uid: policy.identity.uid.clone(),
        controller: Some(true),
        block_owner_deletion: None,
    }
}
