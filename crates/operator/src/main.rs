//! The program pgbackup-operator: watches BackupPolicies, writes their CronJobs, and writes the results of
//! runs into the policies' status. It reads no Secret and uses no database and no store. Backups continue
//! while it is down.

mod api_metrics;
mod apply;
mod args;
mod client;
mod clock;
mod controller;
mod event_writer;
mod lease;
mod merge_patch;
mod observe;
mod ops;
mod pending_statuses;
mod policies;
mod reconcile;
mod reconcile_metrics;
mod requested_at;
mod start_failures;
mod status_patch;
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
    controller::Shared,
    lease::Lease,
    ops::Readiness,
    policies::Policies,
    reconcile::Reconciler,
    reconcile_metrics::ReconcileMetrics,
    watches::Scope,
};

/// An allocator that suits many small, short-lived blocks among some long-lived ones, as parsing JSON
/// allocates them.
#[global_allocator]
static ALLOCATOR: mimalloc::MiMalloc = mimalloc::MiMalloc;

/// The maximum time for running reconciles to end when the process stops.
const STOP_TIMEOUT: Duration = Duration::from_secs(20);

fn main() -> anyhow::Result<()> {
    // Must come before any connection: without a provider, rustls panics at its first use.
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
    let filter = EnvFilter::try_new(level).with_context(|| format!("parse the log filter {level:?}"))?;
    let log = tracing_subscriber::fmt().with_env_filter(filter).with_writer(std::io::stderr);
    match format {
        LogFormat::Text => log.with_ansi(false).init(),
        LogFormat::Json => log.json().init(),
    }
    Ok(())
}

/// Runs all tasks. The process ends at SIGTERM, at SIGINT, and when any task ends.
async fn run(args: RunArgs) -> anyhow::Result<()> {
    // Must come first: process 1 of a container ignores signals without a handler.
    let mut terminate = signal(SignalKind::terminate()).context("listen for SIGTERM")?;
    let mut interrupt = signal(SignalKind::interrupt()).context("listen for SIGINT")?;
    let stop = CancellationToken::new();
    let readiness = Arc::new(Readiness::default());
    let requests = ApiMetrics::default();
    let client = client::client(&requests).await.context("load the configuration of the cluster")?;
    let (store, writer) = reflector::store();
    let mut tasks: JoinSet<anyhow::Result<()>> = JoinSet::new();
    let endpoint = args.ops();
    let reconciles = ReconcileMetrics::default();
    let sources = ops::Sources {
        policies: store,
        reconcile_metrics: reconciles.clone(),
        api_metrics: requests,
        readiness: readiness.clone(),
    };
    tasks.spawn(ops::serve(endpoint, client.clone(), sources, stop.clone()));
    tasks.spawn(operate(args, client, writer, reconciles, readiness, stop.clone()));

    let ended = tokio::select! {
        _ = terminate.recv() => Ok(()),
        _ = interrupt.recv() => Ok(()),
        Some(ended) = tasks.join_next() => ended.context("a task panicked").and_then(|result| result),
    };
    tracing::info!("stopping the operator");
    stop.cancel();
    let rest = async { while tasks.join_next().await.is_some() {} };
    if tokio::time::timeout(STOP_TIMEOUT, rest).await.is_err() {
        tracing::warn!(
            "running reconciles and requests did not end within {} s; exiting anyway",
            STOP_TIMEOUT.as_secs()
        );
    }
    ended
}

/// Waits for the Lease, and meanwhile keeps the store of policies up to date. Then reconciles until `stop` is
/// cancelled or the Lease may be lost.
async fn operate(
    args: RunArgs,
    client: Client,
    writer: Writer<BackupPolicy>,
    reconciles: ReconcileMetrics,
    readiness: Arc<Readiness>,
    stop: CancellationToken,
) -> anyhow::Result<()> {
    let identity = args.identity();
    let mut lease = Lease::new(client.clone(), &args.lease_namespace, &args.lease_name, &identity);
    let lead = async {
        let version = client::server_minor(&client).await.context("read the API server's version")?;
        tracing::info!(
            "pgbackup-operator {} on Kubernetes 1.{version} waits for the Lease {}",
            env!("CARGO_PKG_VERSION"),
            args.lease_name
        );
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
    tracing::info!("acquired the Lease as {identity}; reconciling all policies");
    let stop_working = stop.child_token();
    let reconciler = Reconciler::new(client, args.images(), &identity, policies.pending.clone());
    let shared = Shared { policies, metrics: reconciles, readiness };
    let work = controller::run(reconciler, scope, shared, stop_working.clone());
    tokio::pin!(work);
    let ended = tokio::select! {
        () = &mut work => Ok(()),
        lost = lease.keep() => Err(lost).context("lost the Lease; another replica may be working, so this one exits"),
    };
    // A replica that lost the Lease must not finish its writes, so nothing waits for them.
    if ended.is_ok() {
        lease.release().await;
    }
    stop_working.cancel();
    ended
}
