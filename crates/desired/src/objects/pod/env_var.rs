//! Creates the environment variables of a container.

use api::policy::SecretKeyRef;
use k8s_openapi::api::core::v1::{EnvVar, EnvVarSource, ObjectFieldSelector, SecretKeySelector};

/// Returns the text with doubled dollar signs. Kubernetes expands `$(NAME)` in arguments and values, and
/// changes two dollar signs into one, so the container receives `text` unchanged.
pub fn literal(text: &str) -> String {
    text.replace('$', "$$")
}

/// Creates a variable with a literal value.
pub fn plain(name: &str, value: &str) -> EnvVar {
    EnvVar { name: name.to_owned(), value: Some(literal(value)), value_from: None }
}

/// Creates a variable whose value is a key of a Secret.
pub fn from_secret(name: &str, secret: &SecretKeyRef) -> EnvVar {
    let selector = SecretKeySelector { name: secret.name.clone(), key: secret.key.clone(), optional: None };
    let source = EnvVarSource { secret_key_ref: Some(selector), ..EnvVarSource::default() };
    EnvVar { name: name.to_owned(), value: None, value_from: Some(source) }
}

/// Creates a variable whose value is a label of the pod.
pub fn from_label(name: &str, label: &str) -> EnvVar {
    let field = ObjectFieldSelector {
        api_version: Some("v1".to_owned()),
        field_path: format!("metadata.labels['{label}']"),
    };
    let source = EnvVarSource { field_ref: Some(field), ..EnvVarSource::default() };
    EnvVar { name: name.to_owned(), value: None, value_from: Some(source) }
}
