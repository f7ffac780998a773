//! Health, for the kubelet.

use std::{
    net::SocketAddr,
    sync::{
        Arc,
        atomic::{AtomicBool, Ordering},
    },
};

use anyhow::Context as _;
use axum::{Router, extract::State, http::StatusCode, routing::get};
use tokio::net::TcpListener;
use tokio_util::sync::CancellationToken;

/// Whether the operator does what it is there for: it waits to lead, or it leads and has seen everything.
#[derive(Debug, Default)]
pub struct Readiness(AtomicBool);

impl Readiness {
    /// A replica that waits is ready to take over.
    pub fn waiting_to_lead(&self) {
        self.0.store(true, Ordering::Relaxed);
    }

    /// It leads, and has not yet listed what there is.
    pub fn syncing(&self) {
        self.0.store(false, Ordering::Relaxed);
    }

    /// It has.
    pub fn synced(&self) {
        self.0.store(true, Ordering::Relaxed);
    }
}

/// Serves until told to stop.
pub async fn serve(
    address: SocketAddr,
    readiness: Arc<Readiness>,
    stop: CancellationToken,
) -> anyhow::Result<()> {
    let router = Router::new()
        .route("/healthz", get(|| async { "ok\n" }))
        .route("/readyz", get(ready))
        .with_state(readiness);
    let listener = TcpListener::bind(address).await.with_context(|| format!("listen on {address}"))?;
    axum::serve(listener, router).with_graceful_shutdown(stop.cancelled_owned()).await.context("serve health")
}

async fn ready(State(readiness): State<Arc<Readiness>>) -> (StatusCode, &'static str) {
    if readiness.0.load(Ordering::Relaxed) {
        (StatusCode::OK, "ok\n")
    } else {
        (StatusCode::SERVICE_UNAVAILABLE, "listing policies and their Jobs\n")
    }
}
