//! The operator, as a process of this machine: the very binary that ships.

use std::{
    fs,
    path::PathBuf,
    process::{Child, Command, Stdio},
    time::Duration,
};

use anyhow::{Context as _, Result, bail};

use crate::wait;

/// Where its ops endpoint listens, for this machine only.
const OPS: &str = "127.0.0.1:18080";

/// The namespace of its Lease.
pub const NAMESPACE: &str = "pgbackup-scale";

/// The name of its Lease.
pub const LEASE: &str = "pgbackup-operator";

/// How it is started.
#[derive(Clone, Debug)]
pub struct Program {
    /// The binary.
    pub binary: PathBuf,
    /// The image that brings the runner.
    pub runner_image: String,
    /// The repository of PostgreSQL's images.
    pub postgres_repository: String,
    /// Where its log goes.
    pub log: PathBuf,
}

/// A running operator; it ends with this value.
#[derive(Debug)]
pub struct Operator(Child);

/// What a process has taken so far.
#[derive(Clone, Copy, Debug, Default)]
pub struct Taken {
    /// CPU time, in seconds.
    pub cpu: f64,
    /// Resident memory now, in MiB.
    pub resident: f64,
    /// Its peak.
    pub peak: f64,
}

impl Program {
    /// Starts it; it may not have done anything yet.
    pub fn start(&self) -> Result<Operator> {
        let log = fs::File::options().create(true).append(true).open(&self.log)?;
        let child = Command::new(&self.binary)
            // As the chart has it.
            .envs([("MIMALLOC_PURGE_DELAY", "0"), ("MIMALLOC_ARENA_EAGER_COMMIT", "0")])
            .args(["run", "--ops-auth", "none", "--ops-address", OPS, "--log-level", "warn"])
            .args(["--lease-namespace", NAMESPACE, "--lease-name", LEASE])
            .args(["--runner-image", &self.runner_image, "--postgres-repository", &self.postgres_repository])
            .stdin(Stdio::null())
            .stdout(Stdio::null())
            .stderr(log)
            .spawn()
            .with_context(|| format!("starting {}", self.binary.display()))?;
        Ok(Operator(child))
    }

    /// Starts it and waits until it leads and has looked at as many policies as there are.
    pub async fn start_and_sync(&self, policies: u64) -> Result<Operator> {
        let operator = self.start()?;
        wait::until("the operator has reconciled all policies", Duration::from_mins(5), async || {
            let is_ready = get("/readyz").await.is_ok_and(|answer| answer.starts_with("HTTP/1.1 200"));
            // A replica that waits for the Lease is ready too.
            let leader = operator.metric("pgbackup_leader ").await.ok().flatten();
            let leads = leader.as_deref() == Some("1.0");
            Ok(is_ready && leads && operator.reconciles().await.is_ok_and(|done| done >= policies))
        })
        .await?;
        Ok(operator)
    }
}

impl Operator {
    /// What it has taken.
    pub fn taken(&self) -> Result<Taken> {
        let id = self.0.id();
        let stat = fs::read_to_string(format!("/proc/{id}/stat")).context("the operator should be alive")?;
        let after_name = stat.rsplit_once(") ").context("/proc/*/stat")?.1;
        let ticks: u32 =
            after_name.split(' ').skip(11).take(2).map(str::parse::<u32>).sum::<Result<u32, _>>()?;
        let status = fs::read_to_string(format!("/proc/{id}/status"))?;
        let mebibytes = |field: &str| -> Result<f64> {
            let line = status.lines().find_map(|line| line.strip_prefix(field)).context("/proc/*/status")?;
            Ok(line.trim().trim_end_matches(" kB").parse::<f64>()? / 1024.0)
        };
        // USER_HZ is 100 on every architecture that this runs on.
        Ok(Taken {
            cpu: f64::from(ticks) / 100.0,
            resident: mebibytes("VmRSS:")?,
            peak: mebibytes("VmHWM:")?,
        })
    }

    /// How many reconciles it has ended well, by its own count.
    pub async fn reconciles(&self) -> Result<u64> {
        let count = self.metric("pgbackup_reconciles_total{result=\"success\"}").await?;
        Ok(count.map(|count| count.parse()).transpose()?.unwrap_or_default())
    }

    /// The value of the line of its metrics that begins so, once there is one.
    async fn metric(&self, series: &str) -> Result<Option<String>> {
        let metrics = get("/metrics").await?;
        let line = metrics.lines().find(|line| line.starts_with(series));
        Ok(line.and_then(|line| line.rsplit(' ').next()).map(str::to_owned))
    }

    /// Ends it as Kubernetes does, and waits for that.
    pub fn stop(mut self) -> Result<()> {
        let told = Command::new("kill").arg(self.0.id().to_string()).status()?;
        if !told.success() {
            bail!("the operator has ended before it was told to: see its log");
        }
        self.0.wait()?;
        Ok(())
    }
}

impl Drop for Operator {
    fn drop(&mut self) {
        // Where the benchmark failed; after `stop` there is nobody left to end.
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}

/// What its ops endpoint says, over plain HTTP: a client for one request of six lines would be more than this.
async fn get(path: &str) -> Result<String> {
    use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
    let mut stream = tokio::net::TcpStream::connect(OPS).await?;
    let request = format!("GET {path} HTTP/1.1\r\nHost: ops\r\nConnection: close\r\n\r\n");
    stream.write_all(request.as_bytes()).await?;
    let mut answer = String::new();
    stream.read_to_string(&mut answer).await?;
    Ok(answer)
}
