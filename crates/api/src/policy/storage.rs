//! Where backups are stored: on a volume or in a bucket.

use domain::invocation;
use kube::KubeSchema;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use serde_with::skip_serializing_none;

use super::secret::SecretKeyRef;
use crate::checks::{object, storage as check};

/// Where backups are stored: exactly one of volume, s3, gcs and azure.
#[skip_serializing_none]
#[derive(KubeSchema, Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[x_kube(validation = check::ONE_STORAGE.rule())]
#[serde(rename_all = "camelCase")]
pub struct Storage {
    /// volume is a PersistentVolumeClaim that backups are stored on.
    pub volume: Option<VolumeStorage>,

    /// s3 is a bucket of Amazon S3, or of a store with the same API, for example MinIO, Ceph, Garage or Cloudflare
    /// R2.
    pub s3: Option<S3Storage>,

    /// gcs is a bucket of Google Cloud Storage.
    pub gcs: Option<GcsStorage>,

    /// azure is a container of Azure Blob Storage.
    pub azure: Option<AzureStorage>,

    /// adoptFrom is the UID of another policy that owns the repository. This policy then takes over the repository
    /// and its backups. Set it after the cluster was rebuilt, or after the policy was deleted and created again. The
    /// UID is in the message of the condition RetentionHealthy. After this policy has taken over the repository,
    /// adoptFrom has no effect.
    #[schemars(length(max = 64))]
    #[x_kube(validation = check::ADOPT_FROM.rule())]
    pub adopt_from: Option<String>,
}

/// A volume of the cluster.
#[skip_serializing_none]
#[derive(KubeSchema, Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct VolumeStorage {
    /// claimName is the name of a PersistentVolumeClaim in the namespace of the policy. The user and group of the
    /// pods (65532, or job.runAsUser) must have permission to write to the volume.
    #[schemars(length(max = 253))]
    #[x_kube(validation = object::NAME.rule())]
    pub claim_name: String,

    /// subPath is the directory of the volume that contains the repositories. Policies can share a directory, because
    /// the repository of each policy is <subPath>/<namespace>/<policy>. A missing directory is created. Defaults to
    /// the root of the volume. For example, backups/shop.
    #[schemars(length(max = 200))]
    #[x_kube(validation = check::PATH.rule())]
    pub sub_path: Option<String>,
}

/// A bucket of Amazon S3, or of another store with the same API.
#[skip_serializing_none]
#[derive(KubeSchema, Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[x_kube(validation = check::S3_CA_UNUSED.rule())]
#[serde(rename_all = "camelCase")]
pub struct S3Storage {
    /// bucket is the name of the bucket. The bucket must exist.
    #[schemars(length(max = 255))]
    #[x_kube(validation = check::S3_BUCKET.rule())]
    pub bucket: String,

    /// prefix is the path in the bucket that contains the repositories. Policies of a cluster can share a prefix,
    /// because the repository of each policy is <prefix>/<namespace>/<policy>. Clusters that share a bucket need
    /// different prefixes. Defaults to the root of the bucket. For example, clusters/main.
    #[schemars(length(max = 200))]
    #[x_kube(validation = check::PATH.rule())]
    pub prefix: Option<String>,

    /// endpoint is the URL of the store. Defaults to the endpoint of Amazon S3 in region. For example,
    /// https://s3.example.org:9000.
    #[schemars(length(max = 500))]
    #[x_kube(validation = check::ENDPOINT.rule(), validation = check::ENDPOINT_PORT.rule())]
    pub endpoint: Option<String>,

    /// region is the region of the bucket. Most stores other than Amazon S3 ignore it. Defaults to us-east-1. For
    /// example, eu-central-1.
    #[schemars(length(max = 64))]
    #[x_kube(validation = check::REGION.rule())]
    pub region: Option<String>,

    /// pathStyle defines how requests name the bucket: in the path of the URL (true, https://host/bucket) or in its
    /// host name (false, https://bucket.host). Defaults to true if endpoint is set, and to false if it is not.
    pub path_style: Option<bool>,

    /// credentials are the access key for the bucket. It needs permission to list, read, write and delete objects
    /// under prefix, and to abort multipart uploads. Defaults to the credentials that the platform gives to the pods:
    /// a role of their ServiceAccount (workload identity), or of their node.
    pub credentials: Option<S3Credentials>,

    /// pruneCredentials are another access key, which is used only to delete objects. With it, the key in credentials
    /// needs no permission to delete objects. Defaults to credentials.
    pub prune_credentials: Option<S3Credentials>,

    /// caSecretRef selects the key of a Secret that contains the certificates of the CAs that can sign the store's
    /// certificate, in PEM format. It requires an endpoint that starts with https://. Defaults to the public CAs that
    /// Mozilla trusts.
    pub ca_secret_ref: Option<SecretKeyRef>,

    /// serverSideEncryption defines how the store encrypts the stored objects. Defaults to the default encryption of
    /// the bucket.
    pub server_side_encryption: Option<S3Encryption>,

    /// storageClass is the storage class of the stored objects. GLACIER and DEEP_ARCHIVE are not allowed, because
    /// each backup is read back right after it is stored. Defaults to the default of the bucket. For example,
    /// STANDARD_IA.
    #[schemars(length(max = 64))]
    #[x_kube(validation = check::S3_CLASS.rule(), validation = check::ARCHIVE_CLASS.rule())]
    pub storage_class: Option<String>,

    /// checksumAlgorithm is the algorithm of a checksum that is sent with each upload.
    pub checksum_algorithm: Option<S3Checksum>,
}

/// An access key of S3.
#[derive(JsonSchema, Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct S3Credentials {
    /// accessKeyIdSecretRef selects the key of a Secret that contains the ID of the access key.
    pub access_key_id_secret_ref: SecretKeyRef,

    /// secretAccessKeySecretRef selects the key of a Secret that contains the secret access key.
    pub secret_access_key_secret_ref: SecretKeyRef,
}

/// Encryption by the store.
#[skip_serializing_none]
#[derive(KubeSchema, Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[x_kube(validation = check::KMS_KEY_UNUSED.rule())]
#[serde(rename_all = "camelCase")]
pub struct S3Encryption {
    /// algorithm is AES256 to encrypt with a key of the store, or aws:kms to encrypt with a key of the key management
    /// service (KMS).
    pub algorithm: S3EncryptionAlgorithm,

    /// kmsKeyId is the ID, the ARN or the alias of the KMS key. It requires the algorithm aws:kms. Defaults to the
    /// account's KMS key for S3. For example, alias/backups.
    #[schemars(length(max = 2048))]
    #[x_kube(validation = check::KMS_KEY.rule())]
    pub kms_key_id: Option<String>,
}

/// The encryption algorithms of S3.
#[derive(JsonSchema, Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum S3EncryptionAlgorithm {
    /// A key of the store.
    #[serde(rename = "AES256")]
    Aes256,
    /// A key of the key management service.
    #[serde(rename = "aws:kms")]
    Kms,
}

impl From<S3EncryptionAlgorithm> for invocation::S3Encryption {
    fn from(algorithm: S3EncryptionAlgorithm) -> Self {
        match algorithm {
            S3EncryptionAlgorithm::Aes256 => Self::Aes256,
            S3EncryptionAlgorithm::Kms => Self::Kms,
        }
    }
}

// kube describes an optional enum by the text of the enum, not by that of the field.
/// checksumAlgorithm is the algorithm of a checksum that is sent with each upload and that the store verifies.
/// Buckets with object lock require one. Defaults to no checksum. Each backup is read back and compared in either
/// case.
#[derive(JsonSchema, Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum S3Checksum {
    /// SHA-256.
    #[serde(rename = "SHA256")]
    Sha256,
    /// CRC-64/NVME.
    #[serde(rename = "CRC64NVME")]
    Crc64Nvme,
}

impl From<S3Checksum> for invocation::S3Checksum {
    fn from(checksum: S3Checksum) -> Self {
        match checksum {
            S3Checksum::Sha256 => Self::Sha256,
            S3Checksum::Crc64Nvme => Self::Crc64Nvme,
        }
    }
}

/// A bucket of Google Cloud Storage.
#[skip_serializing_none]
#[derive(KubeSchema, Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct GcsStorage {
    /// bucket is the name of the bucket. The bucket must exist.
    #[schemars(length(max = 222))]
    #[x_kube(validation = check::GCS_BUCKET.rule())]
    pub bucket: String,

    /// prefix is the path in the bucket that contains the repositories. Policies of a cluster can share a prefix,
    /// because the repository of each policy is <prefix>/<namespace>/<policy>. Clusters that share a bucket need
    /// different prefixes. Defaults to the root of the bucket. For example, clusters/main.
    #[schemars(length(max = 200))]
    #[x_kube(validation = check::PATH.rule())]
    pub prefix: Option<String>,

    /// credentials are the key of a service account with permission to list, read, create and delete objects.
    /// Defaults to the credentials that the platform gives to the pods (workload identity).
    pub credentials: Option<GcsCredentials>,

    /// pruneCredentials are the key of another service account, which is used only to delete objects. Defaults to
    /// credentials.
    pub prune_credentials: Option<GcsCredentials>,

    /// storageClass is the storage class of the stored objects. Defaults to the default of the bucket. For example,
    /// NEARLINE.
    #[schemars(length(max = 64))]
    #[x_kube(validation = check::GCS_CLASS.rule())]
    pub storage_class: Option<String>,
}

/// The key of a service account of Google Cloud.
#[derive(JsonSchema, Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct GcsCredentials {
    /// serviceAccountKeySecretRef selects the key of a Secret that contains the JSON file of a service account key,
    /// as Google Cloud creates it.
    pub service_account_key_secret_ref: SecretKeyRef,
}

/// A container of Azure Blob Storage.
#[skip_serializing_none]
#[derive(KubeSchema, Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct AzureStorage {
    /// account is the name of the storage account. For example, shopbackups.
    #[schemars(length(max = 100))]
    #[x_kube(validation = check::ACCOUNT.rule())]
    pub account: String,

    /// container is the name of the blob container. The container must exist.
    #[schemars(length(max = 100))]
    #[x_kube(validation = check::CONTAINER.rule())]
    pub container: String,

    /// prefix is the path in the container that contains the repositories. Policies of a cluster can share a
    /// prefix, because the repository of each policy is <prefix>/<namespace>/<policy>. Clusters that share a container
    /// need different prefixes. Defaults to the root of the container. For example, clusters/main.
    #[schemars(length(max = 200))]
    #[x_kube(validation = check::PATH.rule())]
    pub prefix: Option<String>,

    /// endpoint is the URL of the blob service. Defaults to https://<account>.blob.core.windows.net.
    #[schemars(length(max = 500))]
    #[x_kube(validation = check::ENDPOINT.rule(), validation = check::ENDPOINT_PORT.rule())]
    pub endpoint: Option<String>,

    /// credentials are an account key of the storage account, or a shared access signature (SAS) token with
    /// permission to list, read, create, write and delete blobs. Defaults to the credentials that the platform gives
    /// to the pods (workload identity).
    pub credentials: Option<AzureCredentials>,

    /// pruneCredentials are another account key or SAS token, which is used only to delete blobs. Defaults to
    /// credentials.
    pub prune_credentials: Option<AzureCredentials>,
}

/// An account key or a SAS token of Azure Storage.
#[skip_serializing_none]
#[derive(KubeSchema, Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[x_kube(validation = check::KEY_OR_TOKEN.rule())]
#[serde(rename_all = "camelCase")]
pub struct AzureCredentials {
    /// accountKeySecretRef selects the key of a Secret that contains an account key of the storage account. Exactly
    /// one of accountKeySecretRef and sasTokenSecretRef is required.
    pub account_key_secret_ref: Option<SecretKeyRef>,

    /// sasTokenSecretRef selects the key of a Secret that contains a SAS token. Exactly one of accountKeySecretRef
    /// and sasTokenSecretRef is required.
    pub sas_token_secret_ref: Option<SecretKeyRef>,
}
