//! Runs the operator as a process on this machine, with the released binary.

use std::{
    fs,
    path::PathBuf,
    process::{Child, Command, Stdio},
    time::Duration,
};

use anyhow::{Context as _, Result, bail};

use crate::wait;

/// The address of the operator's ops endpoint.
const OPS: &str = "127.0.0.1:18080";

/// The namespace of the operator's Lease and of all policies.
pub const NAMESPACE: &str = "pgbackup-scale";

pub const LEASE: &str = "pgbackup-operator";

/// The operator's binary and settings.
#[derive(Clone, Debug)]
pub struct Program {
    pub binary: PathBuf,
    pub runner_image: String,
    pub postgres_repository: String,
    /// The file to which the operator's log is appended.
    pub log: PathBuf,
}

/// A running operator. Dropping this value ends the process.
#[derive(Debug)]
pub struct Operator(Child);

/// The resources that a process has used since its start.
#[derive(Clone, Copy, Debug, Default)]
pub struct Usage {
    /// The CPU time, in seconds.
    pub cpu: f64,
    /// The current resident memory, in MiB.
    pub resident: f64,
    /// The peak of the resident memory, in MiB.
    pub peak: f64,
}

impl Program {
    pub fn start(&self) -> Result<Operator> {
        let log = fs::File::options().create(true).append(true).open(&self.log)?;
        let child = Command::new(&self.binary)
            // The same settings as in the chart.
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

    /// Starts the operator, and waits until it leads and has reconciled this number of policies.
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
    pub fn usage(&self) -> Result<Usage> {
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
        // USER_HZ is 100 on all architectures on which Kubernetes runs.
        Ok(Usage {
            cpu: f64::from(ticks) / 100.0,
            resident: mebibytes("VmRSS:")?,
            peak: mebibytes("VmHWM:")?,
        })
    }

    /// Returns the number of successful reconciles, from the operator's own metric.
    pub async fn reconciles(&self) -> Result<u64> {
        let count = self.metric("pgbackup_reconciles_total{result=\"success\"}").await?;
        Ok(count.map(|count| count.parse()).transpose()?.unwrap_or_default())
    }

    /// Returns the value of the series whose line begins with `series`; `None` until the operator exposes it.
    async fn metric(&self, series: &str) -> Result<Option<String>> {
        let metrics = get("/metrics").await?;
        let line = metrics.lines().find(|line| line.starts_with(series));
        Ok(line.and_then(|line| line.rsplit(' ').next()).map(str::to_owned))
    }

    /// Sends SIGTERM, like Kubernetes, and waits for the end of the process.
    pub fn stop(mut self) -> Result<()> {
        let killed = Command::new("kill").arg(self.0.id().to_string()).status()?;
        if !killed.success() {
            bail!("the operator exited too early; read its log");
        }
        self.0.wait()?;
        Ok(())
    }
}

impl Drop for Operator {
    fn drop(&mut self) {
        // Ends the operator if the benchmark fails. After `stop` this does nothing.
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}

/// Returns the response of the ops endpoint over plain HTTP. Using a client library would take more code.
async fn get(path: &str) -> Result<String> {
    use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
    let mut stream = tokio::net::TcpStream::connect(OPS).await?;
    let request = format!("GET {path} HTTP/1.1\r\nHost: ops\r\nConnection: close\r\n\r\n");
    stream.write_all(request.as_bytes()).await?;
    let mut answer = String::new();
    stream.read_to_string(&mut answer).await?;
    Ok(answer)
}
