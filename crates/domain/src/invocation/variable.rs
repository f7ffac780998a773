//! Names of the environment variables of a run. Each constant has the name of its variable.
//!
//! The variables that do not begin with `PGBACKUP_` are those of libpq and of the clouds' own tools.

/// The name of the run's Job.
pub const PGBACKUP_JOB: &str = "PGBACKUP_JOB";
/// The UID of the run's Job.
pub const PGBACKUP_JOB_UID: &str = "PGBACKUP_JOB_UID";
/// The path of the file into which the runner writes its report.
pub const PGBACKUP_TERMINATION_LOG: &str = "PGBACKUP_TERMINATION_LOG";
/// The connection URI. It replaces libpq's variables for the server and the role.
pub const PGBACKUP_URI: &str = "PGBACKUP_URI";
/// The prefix of the variables with the credentials that are used only to delete objects.
pub const PGBACKUP_PRUNE: &str = "PGBACKUP_PRUNE_";

/// The host name or IP address of the server.
pub const PGHOST: &str = "PGHOST";
/// The port of the server.
pub const PGPORT: &str = "PGPORT";
/// The name of the role that logs in.
pub const PGUSER: &str = "PGUSER";
/// The password of the role.
pub const PGPASSWORD: &str = "PGPASSWORD";
/// The mode of libpq (`sslmode`) that defines whether the connection is encrypted and how the server's
/// certificate is verified.
pub const PGSSLMODE: &str = "PGSSLMODE";
/// The path of the file with the certificate authorities that verify the server's certificate.
pub const PGSSLROOTCERT: &str = "PGSSLROOTCERT";
/// The path of the file with the client certificate of the role.
pub const PGSSLCERT: &str = "PGSSLCERT";
/// The path of the file with the private key of the role's client certificate.
pub const PGSSLKEY: &str = "PGSSLKEY";

/// The URL of the S3-compatible store.
pub const AWS_ENDPOINT_URL: &str = "AWS_ENDPOINT_URL";
/// The region of the S3 bucket.
pub const AWS_REGION: &str = "AWS_REGION";
/// The id of the S3 access key.
pub const AWS_ACCESS_KEY_ID: &str = "AWS_ACCESS_KEY_ID";
/// The secret of the S3 access key.
pub const AWS_SECRET_ACCESS_KEY: &str = "AWS_SECRET_ACCESS_KEY";

/// The key of a Google Cloud service account, as JSON.
pub const GOOGLE_SERVICE_ACCOUNT_KEY: &str = "GOOGLE_SERVICE_ACCOUNT_KEY";

/// The name of the Azure storage account.
pub const AZURE_STORAGE_ACCOUNT_NAME: &str = "AZURE_STORAGE_ACCOUNT_NAME";
/// The URL of the Azure storage account's blob service.
pub const AZURE_STORAGE_ENDPOINT: &str = "AZURE_STORAGE_ENDPOINT";
/// A key of the Azure storage account.
pub const AZURE_STORAGE_ACCOUNT_KEY: &str = "AZURE_STORAGE_ACCOUNT_KEY";
/// A shared access signature (SAS) token of the Azure storage account.
pub const AZURE_STORAGE_SAS_TOKEN: &str = "AZURE_STORAGE_SAS_TOKEN";

/// The variables that configure the connection to the PostgreSQL server.
pub const SERVER: [&str; 9] =
    [PGBACKUP_URI, PGHOST, PGPORT, PGUSER, PGPASSWORD, PGSSLMODE, PGSSLROOTCERT, PGSSLCERT, PGSSLKEY];
/// The variables that configure an S3 bucket.
pub const S3: [&str; 4] = [AWS_ENDPOINT_URL, AWS_REGION, AWS_ACCESS_KEY_ID, AWS_SECRET_ACCESS_KEY];
/// The variables that configure a bucket of Google Cloud Storage.
pub const GCS: [&str; 1] = [GOOGLE_SERVICE_ACCOUNT_KEY];
/// The variables that configure a container of Azure Blob Storage.
pub const AZURE: [&str; 4] =
    [AZURE_STORAGE_ACCOUNT_NAME, AZURE_STORAGE_ENDPOINT, AZURE_STORAGE_ACCOUNT_KEY, AZURE_STORAGE_SAS_TOKEN];
