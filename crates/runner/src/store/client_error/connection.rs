//! Explains connections to an object store that cannot be established or that break.

use domain::reason::Reason;
use object_store::client::{HttpError, HttpErrorKind};

use super::{
    cause::{causes, last_cause},
    explanation::Explanation,
    proxy::Proxy,
    url::{host, server},
};

/// The texts of reqwest's errors: a failed DNS lookup, and a failure at an HTTP proxy ([`TUNNEL`]).
const DNS: &str = "dns error";
const TUNNEL: &str = "tunnel error: ";

/// Explains an error of a connection; `None` if the store responded.
pub fn explain(
    error: &object_store::Error,
    text: &str,
    field: &str,
    proxy: Option<&Proxy>,
) -> Option<Explanation> {
    let kind = kind(error)?;
    let server = server(text).unwrap_or("the store");
    let cause = last_cause(error);
    let unreachable =
        |text: String, hint: Option<String>| Explanation { reason: Reason::StoreUnreachable, text, hint };
    let refused = |text: String, proxy: &Proxy| Explanation {
        reason: Reason::ProxyFailed,
        text,
        hint: Some(proxy.hint()),
    };
    let tunnel =
        causes(error).map(ToString::to_string).find_map(|text| text.strip_prefix(TUNNEL).map(str::to_owned));
    let is_dns = causes(error).any(|cause| cause.to_string() == DNS);
    if let (Some(tunnel), Some(proxy)) = (&tunnel, proxy) {
        let text = match tunnel.as_str() {
            "unsuccessful" => format!("the proxy {proxy} refused to connect to {server}"),
            "proxy authorization required" => {
                format!("the proxy {proxy} requires a user name and a password")
            }
            _ if is_dns => format!("cannot resolve the name of the proxy {proxy}: {}", dns_cause(&cause)),
            "failed to create underlying connection" => {
                format!("cannot connect to the proxy {proxy}: {cause}")
            }
            other => format!("the proxy {proxy} does not connect to {server}: {other}"),
        };
        return Some(refused(text, proxy));
    }
    if let Some(proxy) = proxy {
        let text = format!("cannot reach {server} through the proxy {proxy}: {cause}");
        return Some(refused(text, proxy));
    }
    if is_dns {
        let host = host(server);
        let hint = format!(
            "Check {field}.endpoint and the cluster's DNS. The name of a Service in another namespace is <service>.<namespace>.svc."
        );
        return Some(unreachable(
            format!("cannot resolve the name \"{host}\": {}", dns_cause(&cause)),
            Some(hint),
        ));
    }
    let text = match kind {
        HttpErrorKind::Connect => format!("cannot connect to {server}: {cause}"),
        HttpErrorKind::Timeout => format!("{server} does not answer: {cause}"),
        _ => format!("the connection to {server} was interrupted: {cause}"),
    };
    Some(unreachable(text, None))
}

fn kind(error: &object_store::Error) -> Option<HttpErrorKind> {
    use HttpErrorKind as Kind;
    causes(error)
        .filter_map(|cause| cause.downcast_ref::<HttpError>())
        .map(HttpError::kind)
        .find(|kind| matches!(kind, Kind::Connect | Kind::Request | Kind::Timeout | Kind::Interrupted))
}

/// Returns a DNS resolver's error without its query, which is printed as a Rust structure.
fn dns_cause(cause: &str) -> &str {
    if cause.starts_with("no records found") {
        "the name does not exist or has no address"
    } else {
        cause.strip_prefix("error response: ").unwrap_or(cause)
    }
}

#[cfg(test)]
mod tests {
    use object_store::{
        ClientConfigKey, ClientOptions,
        client::{HttpConnector as _, HttpRequest, HttpRequestBody, ReqwestConnector},
    };

    use super::*;
    use crate::store::tests::wire::{Answer, Wire};

    /// The error of a request without retries. It has the text that object_store adds before the cause.
    #[derive(Debug, thiserror::Error)]
    #[error("Error performing GET {url}/backups in 1ms - {source}")]
    struct RequestError {
        url: String,
        source: HttpError,
    }

    async fn explained(options: ClientOptions, url: &str, proxy: Option<&Proxy>) -> Explanation {
        let _ = rustls::crypto::ring::default_provider().install_default();
        let client = ReqwestConnector::default().connect(&options).unwrap();
        let mut request = HttpRequest::new(HttpRequestBody::empty());
        *request.uri_mut() = format!("{url}/backups").parse().unwrap();
        let source = client.execute(request).await.unwrap_err();
        let source = Box::new(RequestError { url: url.to_owned(), source });
        let error = object_store::Error::Generic { store: "S3", source };
        explain(&error, &error.to_string(), "storage.s3", proxy).unwrap()
    }

    #[tokio::test]
    async fn error_shows_the_store_host_that_does_not_resolve() {
        let options = ClientOptions::new()
            .with_allow_http(true)
            .with_config(ClientConfigKey::RandomizeAddresses, "false");
        let explained = explained(options, "http://minio.invalid:9000", None).await;
        assert_eq!(explained.reason, Reason::StoreUnreachable);
        assert!(explained.text.starts_with("cannot resolve the name \"minio.invalid\": "), "{explained:?}");
        assert!(!explained.text.contains("Query"), "{explained:?}");
        let hint = explained.hint.unwrap();
        assert!(hint.starts_with("Check storage.s3.endpoint") && hint.contains(".svc"), "{hint}");
    }

    #[tokio::test]
    async fn error_shows_the_proxy_that_rejected_the_connection() {
        for (status, wanted) in [
            ("403 Forbidden", "refused to connect to https://s3.invalid"),
            ("407 Proxy Authentication Required", "requires a user name and a password"),
        ] {
            let wire = Wire::start(move |_| Answer::Is(status, vec![], String::new()));
            let proxy = Proxy::at(&wire.url());
            let options = ClientOptions::new().with_proxy_url(wire.url());
            let explained = explained(options, "https://s3.invalid", Some(&proxy)).await;
            assert_eq!(explained.reason, Reason::ProxyFailed);
            assert_eq!(explained.text, format!("the proxy {} (HTTPS_PROXY) {wanted}", wire.url()));
            assert!(explained.hint.unwrap().starts_with("Check HTTPS_PROXY in the pod's environment"));
        }
    }

    #[tokio::test]
    async fn error_shows_the_proxy_that_is_unreachable() {
        let url = format!("http://{}", crate::store::tests::server::free_address());
        let proxy = Proxy::at(&url);
        let options = ClientOptions::new().with_proxy_url(url.clone());
        let explained = explained(options, "https://s3.invalid", Some(&proxy)).await;
        let wanted = format!("cannot connect to the proxy {url} (HTTPS_PROXY): Connection refused");
        assert_eq!((explained.reason, explained.text), (Reason::ProxyFailed, wanted));
    }
}
