//! Writes the status of a policy.

use api::{BackupPolicy, BackupPolicyStatus};
use k8s_openapi::apimachinery::pkg::apis::meta::v1::ObjectMeta;
use kube::{
    Client, Resource as _, ResourceExt as _,
    api::{Patch, Request},
};
use serde_json::json;

use crate::{
    client::{CallError, patch_parameters, request_metadata},
    merge_patch::difference,
};

/// Writes the status if it changed. Returns the policy's metadata after the write; `None` if nothing was
/// written.
///
/// The write is a merge patch of the changed fields. A cluster whose CRD is older than the operator (Helm
/// never upgrades CRDs) ignores unknown fields in a patch, but would reject them in a server-side apply.
pub async fn write(
    client: &Client,
    policy: &BackupPolicy,
    status: &BackupPolicyStatus,
) -> Result<Option<ObjectMeta>, CallError> {
    if policy.status.as_ref() == Some(status) {
        return Ok(None);
    }
    let [before, after] = [json!(policy.status), json!(status)];
    // The UID makes the patch fail if the policy was deleted and created again.
    let patch = json!({ "metadata": { "uid": policy.uid() }, "status": difference(&before, &after) });
    let url = BackupPolicy::url_path(&(), policy.metadata.namespace.as_deref());
    let request = Request::new(url).patch_subresource(
        "status",
        &policy.name_any(),
        &patch_parameters(),
        &Patch::Merge(&patch),
    );
    match request_metadata::<BackupPolicy>(client, "patch_status", request).await {
        Ok(written) => Ok(Some(written)),
        // The policy was deleted meanwhile.
        Err(error) if error.is_not_found() => Ok(None),
        Err(error) => Err(error),
    }
}
