//! Where backups go, on the command line. Credentials are never there: they come from the environment.

use std::{path::PathBuf, time::Duration};

use clap::{Args, ValueEnum};

use crate::store::{BucketOptions, Location, Target, Variables};

/// Where backups go. What the clouds' own tools read from the environment is read here too: AWS_ACCESS_KEY_ID,
/// AWS_SECRET_ACCESS_KEY, AWS_REGION, AWS_ENDPOINT_URL; GOOGLE_APPLICATION_CREDENTIALS or GOOGLE_SERVICE_ACCOUNT_KEY;
/// AZURE_STORAGE_ACCOUNT_NAME, AZURE_STORAGE_ACCOUNT_KEY; and the identity that a cluster gives to a pod. Removals use
/// credentials of their own if the same variables are there with PGBACKUP_PRUNE_ before their names.
#[derive(Clone, Debug, Args)]
#[command(next_help_heading = "Store")]
pub struct StoreArgs {
    /// A folder, s3://bucket/prefix, gs://bucket/prefix or az://container/prefix.
    #[arg(long, value_name = "FOLDER|URL")]
    store: Location,
    /// A file with the certificates of the authorities that the store's certificate may come from, in PEM. Default:
    /// Mozilla's, whatever the image has.
    #[arg(long, value_name = "FILE")]
    store_ca: Option<PathBuf>,
    /// The class of the stored objects, as the store calls it: STANDARD_IA, NEARLINE, Cool.
    #[arg(long, value_name = "CLASS")]
    storage_class: Option<String>,
    /// Puts the bucket into the path of S3's URLs, not into the host name: most stores other than Amazon's want it.
    #[arg(long)]
    s3_path_style: bool,
    /// How S3 encrypts what it stores.
    #[arg(long, value_enum)]
    s3_encryption: Option<Encryption>,
    /// The id of the key of --s3-encryption=aws:kms. Default: the account's own.
    #[arg(long, value_name = "ID")]
    s3_kms_key_id: Option<String>,
    /// A checksum of each request that S3 compares. Buckets with object lock want one.
    #[arg(long, value_enum)]
    s3_checksum: Option<Checksum>,
    /// How old a backup without a manifest gets in a bucket before a run removes it, in seconds: older than any run that may
    /// still be making it. Default: a day.
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
    /// Where, and how; with the variables of this process.
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
