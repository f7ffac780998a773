//! pgbackup-operator: watches policies, keeps their CronJobs right, and writes into their status what the runs
//! report. It reads no Secret, touches no database and no storage; backups run without it.

mod api_metrics;
mod apply;
mod args;
mod client;
mod clock;
mod controller;
mod cron_job;
mod events;
mod lease;
mod observe;
mod ops;
mod pending_statuses;
mod pods;
mod policies;
mod reconciles;
mod start_failures;
mod watches;

use std::{sync::Arc, time::Duration};

use anyhow::Context as _;
use api::BackupPolicy;
use clap::Parser as _;
use kube::{
    Client,
    runtime::reflector::{self, store::Writer},
};
use tokio::{
    signal::unix::{SignalKind, signal},
    task::JoinSet,
};
use tokio_util::sync::CancellationToken;
use tracing_subscriber::EnvFilter;

use crate::{
    api_metrics::ApiMetrics,
    args::{Cli, Command, LogFormat, RunArgs},
    controller::Work,
    lease::Lease,
    ops::Readiness,
    policies::Policies,
    reconciles::Reconciles,
    watches::Scope,
};

/// What is parsed here is many small pieces that live briefly, beside some that stay.
#[global_allocator]
static ALLOCATOR: mimalloc::MiMalloc = mimalloc::MiMalloc;

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
        Command::Openapi => {
            println!("{:#}", ops::openapi::document());
            Ok(())
        }
        Command::Run(args) => {
            start_log(args.log_format, &args.log_level)?;
            let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
            runtime.block_on(run(*args))
        }
    }
}

fn start_log(format: LogFormat, level: &str) -> anyhow::Result<()> {
    let filter = EnvFilter::try_new(level).with_context(|| format!("understand the log level {level:?}"))?;
    let log = tracing_subscriber::fmt().with_env_filter(filter).with_writer(std::io::stderr);
    match format {
        LogFormat::Text => log.with_ansi(false).init(),
        LogFormat::Json => log.json().init(),
    }
    Ok(())
}

/// Every task belongs to the backup; the first to end ends the process.
async fn run(args: RunArgs) -> anyhow::Result<()> {
    // First of all: process 1 of a container ignores signals that it does not listen for.
    let mut terminate = signal(SignalKind::terminate()).context("listen for SIGTERM")?;
    let mut interrupt = signal(SignalKind::interrupt()).context("listen for SIGINT")?;
    let stop = CancellationToken::new();
    let readiness = Arc::new(Readiness::default());
    let requests = ApiMetrics::default();
    let client = client::client(&requests).await.context("find the cluster")?;
    let (store, writer) = reflector::store();
    let mut tasks: JoinSet<anyhow::Result<()>> = JoinSet::new();
    let endpoint = args.ops();
    let reconciles = Reconciles::default();
    let shown = ops::Shown {
        policies: store,
        reconciles: reconciles.clone(),
        requests,
        readiness: readiness.clone(),
    };
    tasks.spawn(ops::serve(endpoint, client.clone(), shown, stop.clone()));
    tasks.spawn(operate(args, client, writer, reconciles, readiness, stop.clone()));

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

/// Waits to be the leader, and knows the policies meanwhile; then works until told to stop or until the Lease is lost.
async fn operate(
    args: RunArgs,
    client: Client,
    writer: Writer<BackupPolicy>,
    reconciles: Reconciles,
    readiness: Arc<Readiness>,
    stop: CancellationToken,
) -> anyhow::Result<()> {
    let identity = args.identity();
    let mut lease = Lease::new(client.clone(), &args.lease_namespace, &args.lease_name, &identity);
    let lead = async {
        let version = client::server_minor(&client).await.context("ask the API server for its version")?;
        tracing::info!("pgbackup-operator {} on Kubernetes 1.{version}", env!("CARGO_PKG_VERSION"));
        let scope = Scope::new(client.clone(), args.watch_namespace.clone(), version);
        let mut policies = Policies::new(&scope, writer);
        readiness.waiting_to_lead();
        policies.follow(lease.acquire()).await.context("acquire the Lease")?;
        anyhow::Ok((scope, policies))
    };
    let (scope, policies) = tokio::select! {
        lead = lead => lead?,
        () = stop.cancelled() => return Ok(()),
    };
    tracing::info!("leading as {identity}");
    let stop_working = stop.child_token();
    let work = Work { policies, reconciles, readiness };
    let images = args.images();
    let work = controller::run(client, images, &identity, scope, work, stop_working.clone());
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
