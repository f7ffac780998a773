//! The store, as a pod sees it: a volume, or a bucket's URL, settings and credentials.

use api::policy::{
    AzureCredentials, AzureStorage, GcsCredentials, GcsStorage, S3Checksum, S3Credentials, S3Encryption,
    S3EncryptionAlgorithm, S3Storage,
};
use domain::operation::Operation;
use k8s_openapi::api::core::v1::{EnvVar, PersistentVolumeClaimVolumeSource, Volume, VolumeMount};

use super::{
    env_var::{from_secret, plain},
    tls,
};
use crate::validate::{ValidPolicy, ValidStorage};

const VOLUME: &str = "backups";
const PATH: &str = "/backup";

/// The prefix of the variables that hold the credentials for removals.
const PRUNE: &str = "PGBACKUP_PRUNE_";

/// The volume of the claim, if the store is one.
pub fn volume(policy: &ValidPolicy) -> Option<Volume> {
    let ValidStorage::Volume(volume) = &policy.storage else { return None };
    let claim = PersistentVolumeClaimVolumeSource { claim_name: volume.claim_name.clone(), read_only: None };
    Some(Volume { name: VOLUME.to_owned(), persistent_volume_claim: Some(claim), ..Volume::default() })
}

/// The mount of the claim's volume.
pub fn mount(policy: &ValidPolicy) -> Option<VolumeMount> {
    let ValidStorage::Volume(volume) = &policy.storage else { return None };
    Some(VolumeMount {
        name: VOLUME.to_owned(),
        mount_path: PATH.to_owned(),
        sub_path: volume.sub_path.clone(),
        ..VolumeMount::default()
    })
}

/// Whether S3 requests name the bucket in their path. Stores with an endpoint of their own mostly have no host name for
/// each bucket.
pub fn path_style(policy: &ValidPolicy) -> bool {
    match &policy.storage {
        ValidStorage::S3(s3) => s3.path_style.unwrap_or(s3.endpoint.is_some()),
        _ => false,
    }
}

/// The options that locate the store and say how to write to it.
pub fn options(policy: &ValidPolicy) -> Vec<(&'static str, String)> {
    let url = |scheme: &str, bucket: &str, prefix: Option<&str>| {
        let parts = [Some(bucket), prefix].into_iter().flatten().collect::<Vec<_>>();
        ("store", format!("{scheme}://{}", parts.join("/")))
    };
    match &policy.storage {
        ValidStorage::Volume(_) => vec![("store", PATH.to_owned())],
        ValidStorage::S3(s3) => {
            let S3Storage { bucket, prefix, ca_secret_ref, server_side_encryption, .. } = &**s3;
            let mut options = vec![url("s3", bucket, prefix.as_deref())];
            options.extend(ca_secret_ref.as_ref().map(|_| ("store-ca", tls::path(tls::STORE_CA_FILE))));
            options.extend(s3.storage_class.clone().map(|class| ("storage-class", class)));
            options.extend(s3.checksum_algorithm.map(|checksum| ("s3-checksum", checksum_word(checksum))));
            if let Some(S3Encryption { algorithm, kms_key_id }) = server_side_encryption {
                options.push(("s3-encryption", encryption_word(*algorithm)));
                options.extend(kms_key_id.clone().map(|id| ("s3-kms-key-id", id)));
            }
            options
        }
        ValidStorage::Gcs(GcsStorage { bucket, prefix, storage_class, .. }) => {
            let mut options = vec![url("gs", bucket, prefix.as_deref())];
            options.extend(storage_class.clone().map(|class| ("storage-class", class)));
            options
        }
        ValidStorage::Azure(AzureStorage { container, prefix, .. }) => {
            vec![url("az", container, prefix.as_deref())]
        }
    }
}

fn checksum_word(checksum: S3Checksum) -> String {
    match checksum {
        S3Checksum::Sha256 => "sha256",
        S3Checksum::Crc64Nvme => "crc64nvme",
    }
    .to_owned()
}

fn encryption_word(algorithm: S3EncryptionAlgorithm) -> String {
    match algorithm {
        S3EncryptionAlgorithm::Aes256 => "AES256",
        S3EncryptionAlgorithm::Kms => "aws:kms",
    }
    .to_owned()
}

/// The variables that the clouds' own tools read. Only backup runs get the credentials for removals.
pub fn variables(policy: &ValidPolicy, operation: Operation) -> Vec<EnvVar> {
    let removes = operation == Operation::Backup;
    match &policy.storage {
        ValidStorage::Volume(_) => Vec::new(),
        ValidStorage::S3(s3) => {
            let S3Storage { endpoint, region, credentials, prune_credentials, .. } = &**s3;
            let mut variables: Vec<_> = endpoint.iter().map(|url| plain("AWS_ENDPOINT_URL", url)).collect();
            variables.extend(region.iter().map(|region| plain("AWS_REGION", region)));
            for (prefix, credentials) in both(credentials.as_ref(), prune_credentials.as_ref(), removes) {
                let S3Credentials { access_key_id_secret_ref, secret_access_key_secret_ref } = credentials;
                variables.extend([
                    from_secret(&format!("{prefix}AWS_ACCESS_KEY_ID"), access_key_id_secret_ref),
                    from_secret(&format!("{prefix}AWS_SECRET_ACCESS_KEY"), secret_access_key_secret_ref),
                ]);
            }
            variables
        }
        ValidStorage::Gcs(GcsStorage { credentials, prune_credentials, .. }) => {
            let both = both(credentials.as_ref(), prune_credentials.as_ref(), removes);
            let given = both.map(|(prefix, GcsCredentials { service_account_key_secret_ref })| {
                from_secret(&format!("{prefix}GOOGLE_SERVICE_ACCOUNT_KEY"), service_account_key_secret_ref)
            });
            given.collect()
        }
        ValidStorage::Azure(AzureStorage { account, endpoint, credentials, prune_credentials, .. }) => {
            let mut variables = vec![plain("AZURE_STORAGE_ACCOUNT_NAME", account)];
            variables.extend(endpoint.iter().map(|url| plain("AZURE_STORAGE_ENDPOINT", url)));
            for (prefix, credentials) in both(credentials.as_ref(), prune_credentials.as_ref(), removes) {
                let AzureCredentials { account_key_secret_ref, sas_token_secret_ref } = credentials;
                let given = [
                    ("AZURE_STORAGE_ACCOUNT_KEY", account_key_secret_ref),
                    ("AZURE_STORAGE_SAS_TOKEN", sas_token_secret_ref),
                ];
                variables.extend(given.into_iter().filter_map(|(name, secret)| {
                    secret.as_ref().map(|secret| from_secret(&format!("{prefix}{name}"), secret))
                }));
            }
            variables
        }
    }
}

/// The credentials of a store, each with the prefix of its variables.
fn both<'a, T>(
    credentials: Option<&'a T>,
    prune_credentials: Option<&'a T>,
    removes: bool,
) -> impl Iterator<Item = (&'static str, &'a T)> {
    let all = [("", credentials), (PRUNE, prune_credentials.filter(|_| removes))];
    all.into_iter().filter_map(|(prefix, credentials)| Some((prefix, credentials?)))
}
