//! Names of the environment variables of a run. Each constant has the name of its variable.
//!
//! The variables that do not begin with `PGBACKUP_` are those of libpq and of the clouds' own tools.

/// The name of the run's Job.
pub const PGBACKUP_JOB: &str = "PGBACKUP_JOB";
/// The UID of the run's Job.
pub const PGBACKUP_JOB_UID: &str = "PGBACKUP_JOB_UID";
/// The file of the report.
pub const PGBACKUP_TERMINATION_LOG: &str = "PGBACKUP_TERMINATION_LOG";
/// A connection URI, instead of libpq's variables for the server and the role.
pub const PGBACKUP_URI: &str = "PGBACKUP_URI";
/// The prefix of variables with the credentials that are used only to delete objects.
pub const PGBACKUP_PRUNE: &str = "PGBACKUP_PRUNE_";

/// The host name or IP address of the server.
pub const PGHOST: &str = "PGHOST";
/// The port of the server.
pub const PGPORT: &str = "PGPORT";
/// The role.
pub const PGUSER: &str = "PGUSER";
/// The password of the role.
pub const PGPASSWORD: &str = "PGPASSWORD";
/// Whether the connection is encrypted, and how the server's certificate is verified.
pub const PGSSLMODE: &str = "PGSSLMODE";
/// The file with the certificate authorities that the server's certificate is verified with.
pub const PGSSLROOTCERT: &str = "PGSSLROOTCERT";
/// The file with the certificate of the role.
pub const PGSSLCERT: &str = "PGSSLCERT";
/// The file with the private key of that certificate.
pub const PGSSLKEY: &str = "PGSSLKEY";

/// The URL of a store with the API of S3.
pub const AWS_ENDPOINT_URL: &str = "AWS_ENDPOINT_URL";
/// The region of the bucket.
pub const AWS_REGION: &str = "AWS_REGION";
/// The ID of the access key.
pub const AWS_ACCESS_KEY_ID: &str = "AWS_ACCESS_KEY_ID";
/// The secret access key.
pub const AWS_SECRET_ACCESS_KEY: &str = "AWS_SECRET_ACCESS_KEY";

/// The key of a service account of Google Cloud, as JSON.
pub const GOOGLE_SERVICE_ACCOUNT_KEY: &str = "GOOGLE_SERVICE_ACCOUNT_KEY";

/// The name of the storage account.
pub const AZURE_STORAGE_ACCOUNT_NAME: &str = "AZURE_STORAGE_ACCOUNT_NAME";
/// The URL of the storage account's blob service.
pub const AZURE_STORAGE_ENDPOINT: &str = "AZURE_STORAGE_ENDPOINT";
/// A key of the storage account.
pub const AZURE_STORAGE_ACCOUNT_KEY: &str = "AZURE_STORAGE_ACCOUNT_KEY";
/// A shared access signature of the storage account.
pub const AZURE_STORAGE_SAS_TOKEN: &str = "AZURE_STORAGE_SAS_TOKEN";

/// The variables of a server.
pub const SERVER: [&str; 9] =
    [PGBACKUP_URI, PGHOST, PGPORT, PGUSER, PGPASSWORD, PGSSLMODE, PGSSLROOTCERT, PGSSLCERT, PGSSLKEY];
/// The variables of a bucket of S3.
pub const S3: [&str; 4] = [AWS_ENDPOINT_URL, AWS_REGION, AWS_ACCESS_KEY_ID, AWS_SECRET_ACCESS_KEY];
/// The variables of a bucket of Google Cloud Storage.
pub const GCS: [&str; 1] = [GOOGLE_SERVICE_ACCOUNT_KEY];
/// The variables of a container of Azure Blob Storage.
pub const AZURE: [&str; 4] =
    [AZURE_STORAGE_ACCOUNT_NAME, AZURE_STORAGE_ENDPOINT, AZURE_STORAGE_ACCOUNT_KEY, AZURE_STORAGE_SAS_TOKEN];
