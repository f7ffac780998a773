//! The certificates and keys of a pod, as one projected volume.

use api::policy::SecretKeyRef;
use domain::operation::Operation;
use k8s_openapi::api::core::v1::{
    KeyToPath, ProjectedVolumeSource, SecretProjection, Volume, VolumeMount, VolumeProjection,
};

use crate::validate::{ValidPolicy, ValidStorage};

/// The certificate authority of the server.
pub const CA_FILE: &str = "ca.crt";

/// The certificate authority of the store.
pub const STORE_CA_FILE: &str = "store-ca.crt";

/// The client certificate: the key in a Secret of the type kubernetes.io/tls, and the file.
pub const CERT_FILE: &str = "tls.crt";

/// The private key of the client certificate: the key in a Secret of the type kubernetes.io/tls, and the file.
pub const PRIVATE_KEY_FILE: &str = "tls.key";

const VOLUME: &str = "tls";
const PATH: &str = "/tls";

/// Readable by the volume's group only: libpq refuses a private key that others can read.
const MODE: i32 = 0o440;

/// The path of a file of the volume.
pub fn path(file: &str) -> String {
    format!("{PATH}/{file}")
}

/// The mount of the volume.
pub fn mount() -> VolumeMount {
    VolumeMount {
        name: VOLUME.to_owned(),
        mount_path: PATH.to_owned(),
        read_only: Some(true),
        ..VolumeMount::default()
    }
}

/// The volume; `None` if the pod needs no certificates.
///
/// Its Secrets are optional: a missing one leaves its files out, and the runner reports which. A required one would keep the
/// pod from starting, and only an event would show why.
pub fn volume(policy: &ValidPolicy, operation: Operation) -> Option<Volume> {
    let connection = match operation {
        Operation::Backup => Some(&policy.connection),
        Operation::Scrub => None,
    };
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

/// The Secret with the certificates of the authorities that can sign the store's certificate.
fn store_authority(policy: &ValidPolicy) -> Option<&SecretKeyRef> {
    let ValidStorage::S3(s3) = &policy.storage else { return None };
    s3.ca_secret_ref.as_ref()
}

/// A Secret as a source of the volume; `items` are its keys and their files.
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
