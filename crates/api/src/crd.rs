//! The CustomResourceDefinition, as it is applied: the derived one, and what the derive cannot say.

use k8s_openapi::apiextensions_apiserver::pkg::apis::apiextensions::v1::{CustomResourceDefinition, JSON};
use kube::CustomResourceExt as _;
use serde_json::json;

use crate::BackupPolicy;

/// The definition of BackupPolicy.
pub fn crd() -> CustomResourceDefinition {
    let mut crd = BackupPolicy::crd();
    for version in &mut crd.spec.versions {
        let schema = version.schema.as_mut().and_then(|schema| schema.open_api_v3_schema.as_mut());
        let status =
            schema.and_then(|schema| schema.properties.as_mut()).and_then(|fields| fields.get_mut("status"));
        if let Some(status) = status {
            // Without it, tools call an object healthy that nobody has looked at.
            status.default = Some(JSON(json!({ "observedGeneration": -1 })));
        }
    }
    crd
}
