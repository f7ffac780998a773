//! Explains the errors of an object store's client: the reason, a short text and, if possible, a hint.

mod answer;
mod cause;
mod connection;
mod explanation;
mod proxy;
mod tls;
mod url;

use domain::reason::Reason;

use self::{
    answer::Answer,
    cause::{causes, last_cause},
    explanation::Explanation,
    proxy::Proxy,
};
pub use self::{answer::is_locked, cause::without_error_number};
use super::{http::WrongRegion, location::Kind};

/// Parts of the URLs that clients request to get credentials from the platform: Amazon, Google, Azure.
const METADATA: [&str; 4] =
    ["/latest/api/token", "/latest/meta-data/iam/", "/computeMetadata/", "/metadata/identity/oauth2/token"];

/// Explains the error of a request for `object`, a URL such as `s3://bucket/key`.
pub fn explain(error: &object_store::Error, object: &str) -> Explanation {
    let field = Kind::of_url(object).map_or("storage", Kind::field);
    let text = error.to_string();
    let answer = Answer::parse(&text);
    let proxy = url::server(&text).and_then(Proxy::of_url);
    wrong_region(error, &text, &answer, field)
        .or_else(|| no_credentials(error, &text, field))
        .or_else(|| tls::explain(error, url::server(&text), field))
        .or_else(|| connection::explain(error, &text, field, proxy.as_ref()))
        .unwrap_or_else(|| answer.explain(error, &text, proxy.as_ref()))
}

/// Returns whether the object does not exist. A missing bucket does not count.
pub fn is_missing_object(error: &object_store::Error) -> bool {
    matches!(error, object_store::Error::NotFound { .. }) && !answer::is_missing_bucket(&error.to_string())
}

fn wrong_region(
    error: &object_store::Error,
    text: &str,
    answer: &Answer<'_>,
    field: &str,
) -> Option<Explanation> {
    let failed =
        |text: String, hint: String| Explanation { reason: Reason::RegionMismatch, text, hint: Some(hint) };
    let header = causes(error).find_map(|cause| cause.downcast_ref::<WrongRegion>());
    if let Some(WrongRegion { bucket, request }) = header {
        return Some(failed(
            format!("the bucket is in region \"{bucket}\", not in \"{request}\""),
            format!("Set {field}.region to \"{bucket}\"."),
        ));
    }
    if let Some(region) = answer.wanted_region() {
        return Some(failed(
            answer.short(),
            format!("Set {field}.region to \"{region}\", which the store expects."),
        ));
    }
    text.contains("Received redirect without LOCATION").then(|| {
        failed(
            "the store redirects the request without a target address".to_owned(),
            format!("Set {field}.region to the region of the bucket, or correct {field}.endpoint."),
        )
    })
}

fn no_credentials(error: &object_store::Error, text: &str, field: &str) -> Option<Explanation> {
    METADATA.iter().any(|path| text.contains(path)).then(|| Explanation {
        reason: Reason::CredentialsMissing,
        text: format!(
            "no credentials were given for the bucket, and the platform offers none ({}: {})",
            url::server(text).unwrap_or("metadata service"),
            last_cause(error)
        ),
        hint: Some(format!(
            "Set {field}.credentials, or give the pod an identity of the cloud by job.serviceAccountName."
        )),
    })
}
