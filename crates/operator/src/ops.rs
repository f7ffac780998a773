//! The ops endpoint: health for the kubelet, metrics, and the policies at a glance for programs and for people.

mod auth;
mod metrics;
pub mod openapi;
mod server;
#[cfg(test)]
mod tests;
mod tls;
mod ttl_cache;

use std::{
    collections::BTreeSet,
    net::SocketAddr,
    sync::{
        Arc,
        atomic::{AtomicBool, Ordering},
    },
};

use anyhow::Context as _;
use api::BackupPolicy;
use axum::{
    Json, Router,
    extract::{Path, RawQuery, State},
    http::{HeaderMap, HeaderName, HeaderValue, StatusCode, header},
    middleware::map_response,
    response::{Html, IntoResponse, Response},
    routing::get,
};
use futures::{FutureExt as _, StreamExt as _, TryStreamExt as _, stream};
use jiff::Timestamp;
use kube::{
    Client, ResourceExt as _,
    runtime::reflector::{ObjectRef, Store},
};
use schemars::JsonSchema;
use serde::Serialize;
use tokio::net::TcpListener;
use tokio_util::sync::CancellationToken;
use view::{
    overview::{Overview, overview},
    page::page,
};

pub use self::{auth::OpsAuth, tls::Files};
use self::{
    auth::{AT_ONCE, Caller, Gate, Target},
    metrics::Scraped,
    server::Limits,
    tls::TlsListener,
};
use crate::{api_metrics::ApiMetrics, reconcile_metrics::ReconcileMetrics};

/// What every answer has: nothing on the page comes from elsewhere, and nothing belongs into a cache or a frame.
const HEADERS: [(HeaderName, HeaderValue); 3] = [
    (
        header::CONTENT_SECURITY_POLICY,
        HeaderValue::from_static(
            "default-src 'none'; style-src 'unsafe-inline'; base-uri 'none'; frame-ancestors 'none'",
        ),
    ),
    (header::X_CONTENT_TYPE_OPTIONS, HeaderValue::from_static("nosniff")),
    (header::CACHE_CONTROL, HeaderValue::from_static("no-store")),
];

/// As long as Kubernetes lets names be.
const LONGEST_NAMESPACE: usize = 63;
const LONGEST_NAME: usize = 253;

/// Whether the operator does what it is there for: it waits to lead, or it leads and has seen everything.
#[derive(Debug, Default)]
pub struct Readiness {
    ready: AtomicBool,
    leads: AtomicBool,
}

impl Readiness {
    /// A replica that waits is ready to take over.
    pub fn waiting_to_lead(&self) {
        self.ready.store(true, Ordering::Relaxed);
    }

    /// It leads, and has not yet listed what there is.
    pub fn syncing(&self) {
        self.ready.store(false, Ordering::Relaxed);
        // Until the process ends: whoever loses the Lease stops.
        self.leads.store(true, Ordering::Relaxed);
    }

    /// It has.
    pub fn synced(&self) {
        self.ready.store(true, Ordering::Relaxed);
    }
}

/// What there is to show.
pub struct Shown {
    /// The policies, which their watch fills in, of the leader as of a replica that waits.
    pub policies: Store<BackupPolicy>,
    /// How reconciles go.
    pub reconciles: ReconcileMetrics,
    /// How requests to the API server go.
    pub requests: ApiMetrics,
    /// Whether the operator does what it is there for.
    pub readiness: Arc<Readiness>,
}

/// What answers are made of.
struct Ops {
    shown: Shown,
    gate: Gate,
}

/// Where and how it is served.
#[derive(Clone, Debug)]
pub struct Endpoint {
    /// Where.
    pub address: SocketAddr,
    /// How callers prove who they are.
    pub auth: OpsAuth,
    /// What makes it HTTPS.
    pub tls: Option<Files>,
}

/// Serves until told to stop.
pub async fn serve(
    Endpoint { address, auth, tls }: Endpoint,
    client: Client,
    shown: Shown,
    stop: CancellationToken,
) -> anyhow::Result<()> {
    let listener = TcpListener::bind(address).await.with_context(|| format!("listen on {address}"))?;
    let router = router(auth, client, shown);
    match tls {
        None => server::serve(listener, router, Limits::default(), stop).await,
        Some(files) => {
            let listener =
                TlsListener::new(listener, files).context("read the ops endpoint's certificate")?;
            server::serve(listener, router, Limits::default(), stop).await;
        }
    }
    Ok(())
}

/// All paths. What they answer is in [`openapi`].
fn router(auth: OpsAuth, client: Client, shown: Shown) -> Router {
    Router::new()
        .route("/healthz", get(|| async { "ok\n" }))
        .route("/readyz", get(ready))
        .route("/openapi.json", get(|| async { Json(openapi::document()) }))
        .route("/metrics", get(scrape))
        .route("/api/v1/policies", get(list))
        .route("/api/v1/policies/{namespace}/{name}", get(one))
        .route("/api/v1/policies/{namespace}/{name}/health", get(health))
        .route("/", get(index_page))
        .layer(map_response(with_headers))
        .with_state(Arc::new(Ops { shown, gate: Gate::new(client, auth) }))
}

async fn with_headers(mut response: Response) -> Response {
    for (name, value) in HEADERS {
        response.headers_mut().insert(name, value);
    }
    response
}

async fn ready(State(ops): State<Arc<Ops>>) -> (StatusCode, &'static str) {
    if ops.shown.readiness.ready.load(Ordering::Relaxed) {
        (StatusCode::OK, "ok\n")
    } else {
        (StatusCode::SERVICE_UNAVAILABLE, "listing policies and their Jobs\n")
    }
}

/// The policies that the caller may see.
#[derive(JsonSchema, Serialize)]
struct Policies {
    /// By namespace and name.
    policies: Vec<Overview>,
}

/// How a policy stands.
#[derive(JsonSchema, Serialize)]
struct Health {
    /// In a word.
    state: view::state::State,
    /// Why, as a word of `docs/reference/reasons.md`.
    reason: String,
    /// The same for a person.
    message: String,
}

/// Why there is no answer.
#[derive(JsonSchema, Serialize)]
struct Problem {
    /// One sentence that says what to do.
    error: &'static str,
}

/// No answer, and why: one sentence that says what to do.
struct Refusal(StatusCode);

impl From<StatusCode> for Refusal {
    fn from(status: StatusCode) -> Self {
        Self(status)
    }
}

impl IntoResponse for Refusal {
    fn into_response(self) -> Response {
        let words = match self.0 {
            StatusCode::UNAUTHORIZED => {
                "show a token of this cluster, for example of `kubectl create token <service account>`: as \"Authorization: Bearer ...\", or in a browser as the password of any name"
            }
            StatusCode::FORBIDDEN => {
                "this needs the right to get backuppolicies.pgbackup.dev there (for /metrics: the non-resource URL)"
            }
            StatusCode::NOT_FOUND => "there is no such policy",
            StatusCode::SERVICE_UNAVAILABLE => {
                "this replica has not listed the policies yet, or cannot ask the API server who you are; ask again in some seconds"
            }
            _ => "something that should never happen; please report it",
        };
        let mut response = (self.0, Json(Problem { error: words })).into_response();
        if self.0 == StatusCode::UNAUTHORIZED {
            response.headers_mut().insert(header::WWW_AUTHENTICATE, HeaderValue::from_static("Bearer"));
        }
        response
    }
}

impl Ops {
    /// The policies are known: the first list of their watch is in, whether this replica leads or waits.
    fn known(&self) -> Result<(), Refusal> {
        match self.shown.policies.wait_until_ready().now_or_never() {
            Some(Ok(())) => Ok(()),
            _ => Err(StatusCode::SERVICE_UNAVAILABLE.into()),
        }
    }

    /// Those that the caller may see.
    async fn visible(&self, headers: &HeaderMap) -> Result<Vec<Overview>, Refusal> {
        let caller = &self.gate.caller(headers).await?;
        self.known()?;
        let (all, now) = (self.shown.policies.state(), Timestamp::now());
        if self.gate.may(caller, Target::All).await? {
            return Ok(all.iter().map(|policy| overview(policy, now)).collect());
        }
        // Once for each namespace, before its policies are asked about one by one.
        let namespaces: BTreeSet<String> = all.iter().filter_map(|policy| policy.namespace()).collect();
        let whole = stream::iter(namespaces).map(async |namespace| {
            let may = self.gate.may(caller, Target::Namespace(namespace.clone())).await?;
            Ok::<_, Refusal>(may.then_some(namespace))
        });
        let whole = whole.buffered(AT_ONCE).try_filter_map(async |namespace| Ok(namespace));
        let whole: BTreeSet<String> = whole.try_collect().await?;
        let seen = stream::iter(all).map(async |policy| {
            let (namespace, name) = (policy.namespace().unwrap_or_default(), policy.name_any());
            let may =
                whole.contains(&namespace) || self.gate.may(caller, Target::Policy(namespace, name)).await?;
            Ok::<_, Refusal>(may.then(|| overview(&policy, now)))
        });
        let seen = seen.buffered(AT_ONCE).try_filter_map(async |seen| Ok(seen));
        seen.try_collect().await
    }

    async fn may_see(&self, caller: &Caller, namespace: &str, name: &str) -> Result<bool, StatusCode> {
        Ok(self.gate.may(caller, Target::Namespace(namespace.to_owned())).await?
            || self.gate.may(caller, Target::Policy(namespace.to_owned(), name.to_owned())).await?)
    }

    /// One policy. Who may not see it is not told whether it is there.
    async fn one(&self, headers: &HeaderMap, namespace: &str, name: &str) -> Result<Overview, Refusal> {
        let caller = self.gate.caller(headers).await?;
        // No policy can be called so, and nobody need be asked or remember it.
        if namespace.len() > LONGEST_NAMESPACE || name.len() > LONGEST_NAME {
            return Err(StatusCode::NOT_FOUND.into());
        }
        if !self.may_see(&caller, namespace, name).await? {
            return Err(StatusCode::FORBIDDEN.into());
        }
        self.known()?;
        let policy = self.shown.policies.get(&ObjectRef::new(name).within(namespace));
        Ok(overview(&*policy.ok_or(StatusCode::NOT_FOUND)?, Timestamp::now()))
    }
}

type Answer<T> = Result<T, Refusal>;

async fn scrape(State(ops): State<Arc<Ops>>, headers: HeaderMap) -> Answer<impl IntoResponse> {
    let caller = ops.gate.caller(&headers).await?;
    if !ops.gate.may(&caller, Target::Metrics).await? {
        return Err(StatusCode::FORBIDDEN.into());
    }
    let Shown { policies, reconciles, requests, readiness } = &ops.shown;
    let (leads, now) = (readiness.leads.load(Ordering::Relaxed), Timestamp::now());
    // A replica that does not lead has no series of policies though it knows them: another one has.
    let known = leads && ops.known().is_ok();
    let policies = known.then(|| policies.state().iter().map(|policy| overview(policy, now)).collect());
    let text = metrics::text(Scraped { policies, leads, reconciles, requests })
        .map_err(|_| StatusCode::INTERNAL_SERVER_ERROR)?;
    Ok(([(header::CONTENT_TYPE, metrics::CONTENT_TYPE)], text))
}

async fn list(State(ops): State<Arc<Ops>>, headers: HeaderMap) -> Answer<impl IntoResponse> {
    let mut policies = ops.visible(&headers).await?;
    policies.sort_by(|a, b| (&a.namespace, &a.name).cmp(&(&b.namespace, &b.name)));
    Ok(Json(Policies { policies }))
}

async fn one(
    State(ops): State<Arc<Ops>>,
    Path((namespace, name)): Path<(String, String)>,
    headers: HeaderMap,
) -> Answer<impl IntoResponse> {
    Ok(Json(ops.one(&headers, &namespace, &name).await?))
}

/// For uptime probes, which look at the status code and nothing else.
async fn health(
    State(ops): State<Arc<Ops>>,
    Path((namespace, name)): Path<(String, String)>,
    headers: HeaderMap,
) -> Answer<impl IntoResponse> {
    let Overview { state, reason, message, .. } = ops.one(&headers, &namespace, &name).await?;
    let status =
        if state != view::state::State::Unhealthy { StatusCode::OK } else { StatusCode::SERVICE_UNAVAILABLE };
    Ok((status, Json(Health { state, reason, message })))
}

async fn index_page(
    State(ops): State<Arc<Ops>>,
    RawQuery(query): RawQuery,
    headers: HeaderMap,
) -> Result<Html<String>, Response> {
    let live = query.as_deref() == Some("live");
    let policies = ops.visible(&headers).await.map_err(for_a_browser)?;
    Ok(Html(page(policies, Timestamp::now(), live)))
}

/// A browser asks for a name and a password only where it is told to.
fn for_a_browser(refusal: Refusal) -> Response {
    let unknown = refusal.0 == StatusCode::UNAUTHORIZED;
    let mut response = refusal.into_response();
    if unknown {
        let basic = HeaderValue::from_static("Basic realm=\"pgbackup\"");
        response.headers_mut().append(header::WWW_AUTHENTICATE, basic);
    }
    response
}
