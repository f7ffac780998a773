//! The arguments that name the store. Credentials come from the environment only.

use std::{path::PathBuf, time::Duration};

use clap::{Args, ValueEnum};

use crate::store::{BucketOptions, Location, Target, Variables};

/// The store. Credentials come from the variables of the clouds' own tools: AWS_ACCESS_KEY_ID, AWS_SECRET_ACCESS_KEY,
/// AWS_REGION, AWS_ENDPOINT_URL; GOOGLE_APPLICATION_CREDENTIALS or GOOGLE_SERVICE_ACCOUNT_KEY; AZURE_STORAGE_ACCOUNT_NAME,
/// AZURE_STORAGE_ACCOUNT_KEY; or from the workload identity of the pod. Removals use the same variables with the prefix
/// PGBACKUP_PRUNE_, if they are set.
#[derive(Clone, Debug, Args)]
#[command(next_help_heading = "Store")]
pub struct StoreArgs {
    /// Folder of a volume, or s3://bucket/prefix, gs://bucket/prefix, az://container/prefix.
    #[arg(long, value_name = "FOLDER|URL")]
    store: Location,
    /// PEM file with the certificates of the authorities to trust. Default: Mozilla's, whatever the image has.
    #[arg(long, value_name = "FILE")]
    store_ca: Option<PathBuf>,
    /// Storage class of the objects, by the store's name: STANDARD_IA, NEARLINE, Cool.
    #[arg(long, value_name = "CLASS")]
    storage_class: Option<String>,
    /// Put the bucket into the path of S3 URLs, not into the host name. Most stores other than Amazon's need it.
    #[arg(long)]
    s3_path_style: bool,
    /// Server-side encryption of S3.
    #[arg(long, value_enum)]
    s3_encryption: Option<Encryption>,
    /// Identifier of the key of --s3-encryption=aws:kms. Default: the account's own key.
    #[arg(long, value_name = "ID")]
    s3_kms_key_id: Option<String>,
    /// Checksum that S3 verifies for each request. Buckets with object lock need one.
    #[arg(long, value_enum)]
    s3_checksum: Option<Checksum>,
    /// Age at which a run removes an unfinished backup from a bucket, in seconds: longer than any run takes. Default: a day.
    #[arg(long, value_name = "SECONDS", default_value_t = 86_400)]
    leftover_age: u64,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
enum Encryption {
    #[value(name = "AES256")]
    Aes256,
    #[value(name = "aws:kms")]
    Kms,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
enum Checksum {
    Sha256,
    Crc64nvme,
}

impl StoreArgs {
    /// The store, with the credentials in the environment of this process.
    pub fn target(self) -> Target {
        let options = BucketOptions {
            ca: self.store_ca,
            path_style: self.s3_path_style,
            encryption: self.s3_encryption.map(|encryption| match encryption {
                Encryption::Aes256 => "AES256".to_owned(),
                Encryption::Kms => "aws:kms".to_owned(),
            }),
            kms_key: self.s3_kms_key_id,
            checksum: self.s3_checksum.map(|checksum| match checksum {
                Checksum::Sha256 => "sha256".to_owned(),
                Checksum::Crc64nvme => "crc64nvme".to_owned(),
            }),
            storage_class: self.storage_class,
            leftover_age: Duration::from_secs(self.leftover_age),
        };
        Target { location: self.store, options, variables: Variables::of_process() }
    }
}
