//! Validates the store of the backups.

use api::{
    checks::storage as check,
    policy::{
        AzureCredentials, AzureStorage, GcsCredentials, GcsStorage, S3Credentials, S3Encryption,
        S3EncryptionAlgorithm, S3Storage, Storage, VolumeStorage,
    },
};

use super::field::{
    Invalid, alphanumeric, consists_of, invalid, lower_alphanumeric, object_name, optional_secret_key,
    require, secret_key,
};

/// Storage classes whose objects cannot be read immediately.
const ARCHIVES: [&str; 2] = ["GLACIER", "DEEP_ARCHIVE"];

/// The validated store of the backups.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum ValidStorage {
    /// A PersistentVolumeClaim.
    Volume(VolumeStorage),
    /// A bucket of S3 or of an S3-compatible store.
    S3(Box<S3Storage>),
    /// A bucket of Google Cloud Storage.
    Gcs(GcsStorage),
    /// A container of Azure Blob Storage.
    Azure(AzureStorage),
}

/// Validates `storage`, except `adoptFrom`.
pub fn storage(given: &Storage) -> Result<ValidStorage, Invalid> {
    let Storage { volume, s3, gcs, azure, adopt_from: _ } = given;
    match (volume, s3, gcs, azure) {
        (Some(volume), None, None, None) => valid_volume(volume).map(ValidStorage::Volume),
        (None, Some(s3), None, None) => valid_s3(s3).map(|s3| ValidStorage::S3(Box::new(s3))),
        (None, None, Some(gcs), None) => valid_gcs(gcs).map(ValidStorage::Gcs),
        (None, None, None, Some(azure)) => valid_azure(azure).map(ValidStorage::Azure),
        _ => Err(invalid("storage", check::ONE_STORAGE.message)),
    }
}

/// Validates `storage.adoptFrom`.
pub fn adopt_from(given: &Storage) -> Result<Option<String>, Invalid> {
    let is_uid = |uid: &String| consists_of(uid, 1..=64, alphanumeric, "-");
    require("storage.adoptFrom", check::ADOPT_FROM, given.adopt_from.as_ref().is_none_or(is_uid))?;
    Ok(given.adopt_from.clone())
}

fn valid_volume(volume: &VolumeStorage) -> Result<VolumeStorage, Invalid> {
    let VolumeStorage { claim_name, sub_path } = volume;
    object_name("storage.volume.claimName", claim_name)?;
    path("storage.volume.subPath", sub_path.as_deref())?;
    Ok(volume.clone())
}

fn valid_s3(s3: &S3Storage) -> Result<S3Storage, Invalid> {
    let S3Storage {
        bucket,
        prefix,
        endpoint,
        region,
        path_style: _,
        credentials: keys,
        prune_credentials: prune_keys,
        ca_secret_ref,
        server_side_encryption,
        storage_class,
        checksum_algorithm: _,
    } = s3;
    let is_bucket = bucket.starts_with(alphanumeric) && consists_of(bucket, 1..=255, alphanumeric, "._-");
    require("storage.s3.bucket", check::S3_BUCKET, is_bucket)?;
    path("storage.s3.prefix", prefix.as_deref())?;
    self::endpoint("storage.s3.endpoint", endpoint.as_deref())?;
    let is_region = |region: &String| consists_of(region, 1..=64, alphanumeric, "-");
    require("storage.s3.region", check::REGION, region.as_ref().is_none_or(is_region))?;
    let is_class = |class: &String| consists_of(class, 1..=64, alphanumeric, "_-");
    require("storage.s3.storageClass", check::S3_CLASS, storage_class.as_ref().is_none_or(is_class))?;
    let is_archive = |class: &String| ARCHIVES.contains(&class.as_str());
    let readable = !storage_class.as_ref().is_some_and(is_archive);
    require("storage.s3.storageClass", check::ARCHIVE_CLASS, readable)?;
    credentials("s3", [keys.as_ref(), prune_keys.as_ref()], |field, keys| {
        let S3Credentials { access_key_id_secret_ref, secret_access_key_secret_ref } = keys;
        secret_key(&format!("{field}.accessKeyIdSecretRef"), access_key_id_secret_ref)?;
        secret_key(&format!("{field}.secretAccessKeySecretRef"), secret_access_key_secret_ref)
    })?;
    optional_secret_key("storage.s3.caSecretRef", ca_secret_ref.as_ref())?;
    let encrypts = endpoint.as_ref().is_some_and(|url| url.starts_with("https://"));
    require("storage.s3", check::S3_CA_UNUSED, ca_secret_ref.is_none() || encrypts)?;
    if let Some(S3Encryption { algorithm, kms_key_id: Some(key) }) = server_side_encryption {
        let is_key = consists_of(key, 1..=2048, alphanumeric, ":/_-");
        require("storage.s3.serverSideEncryption.kmsKeyId", check::KMS_KEY, is_key)?;
        let uses_key = *algorithm == S3EncryptionAlgorithm::Kms;
        require("storage.s3.serverSideEncryption", check::KMS_KEY_UNUSED, uses_key)?;
    }
    Ok(s3.clone())
}

fn valid_gcs(gcs: &GcsStorage) -> Result<GcsStorage, Invalid> {
    let GcsStorage { bucket, prefix, credentials: keys, prune_credentials: prune_keys, storage_class } = gcs;
    let is_bucket =
        bucket.starts_with(lower_alphanumeric) && consists_of(bucket, 3..=222, lower_alphanumeric, "._-");
    require("storage.gcs.bucket", check::GCS_BUCKET, is_bucket)?;
    path("storage.gcs.prefix", prefix.as_deref())?;
    let is_class = |class: &String| consists_of(class, 1..=64, |c| c.is_ascii_uppercase(), "_");
    require("storage.gcs.storageClass", check::GCS_CLASS, storage_class.as_ref().is_none_or(is_class))?;
    credentials(
        "gcs",
        [keys.as_ref(), prune_keys.as_ref()],
        |field, GcsCredentials { service_account_key_secret_ref }| {
            secret_key(&format!("{field}.serviceAccountKeySecretRef"), service_account_key_secret_ref)
        },
    )?;
    Ok(gcs.clone())
}

fn valid_azure(azure: &AzureStorage) -> Result<AzureStorage, Invalid> {
    let AzureStorage {
        account,
        container,
        prefix,
        endpoint,
        credentials: keys,
        prune_credentials: prune_keys,
    } = azure;
    let is_account = consists_of(account, 3..=24, lower_alphanumeric, "");
    require("storage.azure.account", check::ACCOUNT, is_account)?;
    let is_container =
        container.starts_with(lower_alphanumeric) && consists_of(container, 3..=63, lower_alphanumeric, "-");
    require("storage.azure.container", check::CONTAINER, is_container)?;
    path("storage.azure.prefix", prefix.as_deref())?;
    self::endpoint("storage.azure.endpoint", endpoint.as_deref())?;
    credentials("azure", [keys.as_ref(), prune_keys.as_ref()], |field, keys| {
        let AzureCredentials { account_key_secret_ref: key, sas_token_secret_ref: token } = keys;
        require(field.to_owned(), check::KEY_OR_TOKEN, key.is_some() != token.is_some())?;
        optional_secret_key(&format!("{field}.accountKeySecretRef"), key.as_ref())?;
        optional_secret_key(&format!("{field}.sasTokenSecretRef"), token.as_ref())
    })?;
    Ok(azure.clone())
}

/// Validates `credentials` and `pruneCredentials` of a store, if they are set.
fn credentials<T>(
    store: &str,
    [all, prune]: [Option<&T>; 2],
    check: impl Fn(&str, &T) -> Result<(), Invalid>,
) -> Result<(), Invalid> {
    for (name, given) in [("credentials", all), ("pruneCredentials", prune)] {
        if let Some(given) = given {
            check(&format!("storage.{store}.{name}"), given)?;
        }
    }
    Ok(())
}

fn path(field: &'static str, path: Option<&str>) -> Result<(), Invalid> {
    let is_part = |part: &str| !part.starts_with('.') && consists_of(part, 1..=200, alphanumeric, "._-");
    let is_path = |path: &str| path.len() <= 200 && path.split('/').all(is_part);
    require(field, check::PATH, path.is_none_or(is_path))
}

fn endpoint(field: &'static str, url: Option<&str>) -> Result<(), Invalid> {
    let Some(url) = url else { return Ok(()) };
    let authority = || {
        let rest = url.strip_prefix("https://").or_else(|| url.strip_prefix("http://"))?;
        let (authority, path) = rest.split_once('/').unwrap_or((rest, ""));
        (url.len() <= 500 && consists_of(path, 0..=500, alphanumeric, "._~/-")).then_some(authority)
    };
    let host_and_port = authority().and_then(host_and_port);
    let (_, port) = host_and_port.ok_or_else(|| invalid(field, check::ENDPOINT.message))?;
    let is_port = |port: &str| port.parse::<u16>().is_ok_and(|port| port > 0) && !port.starts_with('0');
    require(field, check::ENDPOINT_PORT, port.is_none_or(is_port))
}

/// Splits the authority of a URL into a host name or IP address and the digits of a port. An IPv6 address is
/// in brackets.
fn host_and_port(authority: &str) -> Option<(&str, Option<&str>)> {
    let (host, rest) = if let Some(address) = authority.strip_prefix('[') {
        let (address, rest) = address.split_once(']')?;
        consists_of(address, 1..=45, |c| c.is_ascii_hexdigit(), ".:").then_some((address, rest))?
    } else {
        let (host, rest) = authority.split_at(authority.find(':').unwrap_or(authority.len()));
        consists_of(host, 1..=500, alphanumeric, "._-").then_some((host, rest))?
    };
    match rest.strip_prefix(':') {
        Some(port) => consists_of(port, 1..=500, |c| c.is_ascii_digit(), "").then_some((host, Some(port))),
        None => rest.is_empty().then_some((host, None)),
    }
}
