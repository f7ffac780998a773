//! Where the copies go.

use api::policy::{
    AzureCredentials, AzureStorage, GcsCredentials, GcsStorage, S3Credentials, S3Encryption,
    S3EncryptionAlgorithm, S3Storage, Storage, VolumeStorage,
};

use super::{Invalid, is_object_name, optional_secret, valid_secret, value};

/// Storage classes that cannot be read at once.
const ARCHIVES: [&str; 2] = ["GLACIER", "DEEP_ARCHIVE"];

/// Where copies go.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum ValidStorage {
    /// A volume.
    Volume(VolumeStorage),
    /// A bucket of S3.
    S3(Box<S3Storage>),
    /// A bucket of Google Cloud Storage.
    Gcs(GcsStorage),
    /// A container of Azure Blob Storage.
    Azure(AzureStorage),
}

pub(super) fn storage(given: &Storage) -> Result<ValidStorage, Invalid> {
    let Storage { volume, s3, gcs, azure, adopt_from: _ } = given;
    match (volume, s3, gcs, azure) {
        (Some(volume), None, None, None) => valid_volume(volume).map(ValidStorage::Volume),
        (None, Some(s3), None, None) => valid_s3(s3).map(|s3| ValidStorage::S3(Box::new(s3))),
        (None, None, Some(gcs), None) => valid_gcs(gcs).map(ValidStorage::Gcs),
        (None, None, None, Some(azure)) => valid_azure(azure).map(ValidStorage::Azure),
        _ => Err(value("storage", "write exactly one of volume, s3, gcs and azure")),
    }
}

pub(super) fn owner(given: &Storage) -> Result<Option<String>, Invalid> {
    let plain = |c: char| c.is_ascii_alphanumeric() || c == '-';
    let uid = given.adopt_from.as_deref();
    if uid.is_some_and(|uid| uid.is_empty() || uid.len() > 64 || !uid.chars().all(plain)) {
        return Err(value("storage.adoptFrom", "write the UID that the condition RetentionHealthy names"));
    }
    Ok(uid.map(str::to_owned))
}

fn valid_volume(volume: &VolumeStorage) -> Result<VolumeStorage, Invalid> {
    let VolumeStorage { claim_name, sub_path } = volume;
    if !is_object_name(claim_name) {
        return Err(value("storage.volume.claimName", "write the name of a PersistentVolumeClaim"));
    }
    valid_path("storage.volume.subPath", sub_path.as_deref())?;
    Ok(volume.clone())
}

fn valid_s3(s3: &S3Storage) -> Result<S3Storage, Invalid> {
    let S3Storage {
        bucket,
        prefix,
        endpoint,
        region,
        path_style: _,
        credentials,
        prune_credentials,
        ca_secret_ref,
        server_side_encryption,
        storage_class,
        checksum_algorithm: _,
    } = s3;
    valid_word("storage.s3.bucket", Some(bucket), 255, "._-")?;
    valid_path("storage.s3.prefix", prefix.as_deref())?;
    valid_endpoint("storage.s3.endpoint", endpoint.as_deref())?;
    valid_word("storage.s3.region", region.as_deref(), 64, "-")?;
    valid_word("storage.s3.storageClass", storage_class.as_deref(), 64, "_-")?;
    if storage_class.as_deref().is_some_and(|class| ARCHIVES.contains(&class)) {
        return Err(value(
            "storage.s3.storageClass",
            "copies are read back after they are stored, and this class cannot be read at once: write another one, for example GLACIER_IR",
        ));
    }
    for credentials in [credentials, prune_credentials].into_iter().flatten() {
        let S3Credentials { access_key_id_secret_ref, secret_access_key_secret_ref } = credentials;
        valid_secret("storage.s3.credentials", access_key_id_secret_ref)?;
        valid_secret("storage.s3.credentials", secret_access_key_secret_ref)?;
    }
    optional_secret("storage.s3.caSecretRef", ca_secret_ref.as_ref())?;
    if ca_secret_ref.is_some() && !endpoint.as_ref().is_some_and(|url| url.starts_with("https://")) {
        return Err(value(
            "storage.s3",
            "caSecretRef has a meaning with an endpoint that begins with https:// only",
        ));
    }
    if let Some(S3Encryption { algorithm, kms_key_id }) = server_side_encryption {
        valid_word("storage.s3.serverSideEncryption.kmsKeyId", kms_key_id.as_deref(), 2048, ":/_-")?;
        if kms_key_id.is_some() && *algorithm != S3EncryptionAlgorithm::Kms {
            return Err(value(
                "storage.s3.serverSideEncryption",
                "kmsKeyId has a meaning with the algorithm aws:kms only",
            ));
        }
    }
    Ok(s3.clone())
}

fn valid_gcs(gcs: &GcsStorage) -> Result<GcsStorage, Invalid> {
    let GcsStorage { bucket, prefix, credentials, prune_credentials, storage_class } = gcs;
    valid_word("storage.gcs.bucket", Some(bucket), 222, "._-")?;
    valid_path("storage.gcs.prefix", prefix.as_deref())?;
    valid_word("storage.gcs.storageClass", storage_class.as_deref(), 64, "_")?;
    for credentials in [credentials, prune_credentials].into_iter().flatten() {
        let GcsCredentials { service_account_key_secret_ref } = credentials;
        valid_secret("storage.gcs.credentials", service_account_key_secret_ref)?;
    }
    Ok(gcs.clone())
}

fn valid_azure(azure: &AzureStorage) -> Result<AzureStorage, Invalid> {
    let AzureStorage { account, container, prefix, endpoint, credentials, prune_credentials } = azure;
    valid_word("storage.azure.account", Some(account), 24, "")?;
    valid_word("storage.azure.container", Some(container), 63, "-")?;
    valid_path("storage.azure.prefix", prefix.as_deref())?;
    valid_endpoint("storage.azure.endpoint", endpoint.as_deref())?;
    for credentials in [credentials, prune_credentials].into_iter().flatten() {
        let AzureCredentials { account_key_secret_ref, sas_token_secret_ref } = credentials;
        if account_key_secret_ref.is_some() == sas_token_secret_ref.is_some() {
            return Err(Invalid::OneOf {
                at: "storage.azure.credentials",
                one: "accountKeySecretRef",
                other: "sasTokenSecretRef",
            });
        }
        optional_secret("storage.azure.credentials", account_key_secret_ref.as_ref())?;
        optional_secret("storage.azure.credentials", sas_token_secret_ref.as_ref())?;
    }
    Ok(azure.clone())
}

fn valid_path(field: &'static str, path: Option<&str>) -> Result<(), Invalid> {
    let is_part = |part: &str| {
        !part.is_empty()
            && !part.starts_with('.')
            && part.chars().all(|c| c.is_ascii_alphanumeric() || "._-".contains(c))
    };
    if path.is_some_and(|path| path.len() > 200 || !path.split('/').all(is_part)) {
        return Err(value(field, "write a relative path of plain names, for example backups/shop"));
    }
    Ok(())
}

fn valid_word(field: &'static str, word: Option<&str>, most: usize, beside: &str) -> Result<(), Invalid> {
    let plain = |c: char| c.is_ascii_alphanumeric() || beside.contains(c);
    if word.is_some_and(|word| word.is_empty() || word.len() > most || !word.chars().all(plain)) {
        return Err(value(field, "write the name that the store knows: plain letters and digits"));
    }
    Ok(())
}

fn valid_endpoint(field: &'static str, url: Option<&str>) -> Result<(), Invalid> {
    let is_plain = |rest: &str| {
        !rest.is_empty()
            && !rest.starts_with('/')
            && rest.chars().all(|c| c.is_ascii_alphanumeric() || "._:[]~/-".contains(c))
    };
    let is_url = |url: &str| {
        let rest = url.strip_prefix("https://").or_else(|| url.strip_prefix("http://"));
        url.len() <= 500 && rest.is_some_and(is_plain)
    };
    if url.is_some_and(|url| !is_url(url)) {
        return Err(value(field, "write a URL such as https://s3.example.org:9000"));
    }
    Ok(())
}
