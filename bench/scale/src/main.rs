//! `make bench-scale`: measures the operator with 1,000 and with 10,000 policies on a real control plane.
//!
//! The operator is the released binary, run as a process on this machine, so that the kernel reports its CPU
//! time and memory. API server, etcd, controllers and pods are real. The API server's own metrics count the
//! requests.

mod api_requests;
mod cluster;
mod figures;
mod observer;
mod operator;
mod policies;
mod wait;

use std::{
    path::PathBuf,
    time::{Duration, Instant},
};

use anyhow::{Context as _, Result};
use api::{BackupPolicy, meta};
use clap::Parser;
use desired::Images;
use domain::name;
use futures::{StreamExt as _, TryStreamExt as _, stream};
use k8s_openapi::api::batch::v1::CronJob;
use kube::{
    Client, Config, ResourceExt,
    api::{Patch, PatchParams},
};
use serde_json::json;

use crate::{
    api_requests::ApiRequests,
    cluster::Cluster,
    figures::{Figures, Restart, Round, SteadyState},
    observer::Observer,
    operator::{Operator, Program},
};

/// The number of concurrent runs while the delay of their reports is measured.
const RUNS_AT_ONCE: usize = 4;

/// The time without a write after which the operator has nothing more to do.
const QUIET: Duration = Duration::from_secs(3);

/// Measure the operator, and write the figures into a document
#[derive(Debug, Parser)]
struct Args {
    /// Binary of the operator
    #[arg(long)]
    operator: PathBuf,
    /// Image of the runner
    #[arg(long, env = "PGBACKUP_RUNNER_IMAGE")]
    runner_image: String,
    /// Repository of PostgreSQL images
    #[arg(long, env = "PGBACKUP_POSTGRES_IMAGE", default_value = "localhost/postgres")]
    postgres_repository: String,
    /// Number of policies in the first part
    #[arg(long, env = "SCALE_POLICIES", default_value_t = 1000)]
    policies: usize,
    /// Number of policies in the second part
    #[arg(long, env = "SCALE_MANY", default_value_t = 10_000)]
    many: usize,
    /// Number of times to measure the creation of the policies of the first part
    #[arg(long, env = "SCALE_ROUNDS", default_value_t = 3)]
    rounds: usize,
    /// Seconds of steady state to measure
    #[arg(long, env = "SCALE_REST", default_value_t = 120)]
    rest: u64,
    /// Number of runs whose reports are measured
    #[arg(long, env = "SCALE_PODS", default_value_t = 200)]
    pods: usize,
    /// File for the operator's log
    #[arg(long)]
    log: PathBuf,
    /// Document to write the figures into
    #[arg(long)]
    document: PathBuf,
}

#[tokio::main]
async fn main() -> Result<()> {
    rustls::crypto::ring::default_provider().install_default().ok().context("install the TLS provider")?;
    let args = Args::parse();
    let cluster = Cluster { client: Client::try_from(Config::infer().await?)? };
    cluster.prepare().await?;
    // The objects are not deleted: the cluster was started for this benchmark and is deleted after it.
    let figures = Box::pin(measure(&args, &cluster)).await?;
    let text = figures.text()?;
    bench::insert(&args.document, figures::MARKS, &text)?;
    println!("{text}");
    Ok(())
}

async fn measure(args: &Args, cluster: &Cluster) -> Result<Figures> {
    let program = Program {
        binary: args.operator.clone(),
        runner_image: args.runner_image.clone(),
        postgres_repository: args.postgres_repository.clone(),
        log: args.log.clone(),
    };
    let idle = idle(&program, cluster).await?;
    let mut rounds = Vec::new();
    for number in 1..=args.rounds {
        let round = Box::pin(round(&program, cluster, args.policies)).await?;
        eprintln!("scale: round {number}: {round:?}");
        rounds.push(round);
        if number < args.rounds {
            cluster.clear().await?;
        }
    }
    let restart = restart(&program, cluster, args.policies).await?;
    eprintln!("scale: restart with {} policies: {restart:?}", args.policies);
    let operator = program.start_and_sync(count(args.policies)).await?;
    let steady_state = steady_state(cluster, &operator, Duration::from_secs(args.rest)).await?;
    eprintln!("scale: steady state: {steady_state:?}");
    let report_delays = Box::pin(report_delays(cluster, args.policies, args.pods)).await?;
    operator.stop()?;

    let more = (args.policies..args.many).map(|number| policies::policy(operator::NAMESPACE, number));
    let operator = program.start_and_sync(count(args.policies)).await?;
    let observer = Observer::start(&cluster.client, operator::NAMESPACE);
    cluster.create(more.collect::<Result<Vec<_>>>()?, cluster::AT_ONCE).await?;
    wait_until_ready(&observer, args.many).await?;
    operator.stop()?;
    drop(observer);
    let restart_with_many = self::restart(&program, cluster, args.many).await?;
    eprintln!("scale: restart with {} policies: {restart_with_many:?}", args.many);
    Ok(Figures {
        policies: args.policies,
        many: args.many,
        idle,
        rounds,
        restart,
        steady_state,
        report_delays,
        restart_with_many,
    })
}

/// Returns the resident memory of an operator without policies, in MiB.
async fn idle(program: &Program, cluster: &Cluster) -> Result<f64> {
    let operator = program.start_and_sync(0).await?;
    cluster.count_renewals(Duration::from_secs(15)).await?;
    let usage = operator.usage()?;
    operator.stop()?;
    Ok(usage.resident)
}

/// Measures one round: creates CronJobs without an operator, then the same number of policies with one.
async fn round(program: &Program, cluster: &Cluster, policies: usize) -> Result<Round> {
    let wanted: Vec<BackupPolicy> =
        (0..policies).map(|number| policies::policy(operator::NAMESPACE, number)).collect::<Result<_>>()?;
    let images = Images {
        runner: program.runner_image.clone(),
        postgres_repository: program.postgres_repository.clone(),
        pull_policy: "IfNotPresent".to_owned(),
    };
    let cron_jobs = wanted.iter().map(|policy| bare_cron_job(policy, &images)).collect::<Result<Vec<_>>>()?;
    let mut bare = [0.0; 2];
    for (seconds, at_once) in bare.iter_mut().zip([1, cluster::AT_ONCE]) {
        let started = Instant::now();
        cluster.create(cron_jobs.clone(), at_once).await?;
        *seconds = started.elapsed().as_secs_f64();
        cluster.clear().await?;
    }
    let [bare, bare_at_once] = bare;

    let operator = program.start_and_sync(0).await?;
    cluster.count_renewals(Duration::from_secs(2)).await?;
    let observer = Observer::start(&cluster.client, operator::NAMESPACE);
    let (before, usage) = (ApiRequests::now(&cluster.client).await?, operator.usage()?);
    let started = Instant::now();
    cluster.create(wanted, cluster::AT_ONCE).await?;
    let created = started.elapsed().as_secs_f64();
    wait_until_ready(&observer, policies).await?;
    let ready = started.elapsed().as_secs_f64();
    wait_until_quiet(cluster).await?;
    let requests = &ApiRequests::now(&cluster.client).await? - &before;
    let cpu = operator.usage()?.cpu - usage.cpu;
    operator.stop()?;
    Ok(Round {
        bare,
        bare_at_once,
        created,
        ready,
        cpu,
        // The benchmark itself created each policy.
        writes: requests.writes() - count(policies),
        events: requests.writes_of("events"),
        reads: requests.reads(),
        rejected: requests.rejected_writes(),
    })
}

/// Returns the CronJob that the operator creates for a policy, without the owner, which does not exist.
fn bare_cron_job(policy: &BackupPolicy, images: &Images) -> Result<CronJob> {
    let mut policy = policy.clone();
    policy.metadata.uid = Some("00000000-0000-0000-0000-000000000000".to_owned());
    policy.metadata.creation_timestamp = Some(api::status::time(jiff::Timestamp::now()));
    let valid = desired::validate(&policy).map_err(|invalid| anyhow::anyhow!("{invalid:?}"))?;
    let backup = desired::objects(&valid, images).cron_jobs.backup;
    let mut cron_job = backup.context("a policy should have a CronJob for backups")?;
    cron_job.metadata.owner_references = None;
    Ok(cron_job)
}

async fn wait_until_ready(observer: &Observer, policies: usize) -> Result<()> {
    wait::until("all policies are ready", Duration::from_mins(10), async || Ok(observer.ready() >= policies))
        .await
}

/// Waits until nothing was written for [`QUIET`].
async fn wait_until_quiet(cluster: &Cluster) -> Result<()> {
    let mut last = (ApiRequests::now(&cluster.client).await?.writes(), Instant::now());
    wait::until("all writes have ended", Duration::from_mins(5), async || {
        let writes = ApiRequests::now(&cluster.client).await?.writes();
        if writes != last.0 {
            last = (writes, Instant::now());
        }
        Ok(last.1.elapsed() > QUIET)
    })
    .await
}

/// Measures a restart: gives all policies a full status, lets one operator write what differs, and measures a
/// second operator.
async fn restart(program: &Program, cluster: &Cluster, policies: usize) -> Result<Restart> {
    cluster.fill_statuses().await?;
    let first = program.start_and_sync(count(policies)).await?;
    wait_until_quiet(cluster).await?;
    first.stop()?;

    let before = ApiRequests::now(&cluster.client).await?;
    let started = Instant::now();
    let operator = program.start_and_sync(count(policies)).await?;
    let synced = started.elapsed().as_secs_f64();
    wait_until_quiet(cluster).await?;
    cluster.count_renewals(Duration::from_secs(10)).await?;
    let requests = &ApiRequests::now(&cluster.client).await? - &before;
    let usage = operator.usage()?;
    operator.stop()?;
    Ok(Restart {
        synced,
        writes: requests.writes(),
        resident: usage.resident,
        peak: usage.peak,
        cpu: usage.cpu,
    })
}

/// Measures an operator while nothing changes.
async fn steady_state(cluster: &Cluster, operator: &Operator, length: Duration) -> Result<SteadyState> {
    wait_until_quiet(cluster).await?;
    let (before, usage) = (ApiRequests::now(&cluster.client).await?, operator.usage()?);
    let renewals = cluster.count_renewals(length).await?;
    let requests = &ApiRequests::now(&cluster.client).await? - &before;
    let minutes = length.as_secs_f64() / 60.0;
    Ok(SteadyState {
        writes: requests.writes(),
        reads: requests.reads(),
        cpu_per_minute: (operator.usage()?.cpu - usage.cpu) / minutes,
        renewals_per_minute: f64::from(renewals) / minutes,
    })
}

/// Starts real runs, and returns the times from the end of each pod until its result is in the status, in
/// seconds, sorted.
async fn report_delays(cluster: &Cluster, policies: usize, runs: usize) -> Result<Vec<f64>> {
    let observer = Observer::start(&cluster.client, operator::NAMESPACE);
    wait_until_ready(&observer, policies).await?;
    let api = cluster.api::<BackupPolicy>();
    let parameters = PatchParams::default();
    let names: Vec<String> =
        cluster.policies().await?.iter().take(runs.min(policies)).map(ResourceExt::name_any).collect();
    let delays = stream::iter(names).map(async |policy| {
        let token = "now";
        let patch = Patch::Merge(json!({"metadata": {"annotations": {meta::REQUESTED_AT: token}}}));
        api.patch(&policy, &parameters, &patch).await?;
        let job = name::requested_job(&policy, token);
        wait::until(&format!("the status has the run {job}"), Duration::from_mins(2), async || {
            Ok(observer.report_delay(&job).is_some())
        })
        .await?;
        observer.report_delay(&job).context("the delay should be known")
    });
    let mut delays: Vec<f64> = delays.buffer_unordered(RUNS_AT_ONCE).try_collect().await?;
    delays.sort_by(f64::total_cmp);
    Ok(delays)
}

fn count(number: usize) -> u64 {
    u64::try_from(number).unwrap_or(u64::MAX)
}
