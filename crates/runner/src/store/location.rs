//! Where backups go, as the command line says it: a folder, or a bucket of one of three kinds; and what its client is
//! made of. Credentials, region and endpoint come from the environment variables that the clouds' own tools read.

use std::{ffi::OsString, fmt, fs, path::PathBuf, str::FromStr, sync::Arc, time::Duration};

use object_store::{
    Attribute, Attributes, Certificate, ClientConfigKey, ClientOptions, RetryConfig,
    aws::{AmazonS3Builder, AmazonS3ConfigKey},
    azure::{AzureConfigKey, MicrosoftAzureBuilder},
    gcp::{GoogleCloudStorageBuilder, GoogleConfigKey},
    path::Path,
};
use rustls::pki_types::{CertificateDer, pem::PemObject as _};

use super::{
    error::StoreError,
    objects::{Bucket, Cloud, LEAST_PART},
};

/// Before the variables of the clouds' tools: the credentials that only remove.
const PRUNE_PREFIX: &str = "PGBACKUP_PRUNE_";

/// How long a connection may take.
const CONNECT_TIMEOUT: Duration = Duration::from_secs(10);

/// How long a store may say nothing. It says nothing while a request is sent: a part of 8 MiB needs that long at 70 kB/s.
const READ_TIMEOUT: Duration = Duration::from_mins(2);

/// What a larger part may need beside that: parts have 1 MB/s each, or the dump of the database that they are of takes
/// weeks.
const PART_BYTES_A_SECOND: u64 = 1_000_000;

/// With pauses that double from 0.1 s: about half a minute.
const RETRIES: usize = 8;

/// After that long no request is sent again. All tries have one signature, and S3 takes one for 15 minutes.
const LAST_RETRY: Duration = Duration::from_mins(14);

/// How long a client waits for an answer, and how long it sends a request again.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Patience {
    read: Duration,
    retry: Duration,
}

impl Patience {
    /// For requests that carry no more than so many bytes.
    pub fn with(part: u64) -> Self {
        let more = Duration::from_secs(part.saturating_sub(LEAST_PART).div_ceil(PART_BYTES_A_SECOND));
        let read = READ_TIMEOUT + more;
        // One try that timed out is followed by another one.
        Self { read, retry: (read + Duration::from_mins(1)).min(LAST_RETRY) }
    }
}

/// Where backups go.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Location {
    /// A folder: a volume's root.
    Folder(PathBuf),
    /// A bucket.
    Bucket {
        /// Whose.
        kind: Kind,
        /// Its name; a container's with Azure.
        name: String,
        /// What comes before the policies' folders.
        prefix: Path,
    },
}

/// Who has a bucket.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Kind {
    /// Amazon S3, or a store that speaks the same.
    S3,
    /// Google Cloud Storage.
    Gcs,
    /// Azure Blob Storage.
    Azure,
}

impl Kind {
    const ALL: [Self; 3] = [Self::S3, Self::Gcs, Self::Azure];

    const fn scheme(self) -> &'static str {
        match self {
            Self::S3 => "s3://",
            Self::Gcs => "gs://",
            Self::Azure => "az://",
        }
    }

    /// The variables of its tools, without the credentials that a pruner has others of.
    const fn variables(self) -> (&'static str, &'static [&'static str]) {
        match self {
            Self::S3 => ("AWS_", &["AWS_ACCESS_KEY_ID", "AWS_SECRET_ACCESS_KEY", "AWS_SESSION_TOKEN"]),
            Self::Gcs => ("GOOGLE_", &["GOOGLE_SERVICE_ACCOUNT_KEY", "GOOGLE_APPLICATION_CREDENTIALS"]),
            Self::Azure => ("AZURE_", &["AZURE_STORAGE_ACCOUNT_KEY", "AZURE_STORAGE_SAS_TOKEN"]),
        }
    }
}

/// A location that is none.
#[derive(Debug, thiserror::Error)]
pub enum LocationError {
    /// Another scheme.
    #[error("write a folder, s3://bucket/prefix, gs://bucket/prefix or az://container/prefix")]
    Scheme,
    /// No bucket.
    #[error("there is no bucket in it")]
    NoBucket,
    /// A prefix that cannot be one.
    #[error("{0}")]
    Prefix(#[from] object_store::path::Error),
}

impl FromStr for Location {
    type Err = LocationError;

    fn from_str(text: &str) -> Result<Self, LocationError> {
        for kind in Kind::ALL {
            let Some(rest) = text.strip_prefix(kind.scheme()) else { continue };
            let (name, prefix) = rest.split_once('/').unwrap_or((rest, ""));
            if name.is_empty() {
                return Err(LocationError::NoBucket);
            }
            let prefix = Path::parse(prefix.trim_matches('/'))?;
            return Ok(Self::Bucket { kind, name: name.to_owned(), prefix });
        }
        if text.contains("://") { Err(LocationError::Scheme) } else { Ok(Self::Folder(text.into())) }
    }
}

/// How a bucket is used, beside what the environment says.
#[derive(Clone, Debug, Default)]
pub struct BucketOptions {
    /// The certificates of the authorities to trust, instead of the public ones.
    pub ca: Option<PathBuf>,
    /// Whether the bucket is in the path of a URL and not in its host name.
    pub path_style: bool,
    /// `AES256` or `aws:kms`.
    pub encryption: Option<String>,
    /// The key of `aws:kms`.
    pub kms_key: Option<String>,
    /// What of each request's content the store is told, to compare: `sha256` or `crc64nvme`.
    pub checksum: Option<String>,
    /// As the store calls it: `STANDARD_IA`, `NEARLINE`, `Cool`.
    pub storage_class: Option<String>,
    /// How old a backup without a manifest gets before it is a leftover.
    pub leftover_age: Duration,
}

/// The environment's variables. Some are secret.
#[derive(Clone, Default)]
pub struct Variables(Vec<(String, String)>);

impl Variables {
    /// Those of this process that are text.
    pub fn of_process() -> Self {
        let text =
            |(name, value): (OsString, OsString)| Some((name.into_string().ok()?, value.into_string().ok()?));
        Self(std::env::vars_os().filter_map(text).collect())
    }
}

impl fmt::Debug for Variables {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Variables({})", self.0.len())
    }
}

impl<const N: usize> From<[(&str, &str); N]> for Variables {
    fn from(variables: [(&str, &str); N]) -> Self {
        Self(variables.map(|(name, value)| (name.to_owned(), value.to_owned())).to_vec())
    }
}

/// Makes the clients of a bucket.
pub fn bucket(
    kind: Kind,
    name: &str,
    prefix: Path,
    options: &BucketOptions,
    variables: &Variables,
) -> Result<Bucket, StoreError> {
    let variables = checked(kind, variables)?;
    let authorities = authorities(options)?;
    let http = plain_client(&authorities)?;
    let (bucket, options) = (name.to_owned(), options.clone());
    let class = options.storage_class.clone().map(|class| (Attribute::StorageClass, class));
    let leftover_age = options.leftover_age;
    let client =
        move |variables, patience| client(kind, &bucket, &options, &authorities, variables, patience);
    let own = own(kind, &variables);
    let patience = Patience::with(0);
    let store = client(own.clone(), patience)?;
    let pruner = match prunes(kind, &variables) {
        Some(variables) => client(variables, patience)?,
        None => Arc::clone(&store),
    };
    Ok(Bucket {
        url: format!("{}{name}", kind.scheme()),
        prefix,
        store,
        patient: Arc::new(move |patience| client(own.clone(), patience)),
        pruner,
        attributes: Attributes::from_iter(class),
        http,
        leftover_age,
    })
}

/// The certificates to trust, each in DER: those of the given bundle, or Mozilla's. What the image has does not matter:
/// many have none, and a backup must not depend on it.
fn authorities(options: &BucketOptions) -> Result<Vec<Vec<u8>>, StoreError> {
    let Some(path) = &options.ca else {
        return Ok(webpki_root_certs::TLS_SERVER_ROOT_CERTS
            .iter()
            .map(|certificate| certificate.to_vec())
            .collect());
    };
    let pem = fs::read(path).map_err(|source| StoreError::Given { path: path.clone(), source })?;
    let certificates: Result<Vec<_>, _> =
        CertificateDer::pem_slice_iter(&pem).map(|found| found.map(|der| der.to_vec())).collect();
    match certificates {
        Ok(certificates) if !certificates.is_empty() => Ok(certificates),
        _ => Err(configuration(format!("{} holds no certificate in PEM", path.display()))),
    }
}

fn configuration(error: impl Into<Box<dyn std::error::Error + Send + Sync>>) -> StoreError {
    StoreError::Configuration(error.into())
}

/// The store's variables as they can be used: without what `echo` leaves at the end of a Secret's value. What still cannot
/// be in a header would end the program in the client's hands.
fn checked(kind: Kind, Variables(all): &Variables) -> Result<Vec<(String, String)>, StoreError> {
    let (prefix, _) = kind.variables();
    let is_ours = |name: &str| name.strip_prefix(PRUNE_PREFIX).unwrap_or(name).starts_with(prefix);
    let ours = all.iter().filter(|(name, _)| is_ours(name));
    // Google's key is JSON, which may have line breaks.
    let is_sound = |value: &str| kind == Kind::Gcs || value.chars().all(|c| matches!(c, ' '..='~'));
    let trimmed = ours.map(|(name, value)| match value.trim() {
        value if is_sound(value) => Ok((name.clone(), value.to_owned())),
        _ => Err(configuration(format!("{name} has a character in it that no such value has"))),
    });
    trimmed.collect()
}

/// Why a client could not be made. Of a key that is not what it should be, nothing is shown: the words of whoever failed to
/// read it hold the key itself.
fn unusable(error: object_store::Error) -> StoreError {
    if error.to_string().contains("Unable to decode service account file") {
        return configuration(
            "the service account's key is not the JSON that Google gives: store it as it was downloaded",
        );
    }
    configuration(error)
}

/// The variables that all but removals use.
fn own(kind: Kind, variables: &[(String, String)]) -> Vec<(String, String)> {
    let (prefix, _) = kind.variables();
    variables.iter().filter(|(name, _)| name.starts_with(prefix)).cloned().collect()
}

/// The variables that removals use, if they have credentials of their own.
fn prunes(kind: Kind, variables: &[(String, String)]) -> Option<Vec<(String, String)>> {
    let (prefix, credentials) = kind.variables();
    let given: Vec<_> = variables
        .iter()
        .filter_map(|(name, value)| Some((name.strip_prefix(PRUNE_PREFIX)?.to_owned(), value.clone())))
        .filter(|(name, _)| name.starts_with(prefix))
        .collect();
    if given.is_empty() {
        return None;
    }
    let mut all = own(kind, variables);
    all.retain(|(name, _)| !credentials.contains(&name.as_str()));
    all.extend(given);
    Some(all)
}

fn client(
    kind: Kind,
    name: &str,
    options: &BucketOptions,
    authorities: &[Vec<u8>],
    variables: Vec<(String, String)>,
    patience: Patience,
) -> Result<Arc<dyn Cloud>, StoreError> {
    // An endpoint stands in a variable of its own or, with Google, in the service account's key.
    let is_plain = |value: &str| value.starts_with("http://") || value.contains("\"http://");
    let plain = variables.iter().any(|(_, value)| is_plain(value));
    let client = client_options(authorities, plain, patience)?;
    let retry = RetryConfig { max_retries: RETRIES, retry_timeout: patience.retry, ..RetryConfig::default() };
    let settings = variables.into_iter().map(|(name, value)| (name.to_ascii_lowercase(), value));
    // Variables that are none of a store's settings belong to other tools.
    let built: object_store::Result<Arc<dyn Cloud>> = match kind {
        Kind::S3 => {
            let builder = settings.fold(AmazonS3Builder::new(), |builder, (name, value)| {
                match name.parse::<AmazonS3ConfigKey>() {
                    Ok(key) => builder.with_config(key, value),
                    Err(_) => builder,
                }
            });
            s3(builder.with_bucket_name(name), options, plain)
                .with_client_options(client)
                .with_retry(retry)
                .build()
                .map(|store| Arc::new(store) as _)
        }
        Kind::Gcs => settings
            .fold(GoogleCloudStorageBuilder::new(), |builder, (name, value)| {
                match name.parse::<GoogleConfigKey>() {
                    Ok(key) => builder.with_config(key, value),
                    Err(_) => builder,
                }
            })
            .with_bucket_name(name)
            .with_client_options(client)
            .with_retry(retry)
            .build()
            .map(|store| Arc::new(store) as _),
        Kind::Azure => settings
            .fold(MicrosoftAzureBuilder::new(), |builder, (name, value)| {
                match name.parse::<AzureConfigKey>() {
                    Ok(key) => builder.with_config(key, value),
                    Err(_) => builder,
                }
            })
            .with_container_name(name)
            .with_client_options(client)
            .with_retry(retry)
            .build()
            .map(|store| Arc::new(store) as _),
    };
    built.map_err(unusable)
}

/// Over TLS nothing changes on the way, and what is stored is read back and compared; so the content is not hashed a
/// second time for the signature. In the clear it is.
fn s3(builder: AmazonS3Builder, options: &BucketOptions, plain: bool) -> AmazonS3Builder {
    let mut builder = builder
        .with_virtual_hosted_style_request(!options.path_style)
        // Not all stores of the kind know requests that remove many.
        .with_disable_bulk_delete(true)
        .with_unsigned_payload(!plain && options.checksum.is_none());
    let given = [
        ("aws_server_side_encryption", &options.encryption),
        ("aws_sse_kms_key_id", &options.kms_key),
        ("aws_checksum_algorithm", &options.checksum),
    ];
    for (name, value) in given {
        if let (Ok(key), Some(value)) = (name.parse(), value) {
            builder = builder.with_config(key, value);
        }
    }
    builder
}

fn client_options(
    authorities: &[Vec<u8>],
    plain: bool,
    patience: Patience,
) -> Result<ClientOptions, StoreError> {
    let agent = concat!("pgbackup/", env!("CARGO_PKG_VERSION"));
    let mut options = ClientOptions::new()
        .with_user_agent(agent.parse().expect("a name and a version should make a header"))
        .with_allow_http(plain)
        .with_connect_timeout(CONNECT_TIMEOUT)
        .with_timeout_disabled()
        .with_read_timeout(patience.read)
        // To choose among a name's addresses it would ask the C library for them: reqwest has a resolver of its own.
        .with_config(ClientConfigKey::RandomizeAddresses, "false")
        .with_no_system_certificates(true);
    for der in authorities {
        options = options.with_root_certificate(Certificate::from_der(der).map_err(configuration)?);
    }
    Ok(options)
}

/// For what the store's client does not do: it trusts the same authorities.
fn plain_client(authorities: &[Vec<u8>]) -> Result<reqwest::Client, StoreError> {
    let certificates: Result<Vec<_>, _> =
        authorities.iter().map(|der| reqwest::Certificate::from_der(der)).collect();
    reqwest::Client::builder()
        .connect_timeout(CONNECT_TIMEOUT)
        .read_timeout(READ_TIMEOUT)
        .tls_certs_only(certificates.map_err(configuration)?)
        .build()
        .map_err(configuration)
}

#[cfg(test)]
mod tests;
