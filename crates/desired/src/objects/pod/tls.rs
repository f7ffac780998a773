//! The certificates and keys in a pod, in a single projected volume.

use api::policy::SecretKeyRef;
use domain::operation::Operation;
use k8s_openapi::api::core::v1::{
    KeyToPath, ProjectedVolumeSource, SecretProjection, Volume, VolumeMount, VolumeProjection,
};

use crate::validate::{ValidPolicy, ValidStorage};

/// The file name of the certificate authorities that verify the server's certificate.
pub const CA_FILE: &str = "ca.crt";

/// The file name of the certificate authorities that verify the store's certificate.
pub const STORE_CA_FILE: &str = "store-ca.crt";

/// The file name of the client certificate. A Secret of the type kubernetes.io/tls has a key of the same
/// name.
pub const CERT_FILE: &str = "tls.crt";

/// The file name of the client certificate's private key. A Secret of the type kubernetes.io/tls has a key of
/// the same name.
pub const PRIVATE_KEY_FILE: &str = "tls.key";

const VOLUME: &str = "tls";
const PATH: &str = "/tls";

/// The mode of the files. Only the owner and the volume's group can read them: libpq refuses a private key
/// that others can read.
const MODE: i32 = 0o440;

/// Returns the path of a file of the volume in the container.
pub fn path(file: &str) -> String {
    format!("{PATH}/{file}")
}

/// Returns the mount of the volume with certificates.
pub fn mount() -> VolumeMount {
    VolumeMount {
        name: VOLUME.to_owned(),
        mount_path: PATH.to_owned(),
        read_only: Some(true),
        ..VolumeMount::default()
    }
}

/// Returns the volume with certificates; `None` if the pod needs none.
///
/// Its Secrets are optional. If a Secret is missing, its files are missing too, and the runner reports which.
/// A required Secret that is missing would prevent the pod's start, and only an event would show the cause.
pub fn volume(policy: &ValidPolicy, operation: Operation) -> Option<Volume> {
    let connection = operation.connects_to_server().then_some(&policy.connection);
    let ca = connection.and_then(|connection| connection.ca.as_ref());
    let ca = ca.map(|ca| secret(&ca.name, &[(&ca.key, CA_FILE)]));
    let client = connection.and_then(|connection| connection.client_certificate.as_ref());
    let client = client.map(|client| {
        let files = [(CERT_FILE, CERT_FILE), (PRIVATE_KEY_FILE, PRIVATE_KEY_FILE)];
        secret(&client.name, &files)
    });
    let store = store_authority(policy).map(|ca| secret(&ca.name, &[(&ca.key, STORE_CA_FILE)]));
    let sources: Vec<_> = [ca, client, store].into_iter().flatten().collect();
    if sources.is_empty() {
        return None;
    }
    let projected = ProjectedVolumeSource {
        sources: Some(sources),
        default_mode: Some(MODE),
        ..ProjectedVolumeSource::default()
    };
    Some(Volume { name: VOLUME.to_owned(), projected: Some(projected), ..Volume::default() })
}

/// Returns the Secret and key with the certificate authorities that verify the store's certificate; `None` if
/// the policy does not set them.
fn store_authority(policy: &ValidPolicy) -> Option<&SecretKeyRef> {
    let ValidStorage::S3(s3) = &policy.storage else { return None };
    s3.ca_secret_ref.as_ref()
}

/// Returns a Secret as a source of the volume. `items` are pairs of a key and its file name.
fn secret(name: &str, items: &[(&str, &str)]) -> VolumeProjection {
    let item = |(key, path): &(&str, &str)| KeyToPath {
        key: (*key).to_owned(),
        path: (*path).to_owned(),
        ..KeyToPath::default()
    };
    let secret = SecretProjection {
        name: name.to_owned(),
        items: Some(items.iter().map(item).collect()),
        optional: Some(true),
    };
    VolumeProjection { secret: Some(secret), ..VolumeProjection::default() }
}
