//! The connection to the API server.

use std::{future::Future, time::Duration};

use http::{HeaderValue, header::USER_AGENT};
use kube::{Client, Config};

/// No call but a watch takes longer on a server that is alive. kube has no time-out of its own for them.
const CALL_TIMEOUT: Duration = Duration::from_secs(30);

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

/// Connects with the pod's service account, or with the user's kubeconfig.
pub async fn client() -> anyhow::Result<Client> {
    let mut config = Config::infer().await?;
    let agent = concat!("pgbackup-operator/", env!("CARGO_PKG_VERSION"));
    config.headers.push((USER_AGENT, HeaderValue::from_static(agent)));
    Ok(Client::try_from(config)?)
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

    /// Somebody else wrote in between.
    pub fn is_conflict(&self) -> bool {
        matches!(self, Self::Kube(kube::Error::Api(status)) if status.is_conflict())
    }
}
