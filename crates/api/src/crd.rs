//! The CustomResourceDefinition, as it is applied: the derived one, and what the derive cannot say.

use k8s_openapi::apiextensions_apiserver::pkg::apis::apiextensions::v1::{
    CustomResourceDefinition, JSON, JSONSchemaProps, JSONSchemaPropsOrArray, JSONSchemaPropsOrBool,
};
use kube::CustomResourceExt as _;
use serde_json::json;

use crate::BackupPolicy;

/// The definition of BackupPolicy.
pub fn crd() -> CustomResourceDefinition {
    let mut crd = BackupPolicy::crd();
    for version in &mut crd.spec.versions {
        let Some(schema) = version.schema.as_mut().and_then(|schema| schema.open_api_v3_schema.as_mut())
        else {
            continue;
        };
        forget_unsigned(schema);
        if let Some(status) = schema.properties.as_mut().and_then(|fields| fields.get_mut("status")) {
            // Without it, tools call an object healthy that nobody has looked at.
            status.default = Some(JSON(json!({ "observedGeneration": -1 })));
        }
    }
    crd
}

/// Kubernetes knows no unsigned formats and warns about each of them; the bounds say the same.
fn forget_unsigned(schema: &mut JSONSchemaProps) {
    schema.format.take_if(|format| format.starts_with("uint"));
    schema.properties.iter_mut().flatten().for_each(|(_, field)| forget_unsigned(field));
    if let Some(JSONSchemaPropsOrArray::Schema(items)) = &mut schema.items {
        forget_unsigned(items);
    }
    if let Some(JSONSchemaPropsOrBool::Schema(values)) = &mut schema.additional_properties {
        forget_unsigned(values);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn formats_that_kubernetes_does_not_know_are_left_out() {
        assert!(!serde_json::to_string(&crd()).unwrap().contains("uint"));
    }

    #[test]
    fn a_policy_that_nobody_has_looked_at_says_so() {
        let crd = serde_json::to_value(crd()).unwrap();
        let schema = &crd["spec"]["versions"][0]["schema"]["openAPIV3Schema"];
        assert_eq!(schema["properties"]["status"]["default"]["observedGeneration"], -1);
    }
}
