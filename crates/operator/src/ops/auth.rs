//! Authentication and authorization of callers. The API server decides both: a TokenReview gives the owner of a bearer token,
//! and a SubjectAccessReview whether that owner may `get` a policy.

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

/// How long the API server's answers are cached: a revoked permission ends after this. It is longer than the 60 seconds in
/// which a live page refreshes, so that the page benefits from the cache.
const ANSWER_TTL: Duration = Duration::from_secs(90);

/// How long an unknown token is cached. It is short, because the token may have been created just now.
const UNKNOWN_TOKEN_TTL: Duration = Duration::from_secs(10);

/// SubjectAccessReviews at a time, for all callers together.
pub const CONCURRENT_REVIEWS: usize = 16;

/// TokenReviews at a time. They have a limit of their own, so that a flood of invalid tokens does not delay known callers.
const CONCURRENT_TOKEN_REVIEWS: usize = 4;

/// How long a caller waits for a TokenReview to start.
const TOKEN_REVIEW_WAIT: Duration = Duration::from_secs(5);

/// Known callers in the cache.
const CALLERS_MAX: usize = 50;

/// Unknown tokens in the cache.
const UNKNOWN_TOKENS_MAX: usize = 1000;

/// Permissions in the cache, per caller. A caller without permission for any of a thousand policies in a thousand namespaces
/// needs two thousand. At the limit, all callers together take about 40 MiB.
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

/// What a caller wants to get.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub enum Target {
    /// All policies of all namespaces.
    All,
    /// All policies of a namespace.
    Namespace(String),
    /// The policy of this namespace and name.
    Policy(String, String),
    /// The metrics, which cover all policies.
    Metrics,
}

/// An authenticated caller; `None` with [`OpsAuth::None`].
#[derive(Clone)]
pub struct Caller(Option<Arc<Known>>);

struct Known {
    user: UserInfo,
    permissions: TtlCache<Arc<Target>, bool>,
}

/// Asks the API server, and caches its answers. The cache has digests of tokens, never the tokens.
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

    /// The caller that the request's token belongs to.
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
        // Another request with the same token may have been answered meanwhile.
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

    /// Whether the caller may get it.
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

/// The token of the request's only Authorization header.
fn token(headers: &HeaderMap) -> Result<String, AuthError> {
    let mut values = headers.get_all(AUTHORIZATION).iter();
    let value = values.next().ok_or(AuthError::Unauthenticated)?;
    // Two programs may each read another one of two tokens: a proxy in front of the endpoint, and the endpoint.
    if values.next().is_some() {
        return Err(AuthError::SeveralHeaders);
    }
    parse(value).ok_or(AuthError::Unauthenticated)
}

/// A bearer token, or the password of any user name, because browsers send a token that way.
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
