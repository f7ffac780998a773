//! pgbackup-operator: watches policies, keeps their CronJobs right, and writes into their status what the runs
//! report. It reads no Secret, touches no database and no storage; backups run without it.

mod apply;
mod args;
mod client;
mod controller;
mod events;
mod lease;
mod observe;
mod ops;
mod pods;

use std::{sync::Arc, time::Duration};

use anyhow::Context as _;
use clap::Parser as _;
use kube::Client;
use tokio::{
    signal::unix::{SignalKind, signal},
    task::JoinSet,
};
use tokio_util::sync::CancellationToken;

use crate::{
    args::{Cli, Command, LogFormat, RunArgs},
    controller::Context,
    lease::Lease,
    ops::Readiness,
};

/// How long running reconciles get when the process is told to stop.
const STOP_PATIENCE: Duration = Duration::from_secs(20);

fn main() -> anyhow::Result<()> {
    // Before anything may open a connection: with no provider chosen, rustls panics at first use.
    rustls::crypto::ring::default_provider().install_default().ok().context("install the TLS provider")?;
    match Cli::parse().command {
        Command::Crd => {
            let options = serde_saphyr::ser_options! { prefer_block_scalars: false };
            print!("{}", serde_saphyr::to_string_with_options(&api::crd(), options)?);
            Ok(())
        }
        Command::Run(args) => {
            start_log(args.log_format);
            let runtime =
                tokio::runtime::Builder::new_multi_thread().worker_threads(2).enable_all().build()?;
            runtime.block_on(run(args))
        }
    }
}

fn start_log(format: LogFormat) {
    let filter = tracing_subscriber::EnvFilter::try_from_default_env().unwrap_or_else(|_| "info".into());
    let log = tracing_subscriber::fmt().with_env_filter(filter).with_writer(std::io::stderr);
    match format {
        LogFormat::Text => log.with_ansi(false).init(),
        LogFormat::Json => log.json().init(),
    }
}

/// Every task belongs to the set; the first to end ends the process.
async fn run(args: RunArgs) -> anyhow::Result<()> {
    let client = client::client().await.context("find the cluster")?;
    let version = client::server_minor(&client).await.context("ask the API server for its version")?;
    tracing::info!("pgbackup-operator {} on Kubernetes 1.{version}", env!("CARGO_PKG_VERSION"));
    let stop = CancellationToken::new();
    let readiness = Arc::new(Readiness::default());
    let mut tasks: JoinSet<anyhow::Result<()>> = JoinSet::new();
    tasks.spawn(ops::serve(args.ops_address, readiness.clone(), stop.clone()));
    tasks.spawn(lead(client, args, version, readiness, stop.clone()));

    let mut terminate = signal(SignalKind::terminate()).context("listen for SIGTERM")?;
    let mut interrupt = signal(SignalKind::interrupt()).context("listen for SIGINT")?;
    let ended = tokio::select! {
        _ = terminate.recv() => Ok(()),
        _ = interrupt.recv() => Ok(()),
        Some(ended) = tasks.join_next() => ended.context("a task panicked").and_then(|result| result),
    };
    tracing::info!("stopping");
    stop.cancel();
    let rest = async { while tasks.join_next().await.is_some() {} };
    if tokio::time::timeout(STOP_PATIENCE, rest).await.is_err() {
        tracing::warn!("some work did not end within {} s", STOP_PATIENCE.as_secs());
    }
    ended
}

/// Waits to be the leader, then works until told to stop or until the Lease is lost.
async fn lead(
    client: Client,
    args: RunArgs,
    version: u32,
    readiness: Arc<Readiness>,
    stop: CancellationToken,
) -> anyhow::Result<()> {
    let mut lease = Lease::new(client.clone(), &args.lease_namespace, &args.lease_name, &args.identity);
    readiness.waiting_to_lead();
    tokio::select! {
        acquired = lease.acquire() => acquired.context("acquire the Lease")?,
        () = stop.cancelled() => return Ok(()),
    }
    tracing::info!("leading as {}", args.identity);
    let context = Arc::new(Context::new(client, args.images(), &args.identity));
    let stop_working = stop.child_token();
    let work =
        controller::run(context, args.watch_namespace.as_deref(), version, readiness, stop_working.clone());
    tokio::pin!(work);
    let ended = tokio::select! {
        () = &mut work => Ok(()),
        lost = lease.keep() => Err(lost).context("the Lease is lost: another replica may be at work"),
    };
    // A replica that may no longer write must not finish what it began.
    if ended.is_ok() {
        lease.release().await;
    }
    stop_working.cancel();
    ended
}
