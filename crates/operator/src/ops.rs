//! The ops endpoint: probes for the kubelet, metrics, and the policies as an API and as a page.

mod access;
mod answers;
mod auth;
mod metrics;
pub mod openapi;
mod readiness;
mod server;
#[cfg(test)]
mod tests;
mod tls;
mod ttl_cache;

use std::{net::SocketAddr, sync::Arc};

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
use jiff::Timestamp;
use kube::{Client, runtime::reflector::Store};
use tokio::net::TcpListener;
use tokio_util::sync::CancellationToken;
use view::{overview::Overview, page::page, state};

use self::{
    access::Access,
    answers::{Health, Policies, Refusal},
    auth::Gate,
    metrics::Scraped,
    server::Limits,
    tls::TlsListener,
};
pub use self::{auth::OpsAuth, readiness::Readiness, tls::Files};
use crate::{api_metrics::ApiMetrics, reconcile_metrics::ReconcileMetrics};

/// The headers of every response. They forbid the page to load anything from elsewhere, and forbid caching
/// and framing.
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

/// The data that the endpoint serves.
pub struct Sources {
    /// All policies. A watch fills this store on every replica, whether it leads or not.
    pub policies: Store<BackupPolicy>,
    pub reconcile_metrics: ReconcileMetrics,
    pub api_metrics: ApiMetrics,
    pub readiness: Arc<Readiness>,
}

struct Ops {
    access: Access,
    reconcile_metrics: ReconcileMetrics,
    api_metrics: ApiMetrics,
    readiness: Arc<Readiness>,
}

#[derive(Clone, Debug)]
pub struct Endpoint {
    pub address: SocketAddr,
    pub auth: OpsAuth,
    /// The certificate and the key for HTTPS; without them the endpoint serves HTTP.
    pub tls: Option<Files>,
}

/// Serves requests until `stop` is cancelled.
pub async fn serve(
    Endpoint { address, auth, tls }: Endpoint,
    client: Client,
    sources: Sources,
    stop: CancellationToken,
) -> anyhow::Result<()> {
    let listener = TcpListener::bind(address).await.with_context(|| format!("listen on {address}"))?;
    let router = router(auth, client, sources);
    match tls {
        None => server::serve(listener, router, Limits::default(), stop).await,
        Some(files) => {
            let listener =
                TlsListener::new(listener, files).context("load the ops endpoint's certificate")?;
            server::serve(listener, router, Limits::default(), stop).await;
        }
    }
    Ok(())
}

/// Creates the router with all paths. [`openapi`] documents their responses.
fn router(auth: OpsAuth, client: Client, sources: Sources) -> Router {
    let Sources { policies, reconcile_metrics, api_metrics, readiness } = sources;
    let access = Access { gate: Gate::new(client, auth), policies };
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
        .with_state(Arc::new(Ops { access, reconcile_metrics, api_metrics, readiness }))
}

async fn with_headers(mut response: Response) -> Response {
    for (name, value) in HEADERS {
        response.headers_mut().insert(name, value);
    }
    response
}

async fn ready(State(ops): State<Arc<Ops>>) -> (StatusCode, &'static str) {
    if ops.readiness.is_ready() {
        (StatusCode::OK, "ok\n")
    } else {
        (StatusCode::SERVICE_UNAVAILABLE, "the operator is listing policies, CronJobs, Jobs and Pods\n")
    }
}

type Answer<T> = Result<T, Refusal>;

async fn scrape(State(ops): State<Arc<Ops>>, headers: HeaderMap) -> Answer<impl IntoResponse> {
    ops.access.check_metrics(&headers).await?;
    let leads = ops.readiness.leads();
    // Only the leader exposes the policies, so that each series exists once.
    let policies = (leads && ops.access.is_listed()).then(|| ops.access.all(Timestamp::now()));
    let (reconcile_metrics, api_metrics) = (&ops.reconcile_metrics, &ops.api_metrics);
    let text = metrics::text(Scraped { policies, leads, reconcile_metrics, api_metrics })?;
    Ok(([(header::CONTENT_TYPE, metrics::CONTENT_TYPE)], text))
}

async fn list(State(ops): State<Arc<Ops>>, headers: HeaderMap) -> Answer<impl IntoResponse> {
    let mut policies = ops.access.visible(&headers).await?;
    policies.sort_by(|a, b| (&a.namespace, &a.name).cmp(&(&b.namespace, &b.name)));
    Ok(Json(Policies { policies }))
}

async fn one(
    State(ops): State<Arc<Ops>>,
    Path((namespace, name)): Path<(String, String)>,
    headers: HeaderMap,
) -> Answer<impl IntoResponse> {
    Ok(Json(ops.access.one(&headers, &namespace, &name).await?))
}

/// Responds with the state of a policy as a status code: 503 if it is unhealthy, otherwise 200. Uptime probes
/// evaluate only the status code.
async fn health(
    State(ops): State<Arc<Ops>>,
    Path((namespace, name)): Path<(String, String)>,
    headers: HeaderMap,
) -> Answer<impl IntoResponse> {
    let Overview { state, reason, message, .. } = ops.access.one(&headers, &namespace, &name).await?;
    let status = match state {
        state::State::Unhealthy => StatusCode::SERVICE_UNAVAILABLE,
        state::State::Unknown | state::State::Suspended | state::State::Healthy => StatusCode::OK,
    };
    Ok((status, Json(Health { state, reason, message })))
}

async fn index_page(
    State(ops): State<Arc<Ops>>,
    RawQuery(query): RawQuery,
    headers: HeaderMap,
) -> Result<Html<String>, Response> {
    let live = query.as_deref() == Some("live");
    let policies = ops.access.visible(&headers).await.map_err(Refusal::for_browser)?;
    Ok(Html(page(policies, Timestamp::now(), live)))
}
