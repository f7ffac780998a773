//! Where the backups go: a volume, or a bucket.

use kube::KubeSchema;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use serde_with::skip_serializing_none;

use super::SecretKeyRef;
use crate::messages;

/// Where the backups go. Write one of volume, s3, gcs and azure.
#[skip_serializing_none]
#[derive(KubeSchema, Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[x_kube(validation = Rule::new("[has(self.volume), has(self.s3), has(self.gcs), has(self.azure)].filter(given, given).size() == 1").message(messages::ONE_STORAGE))]
#[serde(rename_all = "camelCase")]
pub struct Storage {
    /// A volume of the cluster.
    pub volume: Option<VolumeStorage>,

    /// A bucket of Amazon S3, or of a store that speaks the same (MinIO, Ceph, Garage, R2 and many others).
    pub s3: Option<S3Storage>,

    /// A bucket of Google Cloud Storage.
    pub gcs: Option<GcsStorage>,

    /// A container of Azure Blob Storage.
    pub azure: Option<AzureStorage>,

    /// The UID of the policy that the folder belongs to by now, to take it over with its backups: those of a cluster that
    /// was built anew, or of a policy that was deleted and made again. The condition RetentionHealthy names it. Once
    /// the folder is taken over this does nothing more.
    #[schemars(length(max = 64))]
    #[x_kube(validation = Rule::new(messages::IS_OWNER).message(messages::OWNER))]
    pub adopt_from: Option<String>,
}

/// A volume of the cluster.
#[skip_serializing_none]
#[derive(KubeSchema, Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct VolumeStorage {
    /// The PersistentVolumeClaim, in the policy's namespace. It must be writable for user and group 65532.
    #[schemars(length(max = 253))]
    #[x_kube(validation = Rule::new(messages::IS_OBJECT_NAME).message(messages::OBJECT_NAME))]
    pub claim_name: String,

    /// A folder in the volume, made if it is not there. Default: the volume's root. Backups go to
    /// <subPath>/<namespace>/<policy>/, so many policies can share a volume.
    #[schemars(length(max = 200))]
    #[x_kube(validation = Rule::new(messages::IS_PATH).message(messages::PATH))]
    pub sub_path: Option<String>,
}

/// A bucket of Amazon S3, or of a store that speaks the same.
#[skip_serializing_none]
#[derive(KubeSchema, Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[x_kube(validation = Rule::new("has(self.caSecretRef) ? has(self.endpoint) && !self.endpoint.startsWith('http://') : true").message(messages::S3_CA_UNUSED))]
#[serde(rename_all = "camelCase")]
pub struct S3Storage {
    /// The bucket. It must exist.
    #[schemars(length(max = 255))]
    #[x_kube(validation = Rule::new(messages::IS_S3_BUCKET).message(messages::S3_BUCKET))]
    pub bucket: String,

    /// What comes before the policies' folders. Default: nothing. Backups go to <prefix>/<namespace>/<policy>/, so many
    /// policies, of many clusters if each has its own prefix, can share a bucket.
    #[schemars(length(max = 200))]
    #[x_kube(validation = Rule::new(messages::IS_PATH).message(messages::PATH))]
    pub prefix: Option<String>,

    /// The store's address, for example https://s3.example.org:9000. Default: Amazon's, of the region.
    #[schemars(length(max = 500))]
    #[x_kube(validation = Rule::new(messages::IS_ENDPOINT).message(messages::ENDPOINT))]
    pub endpoint: Option<String>,

    /// The region, for example eu-central-1. Default: us-east-1, which stores other than Amazon's mostly ignore.
    #[schemars(length(max = 64))]
    #[x_kube(validation = Rule::new(messages::IS_REGION).message(messages::REGION))]
    pub region: Option<String>,

    /// Whether the bucket is in the path of a URL (https://host/bucket) and not in its host name
    /// (https://bucket.host). Default: true with an endpoint, else false.
    pub path_style: Option<bool>,

    /// The access key. It needs to list, read, write and delete below the prefix, and to abort multipart uploads.
    /// Default: what the cluster gives to the pod (an instance's role, or that of the namespace's default service account).
    pub credentials: Option<S3Credentials>,

    /// Another access key, for removals only: then that of credentials need not be allowed to delete. Default: that of
    /// credentials.
    pub prune_credentials: Option<S3Credentials>,

    /// The key of a Secret that holds the certificate of the authority that the store's certificate comes from, or a
    /// bundle of them, in PEM. Default: the public authorities, as Mozilla lists them.
    pub ca_secret_ref: Option<SecretKeyRef>,

    /// How the store encrypts what it stores. Default: as the bucket says.
    pub server_side_encryption: Option<S3Encryption>,

    /// The storage class of the backups, for example STANDARD_IA. Default: the bucket's. Backups are read back after they
    /// are stored, so classes that cannot be read at once are refused.
    #[schemars(length(max = 64))]
    #[x_kube(
        validation = Rule::new(messages::IS_S3_CLASS).message(messages::S3_CLASS),
        validation = Rule::new("!(self in ['GLACIER', 'DEEP_ARCHIVE'])").message(messages::ARCHIVE_CLASS)
    )]
    pub storage_class: Option<String>,

    /// A checksum that goes with each request, for the store to compare: SHA256 or CRC64NVME. Buckets with object lock
    /// want one. Default: none; every backup is read back and compared anyway.
    pub checksum_algorithm: Option<S3Checksum>,
}

/// An access key of S3.
#[derive(JsonSchema, Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct S3Credentials {
    /// The key of a Secret that holds the access key's id.
    pub access_key_id_secret_ref: SecretKeyRef,

    /// The key of a Secret that holds the secret access key.
    pub secret_access_key_secret_ref: SecretKeyRef,
}

/// How S3 encrypts what it stores.
#[skip_serializing_none]
#[derive(KubeSchema, Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[x_kube(validation = Rule::new("has(self.kmsKeyId) ? self.algorithm == 'aws:kms' : true").message(messages::KMS_KEY_UNUSED))]
#[serde(rename_all = "camelCase")]
pub struct S3Encryption {
    /// AES256 (the store's own keys) or aws:kms (a key of the key management service).
    pub algorithm: S3EncryptionAlgorithm,

    /// The key's id or ARN. Default: the account's key for S3.
    #[schemars(length(max = 2048))]
    #[x_kube(validation = Rule::new(messages::IS_KMS_KEY).message(messages::KMS_KEY))]
    pub kms_key_id: Option<String>,
}

/// S3's words for how it encrypts.
#[derive(JsonSchema, Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum S3EncryptionAlgorithm {
    /// With keys of the store's own.
    #[serde(rename = "AES256")]
    Aes256,
    /// With a key of the key management service.
    #[serde(rename = "aws:kms")]
    Kms,
}

/// S3's words for checksums.
#[derive(JsonSchema, Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum S3Checksum {
    /// SHA-256.
    #[serde(rename = "SHA256")]
    Sha256,
    /// CRC-64/NVME.
    #[serde(rename = "CRC64NVME")]
    Crc64Nvme,
}

/// A bucket of Google Cloud Storage.
#[skip_serializing_none]
#[derive(KubeSchema, Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct GcsStorage {
    /// The bucket. It must exist.
    #[schemars(length(max = 222))]
    #[x_kube(validation = Rule::new(messages::IS_GCS_BUCKET).message(messages::GCS_BUCKET))]
    pub bucket: String,

    /// What comes before the policies' folders. Default: nothing. Backups go to <prefix>/<namespace>/<policy>/.
    #[schemars(length(max = 200))]
    #[x_kube(validation = Rule::new(messages::IS_PATH).message(messages::PATH))]
    pub prefix: Option<String>,

    /// The service account. It needs to list, read, create and delete objects. Default: what the cluster gives to the
    /// pod (workload identity).
    pub credentials: Option<GcsCredentials>,

    /// Another service account, for removals only. Default: that of credentials.
    pub prune_credentials: Option<GcsCredentials>,

    /// The storage class of the backups, for example NEARLINE. Default: the bucket's.
    #[schemars(length(max = 64))]
    #[x_kube(validation = Rule::new(messages::IS_GCS_CLASS).message(messages::GCS_CLASS))]
    pub storage_class: Option<String>,
}

/// A service account of Google Cloud.
#[derive(JsonSchema, Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct GcsCredentials {
    /// The key of a Secret that holds the service account's key, in JSON as Google gives it.
    pub service_account_key_secret_ref: SecretKeyRef,
}

/// A container of Azure Blob Storage.
#[skip_serializing_none]
#[derive(KubeSchema, Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct AzureStorage {
    /// The storage account.
    #[schemars(length(max = 100))]
    #[x_kube(validation = Rule::new(messages::IS_ACCOUNT).message(messages::ACCOUNT))]
    pub account: String,

    /// The container. It must exist.
    #[schemars(length(max = 100))]
    #[x_kube(validation = Rule::new(messages::IS_CONTAINER).message(messages::CONTAINER))]
    pub container: String,

    /// What comes before the policies' folders. Default: nothing. Backups go to <prefix>/<namespace>/<policy>/.
    #[schemars(length(max = 200))]
    #[x_kube(validation = Rule::new(messages::IS_PATH).message(messages::PATH))]
    pub prefix: Option<String>,

    /// The address of the account's blobs, where it is not https://<account>.blob.core.windows.net.
    #[schemars(length(max = 500))]
    #[x_kube(validation = Rule::new(messages::IS_ENDPOINT).message(messages::ENDPOINT))]
    pub endpoint: Option<String>,

    /// The account's key, or a shared access signature that allows to list, read, create, write and delete. Default:
    /// what the cluster gives to the pod (workload identity).
    pub credentials: Option<AzureCredentials>,

    /// The same for removals only. Default: those of credentials.
    pub prune_credentials: Option<AzureCredentials>,
}

/// An account key or a shared access signature of Azure Storage.
#[skip_serializing_none]
#[derive(KubeSchema, Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[x_kube(validation = Rule::new("has(self.accountKeySecretRef) != has(self.sasTokenSecretRef)").message(messages::KEY_OR_TOKEN))]
#[serde(rename_all = "camelCase")]
pub struct AzureCredentials {
    /// The key of a Secret that holds a key of the storage account.
    pub account_key_secret_ref: Option<SecretKeyRef>,

    /// The key of a Secret that holds a shared access signature (SAS token).
    pub sas_token_secret_ref: Option<SecretKeyRef>,
}
