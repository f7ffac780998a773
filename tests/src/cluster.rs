//! The cluster that all tests share, and its preparation before the first test.

use std::{
    env,
    io::Write,
    path::PathBuf,
    process::{Command, Stdio},
    sync::LazyLock,
    time::Instant,
};

use anyhow::{Context, Result, anyhow, bail};

use crate::{diagnosis, manifests};

/// The namespace of the operator.
pub const SYSTEM: &str = "pgbackup-system";
/// The namespace of the shell on the node.
pub const NODE_NAMESPACE: &str = "pgbackup-e2e";
/// The folder of the tests' volumes on the node.
pub const NODE_VOLUMES: &str = "/var/lib/pgbackup-e2e";

/// The cluster that all tests share.
pub struct Cluster {
    root: PathBuf,
    /// Whether the cluster provisions volumes.
    pub provides_volumes: bool,
    /// The name of the node on which tests create volumes.
    pub node: String,
}

static CLUSTER: LazyLock<Cluster> =
    LazyLock::new(|| Cluster::prepare().unwrap_or_else(|error| give_up(&error)));

impl Cluster {
    /// Returns the cluster with the product installed. The first caller installs it while others wait. If
    /// that fails, the whole test run ends.
    pub fn get() -> &'static Self {
        &CLUSTER
    }

    fn prepare() -> Result<Self> {
        if env::var_os("KUBECONFIG").is_none() {
            bail!(
                "KUBECONFIG is not set, and the tests use no cluster by chance: run `make e2e`, or \
                 `make cluster-up test-images`, load the images, and export \
                 KUBECONFIG=$(tests/cluster/cluster kubeconfig)"
            );
        }
        rustls::crypto::ring::default_provider()
            .install_default()
            .map_err(|_| anyhow!("a TLS provider is installed already"))?;
        let started = Instant::now();
        let root = PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("..").canonicalize()?;
        let mut cluster = Self { root, provides_volumes: false, node: String::new() };
        let default_class = "{.items[?(@.metadata.annotations.storageclass\\.kubernetes\\.io/is-default-class==\"true\")].metadata.name}";
        cluster.provides_volumes = !cluster
            .kubectl(&["get", "storageclasses", "-o", &format!("jsonpath={default_class}")], "")
            .context("the cluster of KUBECONFIG does not answer")?
            .is_empty();
        cluster.install()?;
        cluster.start_node_shell()?;
        eprintln!("operator and node shell ready after {:.1} s", started.elapsed().as_secs_f32());
        Ok(cluster)
    }

    fn install(&self) -> Result<()> {
        let chart = self.chart();
        // Helm does not upgrade the CRDs of a chart.
        let crds = self.door("helm", &["show", "crds", &chart], "")?;
        self.kubectl(&["apply", "--server-side", "--force-conflicts", "-f", "-"], &crds)?;
        self.install_release("pgbackup", SYSTEM, &[])
            .with_context(|| format!("the chart cannot be installed{}", diagnosis::of_operator(self, SYSTEM)))
    }

    fn chart(&self) -> String {
        self.root.join("charts/pgbackup").to_string_lossy().into_owned()
    }

    /// Installs a release of the chart with these settings (`name=value`) and waits until its operator is ready.
    pub(crate) fn install_release(&self, release: &str, namespace: &str, settings: &[&str]) -> Result<()> {
        let images = [
            format!("image.operator={}", operator_image()),
            format!("image.runner={}", runner_image()),
            format!("postgresImage={}", postgres_repository()),
        ];
        let chart = self.chart();
        let mut args = vec!["upgrade", "--install", release, &chart, "--namespace", namespace];
        args.extend(["--create-namespace", "--wait", "--timeout", "2m"]);
        for setting in images.iter().map(String::as_str).chain(settings.iter().copied()) {
            args.extend(["--set", setting]);
        }
        self.door("helm", &args, "").map(drop)
    }

    /// Uninstalls a release and waits until it is gone.
    pub(crate) fn uninstall_release(&self, release: &str, namespace: &str) -> Result<()> {
        let args = ["uninstall", release, "--namespace", namespace, "--wait", "--timeout", "2m"];
        self.door("helm", &args, "").map(drop)
    }

    fn start_node_shell(&mut self) -> Result<()> {
        let manifest = manifests::fill(
            manifests::NODE,
            &[("NAMESPACE", NODE_NAMESPACE), ("IMAGE", &postgres_image("17")), ("VOLUMES", NODE_VOLUMES)],
        );
        self.kubectl(&["apply", "-f", "-"], &manifest)?;
        let pod = ["-n", NODE_NAMESPACE, "pod/node"];
        self.kubectl(&[&["wait", "--for=condition=Ready", "--timeout=60s"], &pod[..]].concat(), "").context(
            "the tests' shell on the node does not start: is the image localhost/postgres:17 loaded?",
        )?;
        self.node = self.kubectl(&[&["get", "-o", "jsonpath={.spec.nodeName}"], &pod[..]].concat(), "")?;
        Ok(())
    }

    /// Runs kubectl and returns its output.
    pub fn kubectl(&self, args: &[&str], input: &str) -> Result<String> {
        self.door("kubectl", args, input)
    }

    /// Kills a component of the node and waits until it has restarted.
    pub(crate) fn kill(&self, component: &str) -> Result<()> {
        self.door("kill", &[component], "").map(drop)
    }

    /// Runs kubectl or Helm of the test cluster's script, which uses the cluster of KUBECONFIG.
    fn door(&self, tool: &str, args: &[&str], input: &str) -> Result<String> {
        let door = self.root.join("tests/cluster/cluster");
        let mut child = Command::new(&door)
            .arg(tool)
            .args(args)
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .stderr(Stdio::piped())
            .spawn()
            .with_context(|| format!("starting {}", door.display()))?;
        child.stdin.take().context("the child should have a standard input")?.write_all(input.as_bytes())?;
        let output = child.wait_with_output()?;
        if !output.status.success() {
            bail!(
                "{tool} {} ended with {}: {}",
                args.join(" "),
                output.status,
                String::from_utf8_lossy(&output.stderr).trim()
            );
        }
        Ok(String::from_utf8_lossy(&output.stdout).into_owned())
    }
}

/// Ends the test run with an error on the terminal. It does not use `eprintln`, because the test harness
/// would delay it until the end.
fn give_up(error: &anyhow::Error) -> ! {
    let _ = writeln!(std::io::stderr(), "\nno test was run, the cluster is not ready for them: {error:?}");
    std::process::exit(1)
}

/// Returns the image of the operator, named as in the Makefile.
fn operator_image() -> String {
    image("PGBACKUP_OPERATOR_IMAGE", "pgbackup-operator")
}

/// Returns the image that contains the runner.
fn runner_image() -> String {
    image("PGBACKUP_RUNNER_IMAGE", "pgbackup-runner")
}

/// Returns the image of a PostgreSQL major version.
pub fn postgres_image(tag: &str) -> String {
    format!("{}:{tag}", postgres_repository())
}

/// Returns the image of the S3 server.
pub fn s3_image() -> String {
    env::var("PGBACKUP_S3_IMAGE").unwrap_or_else(|_| "localhost/versitygw:1".to_owned())
}

/// Returns the image of the connection pooler.
pub fn pgbouncer_image() -> String {
    env::var("PGBACKUP_PGBOUNCER_IMAGE").unwrap_or_else(|_| "localhost/pgbouncer:1".to_owned())
}

fn postgres_repository() -> String {
    env::var("PGBACKUP_POSTGRES_IMAGE").unwrap_or_else(|_| "localhost/postgres".to_owned())
}

fn image(variable: &str, name: &str) -> String {
    env::var(variable).unwrap_or_else(|_| format!("localhost/{name}:{}-debug", env!("CARGO_PKG_VERSION")))
}
