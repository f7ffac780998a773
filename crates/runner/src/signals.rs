//! Stops work at SIGTERM and SIGINT.

use anyhow::Context as _;
use tokio::signal::unix::{SignalKind, signal};

/// Runs `work` until it ends or until a signal arrives; returns the signal's name as the inner error. The
/// kubelet sends SIGTERM, and SIGKILL after the pod's grace period. A separate task receives signals, so that
/// a signal is logged at once even if `work` is busy.
pub async fn unless_stopped<T>(work: impl Future<Output = T>) -> anyhow::Result<Result<T, &'static str>> {
    let mut terminate = signal(SignalKind::terminate()).context("cannot listen for SIGTERM")?;
    let mut interrupt = signal(SignalKind::interrupt()).context("cannot listen for SIGINT")?;
    let listener = tokio::spawn(async move {
        let name = tokio::select! {
            _ = terminate.recv() => "SIGTERM",
            _ = interrupt.recv() => "SIGINT",
        };
        tracing::info!("received {name}, stopping");
        name
    });
    tokio::select! {
        ended = work => Ok(Ok(ended)),
        signal = listener => Ok(Err(signal.context("cannot listen for signals")?)),
    }
}
