//! Who may see what: the API server decides. A bearer token is shown to it (TokenReview), and what its owner may `get` is
//! asked of it (SubjectAccessReview), so there is one place where rights are given.

use std::{sync::Arc, time::Duration};

use api::BackupPolicy;
use axum::http::{HeaderMap, StatusCode, header::AUTHORIZATION};
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

/// How long an answer of the API server is good: a right that was taken away is gone after this. Longer than the page takes
/// to load itself anew, or nothing would ever be remembered for it.
const REMEMBERED: Duration = Duration::from_secs(90);

/// How long a token that the cluster does not know need not be shown to it again: one that is new is known by then.
const REFUSED: Duration = Duration::from_secs(10);

/// How many questions of rights to the API server are under way at a time, of all callers.
pub const AT_ONCE: usize = 16;

/// The same for tokens. They wait apart and are fewer: anybody can send tokens, and nonsense must not keep those waiting who
/// are known already.
const TOKENS_AT_ONCE: usize = 4;

/// How long a token waits for its turn.
const TURN: Duration = Duration::from_secs(5);

/// Callers that are remembered at most; the one that came first is asked for again.
const MOST_CALLERS: usize = 50;

/// Tokens that are remembered as refused at most.
const MOST_REFUSED: usize = 1000;

/// Rights that are remembered at most of each caller: who may see nothing of a thousand policies in as many namespaces is asked
/// about two thousand. If all callers have so many, they take some 40 MiB.
const MOST_RIGHTS: usize = 3000;

/// How callers prove who they are.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub enum OpsAuth {
    /// By a bearer token of the cluster.
    Token,
    /// Not at all: for those who put the endpoint behind something else.
    None,
}

/// What a caller wants to see.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub enum Target {
    /// All policies of all namespaces.
    All,
    /// All policies of one.
    Namespace(String),
    /// One policy.
    Policy(String, String),
    /// The metrics, which have all policies in them.
    Metrics,
}

/// A caller who is known; `None` where nobody is asked who they are.
#[derive(Clone)]
pub struct Caller(Option<Arc<Known>>);

struct Known {
    user: UserInfo,
    rights: TtlCache<Arc<Target>, bool>,
}

/// Asks the API server, and remembers for a while. What is remembered holds no token, but its digest.
pub struct Gate {
    client: Client,
    auth: OpsAuth,
    callers: TtlCache<String, Arc<Known>>,
    refused: TtlCache<String, ()>,
    /// Callers wait here, all of them together: nobody makes the operator flood the API server.
    tokens: Semaphore,
    questions: Semaphore,
    turn: Duration,
}

impl Gate {
    /// A gate.
    pub fn new(client: Client, auth: OpsAuth) -> Self {
        Self {
            client,
            auth,
            callers: TtlCache::new(MOST_CALLERS, REMEMBERED),
            refused: TtlCache::new(MOST_REFUSED, REFUSED),
            tokens: Semaphore::new(TOKENS_AT_ONCE),
            questions: Semaphore::new(AT_ONCE),
            turn: TURN,
        }
    }

    /// Who calls. 401: nobody that the cluster knows; 503: the API server cannot say.
    pub async fn caller(&self, headers: &HeaderMap) -> Result<Caller, StatusCode> {
        if self.auth == OpsAuth::None {
            return Ok(Caller(None));
        }
        let token = token(headers).ok_or(StatusCode::UNAUTHORIZED)?;
        let key = domain::hash::sha256(&token);
        if let Some(known) = self.remembered(&key) {
            return known;
        }
        let _turn = self.turn().await?;
        // Who waited with the same token may have been answered.
        if let Some(known) = self.remembered(&key) {
            return known;
        }
        let review =
            TokenReview { spec: TokenReviewSpec { token, audiences: None }, ..TokenReview::default() };
        let reviews: Api<TokenReview> = Api::all(self.client.clone());
        let answer = call(reviews.create(&PostParams::default(), &review)).await.map_err(unavailable)?;
        let status = answer.status.filter(|status| status.authenticated == Some(true));
        let Some(user) = status.and_then(|status| status.user) else {
            self.refused.put(key, ());
            return Err(StatusCode::UNAUTHORIZED);
        };
        let known = Arc::new(Known { user, rights: TtlCache::new(MOST_RIGHTS, REMEMBERED) });
        self.callers.put(key, known.clone());
        Ok(Caller(Some(known)))
    }

    fn remembered(&self, key: &String) -> Option<Result<Caller, StatusCode>> {
        if let Some(known) = self.callers.get(key) {
            return Some(Ok(Caller(Some(known))));
        }
        self.refused.get(key).map(|()| Err(StatusCode::UNAUTHORIZED))
    }

    async fn turn(&self) -> Result<SemaphorePermit<'_>, StatusCode> {
        let turn = tokio::time::timeout(self.turn, self.tokens.acquire()).await;
        turn.ok().and_then(Result::ok).ok_or(StatusCode::SERVICE_UNAVAILABLE)
    }

    /// Whether the caller may see it.
    pub async fn may(&self, caller: &Caller, target: Target) -> Result<bool, StatusCode> {
        let Some(known) = &caller.0 else { return Ok(true) };
        let target = Arc::new(target);
        if let Some(may) = known.rights.get(&target) {
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
        let _turn = self.questions.acquire().await.map_err(|_| StatusCode::SERVICE_UNAVAILABLE)?;
        let answer = call(reviews.create(&PostParams::default(), &review)).await.map_err(unavailable)?;
        let may = answer.status.is_some_and(|status| status.allowed);
        known.rights.put(target, may);
        Ok(may)
    }
}

/// The token that a request shows: as a bearer, or as the password of any name, since that is what a browser asks for.
fn token(headers: &HeaderMap) -> Option<String> {
    let (scheme, shown) = headers.get(AUTHORIZATION)?.to_str().ok()?.split_once(' ')?;
    let token = match scheme.to_ascii_lowercase().as_str() {
        "bearer" => shown.trim().to_owned(),
        "basic" => {
            let pair = String::from_utf8(BASE64_STANDARD.decode(shown.trim()).ok()?).ok()?;
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
fn unavailable(error: crate::client::CallError) -> StatusCode {
    tracing::warn!("a caller cannot be checked: {error}");
    StatusCode::SERVICE_UNAVAILABLE
}

#[cfg(test)]
mod tests;
