//! Authentication and authorization of callers. The API server decides both: a TokenReview returns the owner
//! of a bearer token, and a SubjectAccessReview returns whether this owner may `get` a policy.

use std::{sync::Arc, time::Duration};

use api::BackupPolicy;
use axum::http::{
    HeaderMap,
    header::{AUTHORIZATION, HeaderValue},
};
use base64::prelude::{BASE64_STANDARD, Engine as _};
use clap::ValueEnum;
use k8s_openapi::api::{
    authentication::v1::{TokenReview, TokenReviewSpec, UserInfo},
    authorization::v1::{
        NonResourceAttributes, ResourceAttributes, SubjectAccessReview, SubjectAccessReviewSpec,
    },
};
use kube::{Api, Client, Resource as _, api::PostParams};
use tokio::sync::{Semaphore, SemaphorePermit};

use super::ttl_cache::TtlCache;
use crate::client::call;

/// The time for which the API server's responses are cached. A revoked permission remains effective for this
/// long. It is longer than the refresh interval of a live page (60 s), so that the page benefits from the
/// cache.
const ANSWER_TTL: Duration = Duration::from_secs(90);

/// The time for which a token that the API server rejected is cached. It is short, because the token may have
/// been created just now.
const UNKNOWN_TOKEN_TTL: Duration = Duration::from_secs(10);

/// The maximum number of concurrent SubjectAccessReviews, for all callers together.
pub const CONCURRENT_REVIEWS: usize = 16;

/// The maximum number of concurrent TokenReviews. It is separate, so that many invalid tokens do not delay
/// known callers.
const CONCURRENT_TOKEN_REVIEWS: usize = 4;

/// The maximum time that a caller waits for a TokenReview to start.
const TOKEN_REVIEW_WAIT: Duration = Duration::from_secs(5);

/// The maximum number of known callers in the cache.
const CALLERS_MAX: usize = 50;

/// The maximum number of unknown tokens in the cache.
const UNKNOWN_TOKENS_MAX: usize = 1000;

/// The maximum number of cached permissions per caller. A caller without permission for any of a thousand
/// policies in a thousand namespaces needs two thousand. At the limit, all callers together take about 40
/// MiB.
const PERMISSIONS_MAX: usize = 3000;

#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub enum OpsAuth {
    /// A bearer token of the cluster
    Token,
    /// No authentication, for an endpoint behind a proxy that authenticates
    None,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum AuthError {
    #[error("the request has more than one Authorization header. Send exactly one.")]
    SeveralHeaders,
    #[error(
        "the request has no valid token of this cluster. Create one with `kubectl create token <service account>` and send it \
         as `Authorization: Bearer <token>`; in a browser, enter it as the password of any user name."
    )]
    Unauthenticated,
    #[error("the API server cannot be asked for the caller's permissions. Retry in a few seconds.")]
    Unavailable,
}

/// The object that a caller wants to get.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub enum Target {
    /// All policies in all namespaces.
    All,
    /// All policies in one namespace.
    Namespace(String),
    /// One policy, by namespace and name.
    Policy(String, String),
    /// The metrics, which include all policies.
    Metrics,
}

/// An authenticated caller; `None` inside if the endpoint has no authentication ([`OpsAuth::None`]).
#[derive(Clone)]
pub struct Caller(Option<Arc<Known>>);

struct Known {
    user: UserInfo,
    permissions: TtlCache<Arc<Target>, bool>,
}

/// Checks callers by asking the API server, and caches the responses. The cache contains digests of tokens,
/// never the tokens.
pub struct Gate {
    client: Client,
    auth: OpsAuth,
    callers: TtlCache<String, Arc<Known>>,
    unknown_tokens: TtlCache<String, ()>,
    token_reviews: Semaphore,
    reviews: Semaphore,
    token_review_wait: Duration,
}

impl Gate {
    pub fn new(client: Client, auth: OpsAuth) -> Self {
        Self {
            client,
            auth,
            callers: TtlCache::new(CALLERS_MAX, ANSWER_TTL),
            unknown_tokens: TtlCache::new(UNKNOWN_TOKENS_MAX, UNKNOWN_TOKEN_TTL),
            token_reviews: Semaphore::new(CONCURRENT_TOKEN_REVIEWS),
            reviews: Semaphore::new(CONCURRENT_REVIEWS),
            token_review_wait: TOKEN_REVIEW_WAIT,
        }
    }

    /// Returns the caller to whom the request's token belongs.
    pub async fn caller(&self, headers: &HeaderMap) -> Result<Caller, AuthError> {
        if self.auth == OpsAuth::None {
            return Ok(Caller(None));
        }
        let token = token(headers)?;
        let key = domain::hash::sha256(&token);
        if let Some(cached) = self.cached(&key) {
            return cached;
        }
        let _permit = self.token_review().await?;
        // Another request with the same token may have been answered while this one waited.
        if let Some(cached) = self.cached(&key) {
            return cached;
        }
        let review =
            TokenReview { spec: TokenReviewSpec { token, audiences: None }, ..TokenReview::default() };
        let reviews: Api<TokenReview> = Api::all(self.client.clone());
        let answer = call(reviews.create(&PostParams::default(), &review)).await.map_err(unavailable)?;
        let status = answer.status.filter(|status| status.authenticated == Some(true));
        let Some(user) = status.and_then(|status| status.user) else {
            self.unknown_tokens.put(key, ());
            return Err(AuthError::Unauthenticated);
        };
        let known = Arc::new(Known { user, permissions: TtlCache::new(PERMISSIONS_MAX, ANSWER_TTL) });
        self.callers.put(key, known.clone());
        Ok(Caller(Some(known)))
    }

    fn cached(&self, key: &String) -> Option<Result<Caller, AuthError>> {
        if let Some(known) = self.callers.get(key) {
            return Some(Ok(Caller(Some(known))));
        }
        self.unknown_tokens.get(key).map(|()| Err(AuthError::Unauthenticated))
    }

    async fn token_review(&self) -> Result<SemaphorePermit<'_>, AuthError> {
        let permit = tokio::time::timeout(self.token_review_wait, self.token_reviews.acquire()).await;
        permit.ok().and_then(Result::ok).ok_or(AuthError::Unavailable)
    }

    /// Returns whether the caller has permission to get `target`.
    pub async fn may(&self, caller: &Caller, target: Target) -> Result<bool, AuthError> {
        let Some(known) = &caller.0 else { return Ok(true) };
        let target = Arc::new(target);
        if let Some(may) = known.permissions.get(&target) {
            return Ok(may);
        }
        let UserInfo { username, groups, uid, extra } = known.user.clone();
        let (resource_attributes, non_resource_attributes) = attributes(&target);
        let review = SubjectAccessReview {
            spec: SubjectAccessReviewSpec {
                user: username,
                groups,
                uid,
                extra,
                resource_attributes,
                non_resource_attributes,
            },
            ..SubjectAccessReview::default()
        };
        let reviews: Api<SubjectAccessReview> = Api::all(self.client.clone());
        let _permit = self.reviews.acquire().await.map_err(|_| AuthError::Unavailable)?;
        let answer = call(reviews.create(&PostParams::default(), &review)).await.map_err(unavailable)?;
        let may = answer.status.is_some_and(|status| status.allowed);
        known.permissions.put(target, may);
        Ok(may)
    }
}

/// Returns the token in the request's only Authorization header.
fn token(headers: &HeaderMap) -> Result<String, AuthError> {
    let mut values = headers.get_all(AUTHORIZATION).iter();
    let value = values.next().ok_or(AuthError::Unauthenticated)?;
    // Two headers are rejected, because a proxy in front of the endpoint could check one token and the
    // endpoint the other.
    if values.next().is_some() {
        return Err(AuthError::SeveralHeaders);
    }
    parse(value).ok_or(AuthError::Unauthenticated)
}

/// Returns a bearer token, or the password for any user name, because browsers can send a token only as a
/// password.
fn parse(value: &HeaderValue) -> Option<String> {
    let (scheme, credentials) = value.to_str().ok()?.split_once(' ')?;
    let token = match scheme.to_ascii_lowercase().as_str() {
        "bearer" => credentials.trim().to_owned(),
        "basic" => {
            let pair = String::from_utf8(BASE64_STANDARD.decode(credentials.trim()).ok()?).ok()?;
            pair.split_once(':')?.1.trim().to_owned()
        }
        _ => return None,
    };
    (!token.is_empty()).then_some(token)
}

fn attributes(target: &Target) -> (Option<ResourceAttributes>, Option<NonResourceAttributes>) {
    let policies = |verb: &str, namespace: Option<String>, name: Option<String>| {
        let attributes = ResourceAttributes {
            group: Some(BackupPolicy::group(&()).into_owned()),
            resource: Some(BackupPolicy::plural(&()).into_owned()),
            verb: Some(verb.to_owned()),
            namespace,
            name,
            ..ResourceAttributes::default()
        };
        (Some(attributes), None)
    };
    match target {
        Target::All => policies("get", None, None),
        Target::Namespace(namespace) => policies("get", Some(namespace.clone()), None),
        Target::Policy(namespace, name) => policies("get", Some(namespace.clone()), Some(name.clone())),
        Target::Metrics => {
            let path =
                NonResourceAttributes { path: Some("/metrics".to_owned()), verb: Some("get".to_owned()) };
            (None, Some(path))
        }
    }
}

#[expect(clippy::needless_pass_by_value, reason = "the shape that map_err has")]
fn unavailable(error: crate::client::CallError) -> AuthError {
    tracing::warn!("the permissions of a caller of the ops endpoint cannot be checked: {error}");
    AuthError::Unavailable
}

#[cfg(test)]
mod tests;
