//! The connection to the API server.

use std::{future::Future, time::Duration};

use http::{HeaderValue, header::USER_AGENT};
use kube::{Client, Config, client::ClientBuilder, core::Status};

use crate::api_metrics::ApiMetrics;

/// No call but a watch takes longer on a server that is alive. kube has no time-out of its own for them.
const CALL_TIMEOUT: Duration = Duration::from_secs(30);

/// Bad request, forbidden (rights, quotas and most admission policies), too large, invalid.
const REFUSALS: [u16; 4] = [400, 403, 413, 422];

/// A call that failed.
#[derive(Debug, thiserror::Error)]
pub enum CallError {
    /// The server refused, or could not be reached.
    #[error(transparent)]
    Kube(#[from] kube::Error),
    /// It did not answer.
    #[error("the API server did not answer within {} s", CALL_TIMEOUT.as_secs())]
    Timeout,
}

/// Connects with the pod's service account, or with the user's kubeconfig. `requests` counts what is asked.
pub async fn client(requests: &ApiMetrics) -> anyhow::Result<Client> {
    let mut config = Config::infer().await?;
    let agent = concat!("pgbackup-operator/", env!("CARGO_PKG_VERSION"));
    config.headers.push((USER_AGENT, HeaderValue::from_static(agent)));
    Ok(ClientBuilder::try_from(config)?.with_layer(requests).build())
}

/// The server's minor version: 37 for 1.37.
pub async fn server_minor(client: &Client) -> anyhow::Result<u32> {
    let version = call(client.apiserver_version()).await?;
    let digits: String = version.minor.chars().take_while(char::is_ascii_digit).collect();
    Ok(digits.parse()?)
}

/// Bounds a call.
pub async fn call<T>(call: impl Future<Output = kube::Result<T>>) -> Result<T, CallError> {
    match tokio::time::timeout(CALL_TIMEOUT, call).await {
        Ok(answer) => Ok(answer?),
        Err(_) => Err(CallError::Timeout),
    }
}

impl CallError {
    /// The object is not there.
    pub fn is_not_found(&self) -> bool {
        matches!(self, Self::Kube(kube::Error::Api(status)) if status.is_not_found())
    }

    /// An object of that name is there already.
    pub fn is_already_exists(&self) -> bool {
        matches!(self, Self::Kube(kube::Error::Api(status)) if status.is_already_exists())
    }

    /// Why the server will not have what it was given, in its words: it understood, and the same would be refused again
    /// until somebody changes something. `None` for what may pass by itself.
    pub fn refusal(&self) -> Option<String> {
        let Self::Kube(kube::Error::Api(status)) = self else { return None };
        let is_refusal = REFUSALS.contains(&status.code) && !is_of_another_uid(status);
        is_refusal.then(|| status.message.clone())
    }

    /// Somebody else wrote in between.
    pub fn is_conflict(&self) -> bool {
        matches!(self, Self::Kube(kube::Error::Api(status)) if status.is_conflict())
    }
}

/// What was to be patched was deleted and made anew in between: the watch will show it.
fn is_of_another_uid(status: &Status) -> bool {
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
    fn what_the_server_will_never_take_is_a_refusal_and_what_may_pass_is_not() {
        for code in REFUSALS {
            assert_eq!(answer(code).refusal().as_deref(), Some("exceeded quota: jobs"), "{code}");
        }
        for code in [401, 404, 408, 409, 410, 429, 500, 503, 504] {
            assert_eq!(answer(code).refusal(), None, "{code}");
        }
        assert_eq!(CallError::Timeout.refusal(), None);
    }

    #[test]
    fn an_object_that_was_made_anew_is_no_refusal() {
        let status = json!({"code": 422, "details": {"causes": [{"field": "metadata.uid"}]}});
        let status: Status = serde_json::from_value(status).unwrap();
        assert_eq!(CallError::Kube(kube::Error::Api(status.boxed())).refusal(), None);
    }
}
