//! Who may see what: the API server decides. A bearer token is shown to it (TokenReview), and what its owner may `get` is
//! asked of it (SubjectAccessReview), so there is one place where rights are given.

use std::{
    collections::HashMap,
    sync::{Mutex, MutexGuard, PoisonError},
    time::{Duration, Instant},
};

use api::BackupPolicy;
use axum::http::{HeaderMap, StatusCode, header::AUTHORIZATION};
use clap::ValueEnum;
use k8s_openapi::api::{
    authentication::v1::{TokenReview, TokenReviewSpec, UserInfo},
    authorization::v1::{
        NonResourceAttributes, ResourceAttributes, SubjectAccessReview, SubjectAccessReviewSpec,
    },
};
use kube::{Api, Client, Resource as _, api::PostParams};
use tokio::sync::Semaphore;

use crate::client::call;

/// How long an answer of the API server is good: a right that was taken away is gone after this. Longer than the page takes
/// to load itself anew, or nothing would ever be remembered for it.
const REMEMBERED: Duration = Duration::from_secs(90);

/// How many questions to the API server are under way at a time, of all callers.
pub const AT_ONCE: usize = 16;

/// Answers that are remembered at most; more callers than that are asked for again.
const MOST: usize = 10_000;

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

/// A caller who is known.
#[derive(Clone, Debug)]
pub struct Caller(Option<Known>);

#[derive(Clone, Debug)]
struct Known {
    user: UserInfo,
    /// The digest of the token: what is remembered holds no token.
    key: String,
}

/// Asks the API server, and remembers for a while.
pub struct Gate {
    client: Client,
    auth: OpsAuth,
    callers: Mutex<HashMap<String, (Instant, UserInfo)>>,
    rights: Mutex<HashMap<(String, Target), (Instant, bool)>>,
    /// Callers wait here, all of them together: nobody makes the operator flood the API server.
    questions: Semaphore,
}

impl Gate {
    /// A gate.
    pub fn new(client: Client, auth: OpsAuth) -> Self {
        Self {
            client,
            auth,
            callers: Mutex::default(),
            rights: Mutex::default(),
            questions: Semaphore::new(AT_ONCE),
        }
    }

    /// Who calls. 401: nobody that the cluster knows; 503: the API server cannot say.
    pub async fn caller(&self, headers: &HeaderMap) -> Result<Caller, StatusCode> {
        if self.auth == OpsAuth::None {
            return Ok(Caller(None));
        }
        let header = headers.get(AUTHORIZATION).and_then(|value| value.to_str().ok());
        let token = header.and_then(|value| value.strip_prefix("Bearer ")).ok_or(StatusCode::UNAUTHORIZED)?;
        let key = domain::hash::sha256(token);
        if let Some(user) = remembered(&self.callers, &key) {
            return Ok(Caller(Some(Known { user, key })));
        }
        let review = TokenReview {
            spec: TokenReviewSpec { token: token.to_owned(), audiences: None },
            ..TokenReview::default()
        };
        let reviews: Api<TokenReview> = Api::all(self.client.clone());
        let answer = self.ask(reviews.create(&PostParams::default(), &review)).await?;
        let status = answer.status.filter(|status| status.authenticated == Some(true));
        let user = status.and_then(|status| status.user).ok_or(StatusCode::UNAUTHORIZED)?;
        remember(&self.callers, key.clone(), user.clone());
        Ok(Caller(Some(Known { user, key })))
    }

    /// Whether the caller may see it.
    pub async fn may(&self, caller: &Caller, target: Target) -> Result<bool, StatusCode> {
        let Some(Known { user, key }) = &caller.0 else { return Ok(true) };
        let question = (key.clone(), target.clone());
        if let Some(may) = remembered(&self.rights, &question) {
            return Ok(may);
        }
        let UserInfo { username, groups, uid, extra } = user.clone();
        let (resource_attributes, non_resource_attributes) = attributes(target);
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
        let answer = self.ask(reviews.create(&PostParams::default(), &review)).await?;
        let may = answer.status.is_some_and(|status| status.allowed);
        remember(&self.rights, question, may);
        Ok(may)
    }

    async fn ask<T>(&self, question: impl Future<Output = kube::Result<T>>) -> Result<T, StatusCode> {
        let _turn = self.questions.acquire().await.map_err(|_| StatusCode::SERVICE_UNAVAILABLE)?;
        call(question).await.map_err(unavailable)
    }
}

fn attributes(target: Target) -> (Option<ResourceAttributes>, Option<NonResourceAttributes>) {
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
        Target::Namespace(namespace) => policies("get", Some(namespace), None),
        Target::Policy(namespace, name) => policies("get", Some(namespace), Some(name)),
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

fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

type Answers<K, V> = Mutex<HashMap<K, (Instant, V)>>;

fn remembered<K: std::hash::Hash + Eq, V: Clone>(answers: &Answers<K, V>, key: &K) -> Option<V> {
    let answers = lock(answers);
    let (at, value) = answers.get(key)?;
    (at.elapsed() < REMEMBERED).then(|| value.clone())
}

fn remember<K: std::hash::Hash + Eq, V>(answers: &Answers<K, V>, key: K, value: V) {
    let mut answers = lock(answers);
    answers.retain(|_, (at, _)| at.elapsed() < REMEMBERED);
    if answers.len() < MOST {
        answers.insert(key, (Instant::now(), value));
    }
}
