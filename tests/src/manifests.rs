//! Kubernetes objects that tests create, from the YAML files in `manifests/`.

use anyhow::{Context, Result};
use kube::{
    Api, Client,
    api::{DynamicObject, PostParams},
    core::{ApiResource, GroupVersionKind, TypeMeta},
};

/// A PostgreSQL server and its Service.
pub const POSTGRES: &str = include_str!("manifests/postgres.yaml");
/// A connection pooler in front of the server, and its Service.
pub const PGBOUNCER: &str = include_str!("manifests/pgbouncer.yaml");
/// The Secret with the server's password.
pub const SECRET: &str = include_str!("manifests/secret.yaml");
/// A pod with a shell and a claim's volume.
pub const STORE: &str = include_str!("manifests/store.yaml");
/// An S3 server, and a pod with a shell that mounts the server's data.
pub const BUCKET: &str = include_str!("manifests/bucket.yaml");
/// A claim for clusters that provision volumes.
pub const CLAIM: &str = include_str!("manifests/claim.yaml");
/// A claim on a hostPath volume, as local-path of k3s creates them.
pub const HOST_PATH_VOLUME: &str = include_str!("manifests/host-path-volume.yaml");
/// A claim on a local volume of the node.
pub const LOCAL_VOLUME: &str = include_str!("manifests/local-volume.yaml");
/// A privileged pod with a shell on the node.
pub const NODE: &str = include_str!("manifests/node.yaml");

/// An admission policy that changes every CronJob of a namespace.
pub const MUTATION: &str = include_str!("manifests/mutation.yaml");
/// An admission policy that rejects every pod of a namespace.
pub const REFUSAL: &str = include_str!("manifests/refusal.yaml");

/// Replaces each `${NAME}` by its value.
pub fn fill(template: &str, values: &[(&str, &str)]) -> String {
    values
        .iter()
        .fold(template.to_owned(), |text, (name, value)| text.replace(&format!("${{{name}}}"), value))
}

/// Creates the objects of a manifest; namespaced ones in `namespace`.
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
