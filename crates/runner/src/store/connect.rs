//! Creates the clients of a bucket. Credentials, region and endpoint come from the same environment variables
//! that the clouds' own tools use.

use std::sync::Arc;

use domain::invocation::{BucketOptions, S3Checksum, S3Encryption};
use object_store::{
    Attribute, Attributes, Certificate, ClientConfigKey, ClientOptions, RetryConfig,
    aws::{AmazonS3Builder, AmazonS3ConfigKey},
    azure::{AzureConfigKey, MicrosoftAzureBuilder},
    gcp::{GoogleCloudStorageBuilder, GoogleConfigKey},
    path::Path,
};

use super::{
    bucket_client::{BucketClient, Cloud},
    certificates::authorities,
    credentials::{self, Pairs},
    error::StoreError,
    http::Connector,
    location::Kind,
    target::Variables,
    timeouts::{CONNECT_TIMEOUT, READ_TIMEOUT, RETRIES, RequestTimeouts},
};

/// Creates the clients of the bucket `name`. Sends no request.
pub fn connect(
    kind: Kind,
    name: &str,
    prefix: Path,
    options: &BucketOptions,
    variables: &Variables,
) -> Result<BucketClient, StoreError> {
    let variables = credentials::checked(kind, variables)?;
    check_endpoints(kind, &variables)?;
    let authorities = authorities(options.ca.as_deref())?;
    let http = plain_client(&authorities)?;
    let (bucket, options) = (name.to_owned(), options.clone());
    let class = options.storage_class.clone().map(|class| (Attribute::StorageClass, class));
    let leftover_age = options.leftover_age;
    let make = move |variables, timeouts| client(kind, &bucket, &options, &authorities, variables, timeouts);
    let own = credentials::own(kind, &variables);
    let timeouts = RequestTimeouts::for_part(0);
    let store = make(own.clone(), timeouts)?;
    let pruner = match credentials::for_removals(kind, &variables) {
        Some(variables) => make(variables, timeouts)?,
        None => Arc::clone(&store),
    };
    Ok(BucketClient {
        url: format!("{}{name}", kind.scheme()),
        prefix,
        store,
        make_client: Arc::new(move |timeouts| make(own.clone(), timeouts)),
        pruner,
        attributes: Attributes::from_iter(class),
        http,
        leftover_age,
    })
}

fn configuration(error: impl Into<Box<dyn std::error::Error + Send + Sync>>) -> StoreError {
    StoreError::Configuration(error.into())
}

/// Returns an error for an endpoint that is not a URL. Without this check the first request would panic.
fn check_endpoints(kind: Kind, variables: &Pairs) -> Result<(), StoreError> {
    for (name, value) in variables {
        let key = name.to_ascii_lowercase();
        let is_endpoint = match kind {
            Kind::S3 => matches!(key.parse(), Ok(AmazonS3ConfigKey::Endpoint)),
            Kind::Azure => matches!(key.parse(), Ok(AzureConfigKey::Endpoint)),
            Kind::Gcs => matches!(key.parse(), Ok(GoogleConfigKey::BaseUrl)),
        };
        if !is_endpoint {
            continue;
        }
        let problem = match reqwest::Url::parse(value) {
            Ok(url) if !matches!(url.scheme(), "http" | "https") => {
                "it does not begin with http:// or https://".to_owned()
            }
            Ok(_) => continue,
            Err(error) => error.to_string(),
        };
        return Err(configuration(format!("the endpoint \"{value}\" is not a URL: {problem}")));
    }
    Ok(())
}

/// Converts the error of a client that could not be created. The error of a service account's key is
/// replaced, because it contains the key.
fn unusable(error: object_store::Error) -> StoreError {
    if error.to_string().contains("Unable to decode service account file") {
        return configuration("the service account key is not a JSON file that Google Cloud created");
    }
    configuration(error)
}

fn client(
    kind: Kind,
    name: &str,
    options: &BucketOptions,
    authorities: &[Vec<u8>],
    variables: Pairs,
    timeouts: RequestTimeouts,
) -> Result<Arc<dyn Cloud>, StoreError> {
    // The endpoint is in a variable of its own or, for Google, in the service account's key.
    let is_plain = |value: &str| value.starts_with("http://") || value.contains("\"http://");
    let plain = variables.iter().any(|(_, value)| is_plain(value));
    let client = client_options(authorities, plain, timeouts)?;
    let retry = RetryConfig { max_retries: RETRIES, retry_timeout: timeouts.retry, ..RetryConfig::default() };
    let settings = variables.into_iter().map(|(name, value)| (name.to_ascii_lowercase(), value));
    // A variable that is not a setting of the store belongs to another tool and is ignored.
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
                .with_http_connector(Connector)
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
            .with_http_connector(Connector)
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
            .with_http_connector(Connector)
            .build()
            .map(|store| Arc::new(store) as _),
    };
    built.map_err(unusable)
}

/// Adds the options of S3. With TLS the content is not hashed again for the signature: TLS protects it in
/// transit, and it is read back and compared. Over plain HTTP the content is signed.
fn s3(builder: AmazonS3Builder, options: &BucketOptions, plain: bool) -> AmazonS3Builder {
    let mut builder = builder
        .with_virtual_hosted_style_request(!options.path_style)
        // Not all S3-compatible stores support requests that remove many objects.
        .with_disable_bulk_delete(true)
        .with_unsigned_payload(!plain && options.checksum.is_none());
    let given = [
        ("aws_server_side_encryption", options.encryption.map(S3Encryption::as_str)),
        ("aws_sse_kms_key_id", options.kms_key.as_deref()),
        ("aws_checksum_algorithm", options.checksum.map(S3Checksum::as_str)),
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
    timeouts: RequestTimeouts,
) -> Result<ClientOptions, StoreError> {
    let agent = concat!("pgbackup/", env!("CARGO_PKG_VERSION"));
    let mut options = ClientOptions::new()
        .with_user_agent(agent.parse().expect("a name and a version should make a header"))
        .with_allow_http(plain)
        .with_connect_timeout(CONNECT_TIMEOUT)
        .with_timeout_disabled()
        .with_read_timeout(timeouts.read)
        // With random addresses, object_store would resolve names with the C library. reqwest has its own
        // resolver.
        .with_config(ClientConfigKey::RandomizeAddresses, "false")
        .with_no_system_certificates(true);
    for der in authorities {
        options = options.with_root_certificate(Certificate::from_der(der).map_err(configuration)?);
    }
    Ok(options)
}

/// Creates the client for requests that object_store does not support.
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
