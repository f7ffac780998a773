//! References to Secrets. The operator never reads a Secret: the kubelet gives its keys to the pods.

use kube::KubeSchema;
use serde::{Deserialize, Serialize};

use crate::checks::object;

/// The name of a Secret in the namespace of the policy.
#[derive(KubeSchema, Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct SecretRef {
    /// name is the name of a Secret in the namespace of the policy.
    #[schemars(length(max = 253))]
    #[x_kube(validation = object::NAME.rule())]
    pub name: String,
}

/// A key of a Secret in the namespace of the policy.
#[derive(KubeSchema, Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct SecretKeyRef {
    /// name is the name of a Secret in the namespace of the policy.
    #[schemars(length(max = 253))]
    #[x_kube(validation = object::NAME.rule())]
    pub name: String,

    /// key is the key in the Secret whose value is used.
    #[schemars(length(max = 253))]
    #[x_kube(validation = object::SECRET_KEY.rule())]
    pub key: String,
}
