//! The CustomResourceDefinition (CRD) that kube derives from the types of [`crate::policy`], with two
//! corrections.

use k8s_openapi::apiextensions_apiserver::pkg::apis::apiextensions::v1::{
    CustomResourceDefinition, JSON, JSONSchemaProps, JSONSchemaPropsOrArray, JSONSchemaPropsOrBool,
};
use kube::CustomResourceExt as _;
use serde_json::json;

use crate::BackupPolicy;

/// Returns the CustomResourceDefinition of `BackupPolicy`, as `crds/` and the chart contain it.
pub fn crd() -> CustomResourceDefinition {
    let mut crd = BackupPolicy::crd();
    for version in &mut crd.spec.versions {
        let Some(schema) = version.schema.as_mut().and_then(|schema| schema.open_api_v3_schema.as_mut())
        else {
            continue;
        };
        remove_unsigned_formats(schema);
        if let Some(status) = schema.properties.as_mut().and_then(|fields| fields.get_mut("status")) {
            // Without this default, tools such as kstatus call a policy healthy before the operator has processed it.
            status.default = Some(JSON(json!({ "observedGeneration": -1 })));
        }
    }
    crd
}

/// Removes the formats of unsigned integers, such as `uint32`, at every depth. Kubernetes has no such formats
/// and warns about each. The `minimum` of each number stays.
fn remove_unsigned_formats(schema: &mut JSONSchemaProps) {
    schema.format.take_if(|format| format.starts_with("uint"));
    schema.properties.iter_mut().flatten().for_each(|(_, field)| remove_unsigned_formats(field));
    if let Some(JSONSchemaPropsOrArray::Schema(items)) = &mut schema.items {
        remove_unsigned_formats(items);
    }
    if let Some(JSONSchemaPropsOrBool::Schema(values)) = &mut schema.additional_properties {
        remove_unsigned_formats(values);
    }
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use serde_json::Value;
    use strum::IntoEnumIterator as _;

    use super::*;
    use crate::status::ConditionType;

    /// Returns the only entry of the definition's `spec.versions`.
    fn version() -> Value {
        serde_json::to_value(crd()).unwrap()["spec"]["versions"][0].clone()
    }

    #[test]
    fn crd_schema_has_no_unsigned_integer_formats() {
        assert!(!version().to_string().contains("uint"));
    }

    #[test]
    fn observed_generation_defaults_to_minus_one() {
        let schema = &version()["schema"]["openAPIV3Schema"];
        assert_eq!(schema["properties"]["status"]["default"]["observedGeneration"], -1);
    }

    #[test]
    fn printer_columns_use_existing_condition_types() {
        let version = version();
        let types: BTreeSet<&str> = ConditionType::iter().map(ConditionType::as_str).collect();
        let paths = version["additionalPrinterColumns"].as_array().unwrap().iter();
        let paths: Vec<&str> = paths.map(|column| column["jsonPath"].as_str().unwrap()).collect();
        let selected: Vec<&str> = paths
            .iter()
            .filter_map(|path| path.split_once("@.type==\"")?.1.split_once('"'))
            .map(|(t, _)| t)
            .collect();
        assert_eq!(selected.len(), 3);
        assert!(selected.iter().all(|selected| types.contains(selected)), "{selected:?}");
    }

    #[test]
    fn field_descriptions_start_with_the_field_name() {
        let version = version();
        let schema = &version["schema"]["openAPIV3Schema"]["properties"];
        let mut wrong = Vec::new();
        for part in ["spec", "status"] {
            check(part, &schema[part], &mut wrong);
        }
        assert!(wrong.is_empty(), "{}", wrong.join("\n"));
    }

    /// Fields whose schema belongs to Kubernetes, so that the descriptions below them are not checked.
    const FOREIGN: [&str; 3] = ["affinity", "tolerations", "conditions"];

    /// Adds to `wrong` each field whose description does not start with the field's name or does not end with
    /// a full stop.
    fn check(path: &str, schema: &Value, wrong: &mut Vec<String>) {
        let name = path.rsplit('.').next().unwrap();
        let text = schema["description"].as_str().unwrap_or_default();
        if !text.starts_with(&format!("{name} ")) || !text.ends_with('.') {
            wrong.push(format!("{path}: {text:?}"));
        }
        if FOREIGN.contains(&name) {
            return;
        }
        let inner = if schema["type"] == "array" { &schema["items"] } else { schema };
        for (name, field) in inner["properties"].as_object().into_iter().flatten() {
            check(&format!("{path}.{name}"), field, wrong);
        }
    }
}
