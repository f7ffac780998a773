//! Where the backups go.

use std::ops::RangeInclusive;

use api::{
    messages,
    policy::{
        AzureCredentials, AzureStorage, GcsCredentials, GcsStorage, S3Credentials, S3Encryption,
        S3EncryptionAlgorithm, S3Storage, Storage, VolumeStorage,
    },
};

use super::{Invalid, is_object_name, optional_secret, valid_secret, value};

/// Storage classes that cannot be read at once.
const ARCHIVES: [&str; 2] = ["GLACIER", "DEEP_ARCHIVE"];

/// Where backups go.
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
        _ => Err(value("storage", messages::ONE_STORAGE)),
    }
}

pub(super) fn owner(given: &Storage) -> Result<Option<String>, Invalid> {
    let plain = |c: char| c.is_ascii_alphanumeric() || c == '-';
    let uid = given.adopt_from.as_deref();
    if uid.is_some_and(|uid| uid.is_empty() || uid.len() > 64 || !uid.chars().all(plain)) {
        return Err(value("storage.adoptFrom", messages::OWNER));
    }
    Ok(uid.map(str::to_owned))
}

fn valid_volume(volume: &VolumeStorage) -> Result<VolumeStorage, Invalid> {
    let VolumeStorage { claim_name, sub_path } = volume;
    if !is_object_name(claim_name) {
        return Err(value("storage.volume.claimName", messages::OBJECT_NAME));
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
    if !starts_with(bucket, letter) || !is_word(bucket, 1..=255, letter, "._-") {
        return Err(value("storage.s3.bucket", messages::S3_BUCKET));
    }
    valid_path("storage.s3.prefix", prefix.as_deref())?;
    valid_endpoint("storage.s3.endpoint", endpoint.as_deref())?;
    if !region.as_deref().is_none_or(|region| is_word(region, 1..=64, letter, "-")) {
        return Err(value("storage.s3.region", messages::REGION));
    }
    if !storage_class.as_deref().is_none_or(|class| is_word(class, 1..=64, letter, "_-")) {
        return Err(value("storage.s3.storageClass", messages::S3_CLASS));
    }
    if storage_class.as_deref().is_some_and(|class| ARCHIVES.contains(&class)) {
        return Err(value("storage.s3.storageClass", messages::ARCHIVE_CLASS));
    }
    let both = [("storage.s3.credentials", credentials), ("storage.s3.pruneCredentials", prune_credentials)];
    for (field, credentials) in both.into_iter().filter_map(|(field, given)| Some((field, given.as_ref()?))) {
        let S3Credentials { access_key_id_secret_ref, secret_access_key_secret_ref } = credentials;
        valid_secret(field, access_key_id_secret_ref)?;
        valid_secret(field, secret_access_key_secret_ref)?;
    }
    optional_secret("storage.s3.caSecretRef", ca_secret_ref.as_ref())?;
    if ca_secret_ref.is_some() && !endpoint.as_ref().is_some_and(|url| url.starts_with("https://")) {
        return Err(value("storage.s3", messages::S3_CA_UNUSED));
    }
    if let Some(S3Encryption { algorithm, kms_key_id }) = server_side_encryption {
        if !kms_key_id.as_deref().is_none_or(|key| is_word(key, 1..=2048, letter, ":/_-")) {
            return Err(value("storage.s3.serverSideEncryption.kmsKeyId", messages::KMS_KEY));
        }
        if kms_key_id.is_some() && *algorithm != S3EncryptionAlgorithm::Kms {
            return Err(value("storage.s3.serverSideEncryption", messages::KMS_KEY_UNUSED));
        }
    }
    Ok(s3.clone())
}

fn valid_gcs(gcs: &GcsStorage) -> Result<GcsStorage, Invalid> {
    let GcsStorage { bucket, prefix, credentials, prune_credentials, storage_class } = gcs;
    if !starts_with(bucket, lower) || !is_word(bucket, 3..=222, lower, "._-") {
        return Err(value("storage.gcs.bucket", messages::GCS_BUCKET));
    }
    valid_path("storage.gcs.prefix", prefix.as_deref())?;
    let upper = |c: char| c.is_ascii_uppercase();
    if !storage_class.as_deref().is_none_or(|class| is_word(class, 1..=64, upper, "_")) {
        return Err(value("storage.gcs.storageClass", messages::GCS_CLASS));
    }
    let both =
        [("storage.gcs.credentials", credentials), ("storage.gcs.pruneCredentials", prune_credentials)];
    for (field, credentials) in both.into_iter().filter_map(|(field, given)| Some((field, given.as_ref()?))) {
        let GcsCredentials { service_account_key_secret_ref } = credentials;
        valid_secret(field, service_account_key_secret_ref)?;
    }
    Ok(gcs.clone())
}

fn valid_azure(azure: &AzureStorage) -> Result<AzureStorage, Invalid> {
    let AzureStorage { account, container, prefix, endpoint, credentials, prune_credentials } = azure;
    if !is_word(account, 3..=24, lower, "") {
        return Err(value("storage.azure.account", messages::ACCOUNT));
    }
    if !starts_with(container, lower) || !is_word(container, 3..=63, lower, "-") {
        return Err(value("storage.azure.container", messages::CONTAINER));
    }
    valid_path("storage.azure.prefix", prefix.as_deref())?;
    valid_endpoint("storage.azure.endpoint", endpoint.as_deref())?;
    let both =
        [("storage.azure.credentials", credentials), ("storage.azure.pruneCredentials", prune_credentials)];
    for (field, credentials) in both.into_iter().filter_map(|(field, given)| Some((field, given.as_ref()?))) {
        let AzureCredentials { account_key_secret_ref, sas_token_secret_ref } = credentials;
        if account_key_secret_ref.is_some() == sas_token_secret_ref.is_some() {
            return Err(value(field, messages::KEY_OR_TOKEN));
        }
        optional_secret(field, account_key_secret_ref.as_ref())?;
        optional_secret(field, sas_token_secret_ref.as_ref())?;
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
        return Err(value(field, messages::PATH));
    }
    Ok(())
}

fn letter(c: char) -> bool {
    c.is_ascii_alphanumeric()
}

fn lower(c: char) -> bool {
    c.is_ascii_lowercase() || c.is_ascii_digit()
}

fn starts_with(word: &str, is: impl Fn(char) -> bool) -> bool {
    word.chars().next().is_some_and(is)
}

/// Whether a word has such a length, and such characters or one of those `beside` them.
fn is_word(word: &str, lengths: RangeInclusive<usize>, is: impl Fn(char) -> bool, beside: &str) -> bool {
    lengths.contains(&word.len()) && word.chars().all(|c| is(c) || beside.contains(c))
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
        return Err(value(field, messages::ENDPOINT));
    }
    Ok(())
}
