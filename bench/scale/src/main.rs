//! `make bench-scale`: what the operator costs, on a real control plane, with a thousand policies and with ten thousand.
//!
//! The operator is the binary that ships, run as a process of this machine so that its CPU and memory are read from the
//! kernel; the API server, etcd and the controllers are real, and so are the pods whose ends are told. What the API server
//! was asked is read from its own counters.

mod cluster;
mod figures;
mod operator;
mod policies;
mod requests;
mod seen;
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
    cluster::Cluster,
    figures::{Figures, Rest, Restart, Round},
    operator::{Operator, Program},
    requests::Requests,
    seen::Seen,
};

/// Pods that end at a time, when the time until their status is measured.
const PODS_AT_ONCE: usize = 4;

/// No writes for so long: the operator has nothing more to do.
const CALM: Duration = Duration::from_secs(3);

/// Measures the operator, and writes what it found into a document.
#[derive(Debug, Parser)]
struct Args {
    /// The operator's binary.
    #[arg(long)]
    operator: PathBuf,
    /// The image that brings the runner.
    #[arg(long, env = "PGBACKUP_RUNNER_IMAGE")]
    runner_image: String,
    /// The repository of PostgreSQL's images.
    #[arg(long, env = "PGBACKUP_POSTGRES_IMAGE", default_value = "localhost/postgres")]
    postgres_repository: String,
    /// How many policies there are at first.
    #[arg(long, env = "SCALE_POLICIES", default_value_t = 1000)]
    policies: usize,
    /// How many there are in the end.
    #[arg(long, env = "SCALE_MANY", default_value_t = 10_000)]
    many: usize,
    /// How often the creation of the first ones is measured.
    #[arg(long, env = "SCALE_ROUNDS", default_value_t = 3)]
    rounds: usize,
    /// How long nothing changes, in seconds.
    #[arg(long, env = "SCALE_REST", default_value_t = 120)]
    rest: u64,
    /// How many pods end.
    #[arg(long, env = "SCALE_PODS", default_value_t = 200)]
    pods: usize,
    /// Where the operator's log goes.
    #[arg(long)]
    log: PathBuf,
    /// The document that has the lines between which the figures go.
    #[arg(long)]
    document: PathBuf,
}

#[tokio::main]
async fn main() -> Result<()> {
    rustls::crypto::ring::default_provider().install_default().ok().context("install the TLS provider")?;
    let args = Args::parse();
    let cluster = Cluster { client: Client::try_from(Config::infer().await?)? };
    cluster.prepare().await?;
    // What it leaves goes with the cluster, which was started for it.
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
    let few = settle(&program, cluster, args.policies).await?;
    eprintln!("scale: {} policies, after a restart: {few:?}", args.policies);
    let operator = program.start_and_sync(count(args.policies)).await?;
    let rest = rest(cluster, &operator, Duration::from_secs(args.rest)).await?;
    eprintln!("scale: at rest: {rest:?}");
    let told = Box::pin(tell(cluster, args.policies, args.pods)).await?;
    operator.stop()?;

    let more = (args.policies..args.many).map(|number| policies::policy(operator::NAMESPACE, number));
    let operator = program.start_and_sync(count(args.policies)).await?;
    let seen = Seen::watch(&cluster.client, operator::NAMESPACE);
    cluster.create(more.collect::<Result<Vec<_>>>()?, cluster::AT_ONCE).await?;
    all_ready(&seen, args.many).await?;
    operator.stop()?;
    drop(seen);
    let many = settle(&program, cluster, args.many).await?;
    eprintln!("scale: {} policies, after a restart: {many:?}", args.many);
    Ok(Figures { policies: args.policies, many: args.many, idle, rounds, few, rest, told, after_many: many })
}

/// The memory of an operator that has nothing to do.
async fn idle(program: &Program, cluster: &Cluster) -> Result<f64> {
    let operator = program.start_and_sync(0).await?;
    cluster.rest(Duration::from_secs(15)).await?;
    let taken = operator.taken()?;
    operator.stop()?;
    Ok(taken.resident)
}

/// The bare creation of CronJobs by one client, then the same for as many policies by the operator.
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
    cluster.rest(Duration::from_secs(2)).await?;
    let seen = Seen::watch(&cluster.client, operator::NAMESPACE);
    let (before, taken) = (Requests::now(&cluster.client).await?, operator.taken()?);
    let started = Instant::now();
    cluster.create(wanted, cluster::AT_ONCE).await?;
    let created = started.elapsed().as_secs_f64();
    all_ready(&seen, policies).await?;
    let ready = started.elapsed().as_secs_f64();
    calm(cluster).await?;
    let asked = &Requests::now(&cluster.client).await? - &before;
    let cpu = operator.taken()?.cpu - taken.cpu;
    operator.stop()?;
    Ok(Round {
        bare,
        bare_at_once,
        created,
        ready,
        cpu,
        // The benchmark's own: one creation for each.
        writes: asked.writes() - count(policies),
        events: asked.writes_of("events"),
        reads: asked.reads(),
        refused: asked.refused_writes(),
    })
}

/// The CronJob of a policy as the operator makes it, but for the owner, who does not exist.
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

async fn all_ready(seen: &Seen, policies: usize) -> Result<()> {
    wait::until("all policies are ready", Duration::from_mins(10), async || Ok(seen.ready() >= policies))
        .await
}

/// Waits until nobody writes any more.
async fn calm(cluster: &Cluster) -> Result<()> {
    let mut last = (Requests::now(&cluster.client).await?.writes(), Instant::now());
    wait::until("nobody writes any more", Duration::from_mins(5), async || {
        let writes = Requests::now(&cluster.client).await?.writes();
        if writes != last.0 {
            last = (writes, Instant::now());
        }
        Ok(last.1.elapsed() > CALM)
    })
    .await
}

/// Gives all policies a full status, lets an operator have its say, and measures a second one that finds all done.
async fn settle(program: &Program, cluster: &Cluster, policies: usize) -> Result<Restart> {
    cluster.fill_statuses().await?;
    let first = program.start_and_sync(count(policies)).await?;
    calm(cluster).await?;
    first.stop()?;

    let before = Requests::now(&cluster.client).await?;
    let started = Instant::now();
    let operator = program.start_and_sync(count(policies)).await?;
    let synced = started.elapsed().as_secs_f64();
    calm(cluster).await?;
    cluster.rest(Duration::from_secs(10)).await?;
    let asked = &Requests::now(&cluster.client).await? - &before;
    let taken = operator.taken()?;
    operator.stop()?;
    Ok(Restart { synced, writes: asked.writes(), resident: taken.resident, peak: taken.peak, cpu: taken.cpu })
}

/// Nothing changes.
async fn rest(cluster: &Cluster, operator: &Operator, long: Duration) -> Result<Rest> {
    calm(cluster).await?;
    let (before, taken) = (Requests::now(&cluster.client).await?, operator.taken()?);
    let renewals = cluster.rest(long).await?;
    let asked = &Requests::now(&cluster.client).await? - &before;
    let minutes = long.as_secs_f64() / 60.0;
    Ok(Rest {
        writes: asked.writes(),
        reads: asked.reads(),
        cpu_a_minute: (operator.taken()?.cpu - taken.cpu) / minutes,
        renewals_a_minute: f64::from(renewals) / minutes,
    })
}

/// Lets real pods end, and measures how long after that the run is in its policy's history; sorted, in seconds.
async fn tell(cluster: &Cluster, policies: usize, pods: usize) -> Result<Vec<f64>> {
    let seen = Seen::watch(&cluster.client, operator::NAMESPACE);
    all_ready(&seen, policies).await?;
    let api = cluster.api::<BackupPolicy>();
    let parameters = PatchParams::default();
    let names: Vec<String> =
        cluster.policies().await?.iter().take(pods.min(policies)).map(ResourceExt::name_any).collect();
    let told = stream::iter(names).map(async |policy| {
        let token = "now";
        let patch = Patch::Merge(json!({"metadata": {"annotations": {meta::REQUESTED_AT: token}}}));
        api.patch(&policy, &parameters, &patch).await?;
        let job = name::requested_job(&policy, token);
        wait::until(&format!("the run {job} is told"), Duration::from_mins(2), async || {
            Ok(seen.told_after(&job).is_some())
        })
        .await?;
        seen.told_after(&job).context("it was told")
    });
    let mut told: Vec<f64> = told.buffer_unordered(PODS_AT_ONCE).try_collect().await?;
    told.sort_by(f64::total_cmp);
    Ok(told)
}

fn count(number: usize) -> u64 {
    u64::try_from(number).unwrap_or(u64::MAX)
}
