//! The bodies of the API's responses, including errors.

use axum::{
    Json,
    http::{HeaderValue, StatusCode, header},
    response::{IntoResponse, Response},
};
use schemars::JsonSchema;
use serde::Serialize;
use view::{overview::Overview, state::State};

use super::auth::AuthError;

/// The policies that the caller has permission to get.
#[derive(JsonSchema, Serialize)]
pub struct Policies {
    /// The policies, sorted by namespace and name.
    pub policies: Vec<Overview>,
}

/// The state of a policy.
#[derive(JsonSchema, Serialize)]
pub struct Health {
    /// The policy's state.
    pub state: State,
    /// Why the policy is in this state: a reason from docs/reference/reasons.md.
    pub reason: String,
    /// The reason in a sentence.
    pub message: String,
}

/// Why the request failed.
#[derive(JsonSchema, Serialize)]
pub struct Problem {
    /// The error, and what to do about it.
    pub error: String,
}

/// The reason why a request fails.
#[derive(Debug, thiserror::Error)]
pub enum Refusal {
    #[error(transparent)]
    Auth(#[from] AuthError),
    #[error(
        "no permission to get this policy. Ask for a role that allows get on backuppolicies.pgbackup.dev in its namespace."
    )]
    PolicyForbidden,
    #[error(
        "no permission to get /metrics. Ask for a role that allows get on the non-resource URL /metrics: the chart's role \
         <release>-metrics does."
    )]
    MetricsForbidden,
    #[error("the policy does not exist")]
    NoSuchPolicy,
    #[error("this replica has not listed the policies yet. Retry in a few seconds.")]
    NotListed,
    #[error("the metrics cannot be encoded. Please report this.")]
    Encoding(#[from] std::fmt::Error),
}

impl Refusal {
    const fn status(&self) -> StatusCode {
        match self {
            Self::Auth(AuthError::SeveralHeaders) => StatusCode::BAD_REQUEST,
            Self::Auth(AuthError::Unauthenticated) => StatusCode::UNAUTHORIZED,
            Self::PolicyForbidden | Self::MetricsForbidden => StatusCode::FORBIDDEN,
            Self::NoSuchPolicy => StatusCode::NOT_FOUND,
            Self::Auth(AuthError::Unavailable) | Self::NotListed => StatusCode::SERVICE_UNAVAILABLE,
            Self::Encoding(_) => StatusCode::INTERNAL_SERVER_ERROR,
        }
    }

    /// Converts to a response for a browser. If authentication is missing, a Basic challenge makes the
    /// browser show a dialog for user name and password.
    pub fn for_browser(self) -> Response {
        let status = self.status();
        let mut response = self.into_response();
        if status == StatusCode::UNAUTHORIZED {
            let basic = HeaderValue::from_static("Basic realm=\"pgbackup\"");
            response.headers_mut().append(header::WWW_AUTHENTICATE, basic);
        }
        response
    }
}

impl IntoResponse for Refusal {
    fn into_response(self) -> Response {
        let status = self.status();
        let mut response = (status, Json(Problem { error: self.to_string() })).into_response();
        if status == StatusCode::UNAUTHORIZED {
            response.headers_mut().insert(header::WWW_AUTHENTICATE, HeaderValue::from_static("Bearer"));
        }
        response
    }
}
