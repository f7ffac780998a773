//! The store in a pod: the volume, or the bucket's URL, options and credentials.

use api::policy::{
    AzureCredentials, AzureStorage, GcsCredentials, GcsStorage, S3Credentials, S3Encryption, S3Storage,
};
use domain::{
    invocation::{BucketOptions, Store, scheme, variable},
    operation::Operation,
};
use k8s_openapi::api::core::v1::{EnvVar, PersistentVolumeClaimVolumeSource, Volume, VolumeMount};

use super::{
    env_var::{from_secret, plain},
    tls,
};
use crate::validate::{ValidPolicy, ValidStorage};

const VOLUME: &str = "backups";
const PATH: &str = "/backup";

/// Returns the volume of the policy's claim; `None` if the store is a bucket.
pub fn volume(policy: &ValidPolicy) -> Option<Volume> {
    let ValidStorage::Volume(volume) = &policy.storage else { return None };
    let claim = PersistentVolumeClaimVolumeSource { claim_name: volume.claim_name.clone(), read_only: None };
    Some(Volume { name: VOLUME.to_owned(), persistent_volume_claim: Some(claim), ..Volume::default() })
}

/// Returns the mount of the claim's volume; `None` if the store is a bucket.
pub fn mount(policy: &ValidPolicy) -> Option<VolumeMount> {
    let ValidStorage::Volume(volume) = &policy.storage else { return None };
    Some(VolumeMount {
        name: VOLUME.to_owned(),
        mount_path: PATH.to_owned(),
        sub_path: volume.sub_path.clone(),
        ..VolumeMount::default()
    })
}

/// Returns the location and the options of the store, without credentials.
pub fn store(policy: &ValidPolicy) -> Store {
    let url = |scheme: &str, bucket: &str, prefix: Option<&str>| {
        let parts = [Some(bucket), prefix].into_iter().flatten().collect::<Vec<_>>();
        format!("{scheme}{}", parts.join("/"))
    };
    match &policy.storage {
        ValidStorage::Volume(_) => Store { location: PATH.to_owned(), bucket: BucketOptions::default() },
        ValidStorage::S3(s3) => {
            Store { location: url(scheme::S3, &s3.bucket, s3.prefix.as_deref()), bucket: s3_options(s3) }
        }
        ValidStorage::Gcs(GcsStorage { bucket, prefix, storage_class, .. }) => Store {
            location: url(scheme::GCS, bucket, prefix.as_deref()),
            bucket: BucketOptions { storage_class: storage_class.clone(), ..BucketOptions::default() },
        },
        ValidStorage::Azure(AzureStorage { container, prefix, .. }) => Store {
            location: url(scheme::AZURE, container, prefix.as_deref()),
            bucket: BucketOptions::default(),
        },
    }
}

fn s3_options(s3: &S3Storage) -> BucketOptions {
    let S3Storage {
        endpoint,
        path_style,
        ca_secret_ref,
        server_side_encryption,
        storage_class,
        checksum_algorithm,
        ..
    } = s3;
    let (encryption, kms_key) = match server_side_encryption {
        Some(S3Encryption { algorithm, kms_key_id }) => (Some((*algorithm).into()), kms_key_id.clone()),
        None => (None, None),
    };
    BucketOptions {
        ca: ca_secret_ref.as_ref().map(|_| tls::path(tls::STORE_CA_FILE).into()),
        // Stores with an endpoint of their own usually have no host name for each bucket.
        path_style: path_style.unwrap_or(endpoint.is_some()),
        encryption,
        kms_key,
        checksum: checksum_algorithm.map(Into::into),
        storage_class: storage_class.clone(),
        ..BucketOptions::default()
    }
}

/// Returns the environment variables for a bucket, with the names that the clouds' own tools use. Only backup
/// runs have the credentials for removals.
pub fn variables(policy: &ValidPolicy, operation: Operation) -> Vec<EnvVar> {
    let removes = operation.removes_backups();
    match &policy.storage {
        ValidStorage::Volume(_) => Vec::new(),
        ValidStorage::S3(s3) => {
            let S3Storage { endpoint, region, credentials, prune_credentials, .. } = &**s3;
            let mut variables: Vec<_> =
                endpoint.iter().map(|url| plain(variable::AWS_ENDPOINT_URL, url)).collect();
            variables.extend(region.iter().map(|region| plain(variable::AWS_REGION, region)));
            for (prefix, credentials) in both(credentials.as_ref(), prune_credentials.as_ref(), removes) {
                let S3Credentials { access_key_id_secret_ref, secret_access_key_secret_ref } = credentials;
                variables.extend([
                    from_secret(
                        &format!("{prefix}{}", variable::AWS_ACCESS_KEY_ID),
                        access_key_id_secret_ref,
                    ),
                    from_secret(
                        &format!("{prefix}{}", variable::AWS_SECRET_ACCESS_KEY),
                        secret_access_key_secret_ref,
                    ),
                ]);
            }
            variables
        }
        ValidStorage::Gcs(GcsStorage { credentials, prune_credentials, .. }) => {
            let both = both(credentials.as_ref(), prune_credentials.as_ref(), removes);
            let given = both.map(|(prefix, GcsCredentials { service_account_key_secret_ref })| {
                from_secret(
                    &format!("{prefix}{}", variable::GOOGLE_SERVICE_ACCOUNT_KEY),
                    service_account_key_secret_ref,
                )
            });
            given.collect()
        }
        ValidStorage::Azure(AzureStorage { account, endpoint, credentials, prune_credentials, .. }) => {
            let mut variables = vec![plain(variable::AZURE_STORAGE_ACCOUNT_NAME, account)];
            variables.extend(endpoint.iter().map(|url| plain(variable::AZURE_STORAGE_ENDPOINT, url)));
            for (prefix, credentials) in both(credentials.as_ref(), prune_credentials.as_ref(), removes) {
                let AzureCredentials { account_key_secret_ref, sas_token_secret_ref } = credentials;
                let given = [
                    (variable::AZURE_STORAGE_ACCOUNT_KEY, account_key_secret_ref),
                    (variable::AZURE_STORAGE_SAS_TOKEN, sas_token_secret_ref),
                ];
                variables.extend(given.into_iter().filter_map(|(name, secret)| {
                    secret.as_ref().map(|secret| from_secret(&format!("{prefix}{name}"), secret))
                }));
            }
            variables
        }
    }
}

/// Iterates over the credentials of a store, each with the prefix of its variables: none, or
/// `PGBACKUP_PRUNE_` for the credentials for removals, which are included only if `removes`.
fn both<'a, T>(
    credentials: Option<&'a T>,
    prune_credentials: Option<&'a T>,
    removes: bool,
) -> impl Iterator<Item = (&'static str, &'a T)> {
    let all = [("", credentials), (variable::PGBACKUP_PRUNE, prune_credentials.filter(|_| removes))];
    all.into_iter().filter_map(|(prefix, credentials)| Some((prefix, credentials?)))
}
