//! The objects that tests need beside the product's, from the YAML files beside this one.

use anyhow::{Context, Result};
use kube::{
    Api, Client,
    api::{DynamicObject, PostParams},
    core::{ApiResource, GroupVersionKind, TypeMeta},
};

/// A PostgreSQL server and its Service.
pub const POSTGRES: &str = include_str!("manifests/postgres.yaml");
/// A connection pooler before it, and its Service.
pub const PGBOUNCER: &str = include_str!("manifests/pgbouncer.yaml");
/// Its password.
pub const SECRET: &str = include_str!("manifests/secret.yaml");
/// A shell in a store.
pub const STORE: &str = include_str!("manifests/store.yaml");
/// An S3 server, and a shell in what it stores.
pub const BUCKET: &str = include_str!("manifests/bucket.yaml");
/// A claim where the cluster provides volumes.
pub const CLAIM: &str = include_str!("manifests/claim.yaml");
/// A claim on a directory of the node, as k3s makes them.
pub const HOST_PATH_VOLUME: &str = include_str!("manifests/host-path-volume.yaml");
/// A claim on a disk of the node.
pub const LOCAL_VOLUME: &str = include_str!("manifests/local-volume.yaml");
/// A shell on the node.
pub const NODE: &str = include_str!("manifests/node.yaml");

/// An admission policy that changes every CronJob of a namespace.
pub const MUTATION: &str = include_str!("manifests/mutation.yaml");
/// An admission policy that refuses every pod of a namespace.
pub const REFUSAL: &str = include_str!("manifests/refusal.yaml");

/// Writes the values in the places of their names: `${NAME}`.
pub fn fill(template: &str, values: &[(&str, &str)]) -> String {
    values
        .iter()
        .fold(template.to_owned(), |text, (name, value)| text.replace(&format!("${{{name}}}"), value))
}

/// Creates what a manifest describes, in `namespace` where it has a namespace.
pub async fn create(client: &Client, namespace: &str, manifest: &str) -> Result<()> {
    for document in manifest.split("\n---\n") {
        let object: DynamicObject = serde_saphyr::from_str(document).context(document.to_owned())?;
        let types: TypeMeta = object.types.clone().context("a manifest should have a kind")?;
        let resource = ApiResource::from_gvk(&GroupVersionKind::try_from(types)?);
        let objects: Api<DynamicObject> = match resource.kind.as_str() {
            "PersistentVolume"
            | "MutatingAdmissionPolicy"
            | "MutatingAdmissionPolicyBinding"
            | "ValidatingAdmissionPolicy"
            | "ValidatingAdmissionPolicyBinding" => Api::all_with(client.clone(), &resource),
            _ => Api::namespaced_with(client.clone(), namespace, &resource),
        };
        objects
            .create(&PostParams::default(), &object)
            .await
            .with_context(|| format!("creating this in {namespace}:\n{document}"))?;
    }
    Ok(())
}
