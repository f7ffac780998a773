//! The client of the API server: its configuration, its time limit, and the meaning of errors.

use std::{future::Future, time::Duration};

use api::meta;
use http::{
    HeaderValue,
    header::{ACCEPT, USER_AGENT},
};
use k8s_openapi::apimachinery::pkg::apis::meta::v1::ObjectMeta;
use kube::{
    Client, Config,
    api::{PartialObjectMeta, PatchParams, PostParams},
    client::ClientBuilder,
    core::Status,
};

use crate::api_metrics::ApiMetrics;

/// The time limit of a call. On a healthy server only watches take longer. kube itself has no limit.
const CALL_TIMEOUT: Duration = Duration::from_secs(30);

/// The media type of an object's metadata without spec and status.
const METADATA_AS_JSON: &str = "application/json;as=PartialObjectMetadata;g=meta.k8s.io;v=v1";

/// The status codes of rejections: bad request, forbidden (permissions, quotas, most admission policies), too
/// large, invalid.
const REJECTIONS: [u16; 4] = [400, 403, 413, 422];

#[derive(Debug, thiserror::Error)]
pub enum CallError {
    #[error(transparent)]
    Kube(#[from] kube::Error),
    #[error("the API server did not answer within {} s", CALL_TIMEOUT.as_secs())]
    Timeout,
}

/// Creates a client with the pod's service account, or with the user's kubeconfig. `metrics` counts its
/// requests.
pub async fn client(metrics: &ApiMetrics) -> anyhow::Result<Client> {
    let mut config = Config::infer().await?;
    let agent = concat!("pgbackup-operator/", env!("CARGO_PKG_VERSION"));
    config.headers.push((USER_AGENT, HeaderValue::from_static(agent)));
    Ok(ClientBuilder::try_from(config)?.with_layer(metrics).build())
}

/// Returns the API server's minor version, for example 37 for 1.37.
pub async fn server_minor(client: &Client) -> anyhow::Result<u32> {
    let version = call(client.apiserver_version()).await?;
    let digits: String = version.minor.chars().take_while(char::is_ascii_digit).collect();
    Ok(digits.parse()?)
}

/// Runs a call, and ends it with an error after [`CALL_TIMEOUT`].
pub async fn call<T>(call: impl Future<Output = kube::Result<T>>) -> Result<T, CallError> {
    match tokio::time::timeout(CALL_TIMEOUT, call).await {
        Ok(answer) => Ok(answer?),
        Err(_) => Err(CallError::Timeout),
    }
}

/// Sends a write and returns only the metadata of the written object (Kubernetes API concepts, "alternate
/// representations"). The caller knows the rest, and parsing it would cost more than the write.
pub async fn request_metadata<K>(
    client: &Client,
    operation: &'static str,
    request: Result<http::Request<Vec<u8>>, kube::core::request::Error>,
) -> Result<ObjectMeta, CallError> {
    let mut request = request.map_err(kube::Error::BuildRequest)?;
    // The metrics read the operation from this extension. kube sets it only for requests that it builds
    // itself.
    request.extensions_mut().insert(operation);
    request.headers_mut().insert(ACCEPT, HeaderValue::from_static(METADATA_AS_JSON));
    Ok(call(client.request::<PartialObjectMeta<K>>(request)).await?.metadata)
}

pub fn post_parameters() -> PostParams {
    PostParams { field_manager: Some(meta::FIELD_MANAGER.to_owned()), ..PostParams::default() }
}

pub fn patch_parameters() -> PatchParams {
    PatchParams { field_manager: Some(meta::FIELD_MANAGER.to_owned()), ..PatchParams::default() }
}

impl CallError {
    pub fn is_not_found(&self) -> bool {
        matches!(self, Self::Kube(kube::Error::Api(status)) if status.is_not_found())
    }

    pub fn is_already_exists(&self) -> bool {
        matches!(self, Self::Kube(kube::Error::Api(status)) if status.is_already_exists())
    }

    /// Returns the API server's message if it rejects the object itself: the same object is rejected again
    /// until somebody changes something. Returns `None` for errors that may pass without a change.
    pub fn rejection(&self) -> Option<String> {
        let Self::Kube(kube::Error::Api(status)) = self else { return None };
        let is_rejection = REJECTIONS.contains(&status.code) && !is_uid_mismatch(status);
        is_rejection.then(|| status.message.clone())
    }

    pub fn is_conflict(&self) -> bool {
        matches!(self, Self::Kube(kube::Error::Api(status)) if status.is_conflict())
    }
}

/// Returns whether the object was deleted and created again since it was read. The watch will show the new
/// object.
fn is_uid_mismatch(status: &Status) -> bool {
    let causes = status.details.iter().flat_map(|details| &details.causes);
    causes.into_iter().any(|cause| cause.field == "metadata.uid")
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn answer(code: u16) -> CallError {
        let status = Status { code, message: "exceeded quota: jobs".to_owned(), ..Status::default() };
        CallError::Kube(kube::Error::Api(status.boxed()))
    }

    #[test]
    fn only_permanent_api_errors_count_as_rejections() {
        for code in REJECTIONS {
            assert_eq!(answer(code).rejection().as_deref(), Some("exceeded quota: jobs"), "{code}");
        }
        for code in [401, 404, 408, 409, 410, 429, 500, 503, 504] {
            assert_eq!(answer(code).rejection(), None, "{code}");
        }
        assert_eq!(CallError::Timeout.rejection(), None);
    }

    #[test]
    fn conflict_with_a_recreated_object_is_not_a_rejection() {
        let status = json!({"code": 422, "details": {"causes": [{"field": "metadata.uid"}]}});
        let status: Status = serde_json::from_value(status).unwrap();
        assert_eq!(CallError::Kube(kube::Error::Api(status.boxed())).rejection(), None);
    }
}
