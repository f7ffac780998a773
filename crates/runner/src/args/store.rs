//! The arguments that define the store. Credentials are only in environment variables.

use std::{path::PathBuf, time::Duration};

use clap::Args;
use domain::invocation::{BucketOptions, S3Checksum, S3Encryption, default, flag};

use super::values::one_of;
use crate::store::{Location, Target, Variables};

/// The store. Credentials come from the variables of the clouds' own tools: AWS_ACCESS_KEY_ID, AWS_SECRET_ACCESS_KEY,
/// AWS_REGION, AWS_ENDPOINT_URL; GOOGLE_APPLICATION_CREDENTIALS or GOOGLE_SERVICE_ACCOUNT_KEY; AZURE_STORAGE_ACCOUNT_NAME,
/// AZURE_STORAGE_ACCOUNT_KEY; or from the workload identity of the pod. Removals use the same variables with the prefix
/// PGBACKUP_PRUNE_, if they are set.
#[derive(Clone, Debug, Args)]
#[command(next_help_heading = "Store")]
pub struct StoreArgs {
    /// Folder, or s3://bucket/prefix, gs://bucket/prefix or az://container/prefix.
    #[arg(long = flag::STORE, value_name = "FOLDER|URL")]
    store: Location,
    /// PEM file with the only certificate authorities to trust. Default: Mozilla's, not those of the image.
    #[arg(long = flag::STORE_CA, value_name = "FILE")]
    store_ca: Option<PathBuf>,
    /// Storage class of the stored objects, as the store names it, for example STANDARD_IA, NEARLINE or Cool.
    #[arg(long = flag::STORAGE_CLASS, value_name = "CLASS")]
    storage_class: Option<String>,
    /// Put the name of the bucket into the path of S3 URLs instead of the host name. Most stores other than
    /// Amazon S3 require this.
    #[arg(long = flag::S3_PATH_STYLE)]
    s3_path_style: bool,
    /// Server-side encryption with which S3 stores objects.
    #[arg(long = flag::S3_ENCRYPTION, value_parser = one_of::<S3Encryption>(S3Encryption::all().map(S3Encryption::as_str)))]
    s3_encryption: Option<S3Encryption>,
    /// ID, ARN or alias of the key for --s3-encryption=aws:kms. Default: the account's key for S3.
    #[arg(long = flag::S3_KMS_KEY_ID, value_name = "ID")]
    s3_kms_key_id: Option<String>,
    /// Checksum that is sent with each upload and that S3 verifies. Buckets with object lock require one.
    #[arg(long = flag::S3_CHECKSUM, value_parser = one_of::<S3Checksum>(S3Checksum::all().map(S3Checksum::as_str)))]
    s3_checksum: Option<S3Checksum>,
    /// Age from which a run removes an unfinished backup from a bucket, in seconds. It must be longer than
    /// any run.
    #[arg(long = flag::LEFTOVER_AGE, value_name = "SECONDS", default_value_t = default::LEFTOVER_AGE.as_secs())]
    leftover_age: u64,
}

impl StoreArgs {
    /// Returns the store, with the credentials from the environment of this process.
    pub fn target(self) -> Target {
        let options = BucketOptions {
            ca: self.store_ca,
            path_style: self.s3_path_style,
            encryption: self.s3_encryption,
            kms_key: self.s3_kms_key_id,
            checksum: self.s3_checksum,
            storage_class: self.storage_class,
            leftover_age: Duration::from_secs(self.leftover_age),
        };
        Target { location: self.store, options, variables: Variables::of_process() }
    }
}
