//! The environment of one end-to-end test: its namespace, volumes, servers and clean-up.

use std::{
    panic::AssertUnwindSafe,
    time::{Duration, Instant},
};

use anyhow::{Context, Result, anyhow};
use api::policy::{
    BackupPolicySpec, Connection, Databases, Dump, Globals, JobOptions, Objectives, Postgres as PostgresSpec,
    Retention, SecretKeyRef, SslMode, Storage, Verification, VolumeStorage,
};
use futures::FutureExt;
use k8s_openapi::api::{
    authorization::v1::SubjectAccessReview,
    core::v1::{Namespace, PersistentVolume, Pod},
};
use kube::{
    Api, Client, Config, ResourceExt,
    api::{DeleteParams, ListParams, PostParams},
    core::NamespaceResourceScope,
};
use serde_json::{Value, json};
use tokio::{runtime::Runtime, time};

use crate::{
    cluster::{self, Cluster, NODE_NAMESPACE, NODE_VOLUMES},
    diagnosis, exec,
    manifests::{self, fill},
    operator::{Operator, SERIAL},
    policy::Policy,
    postgres::Postgres,
    store::Store,
    wait,
};

/// The default volume claim of policies.
pub const CLAIM: &str = "backups";

/// A schedule that is never due during a test, for policies with requested backups.
pub const NEW_YEAR: &str = "0 4 1 1 *";

/// The time limit of one test.
const STORY_LIMIT: Duration = Duration::from_mins(6);

/// The environment of one test.
#[derive(Clone)]
pub struct Env {
    /// A client for the cluster's API.
    pub client: Client,
    /// The test's own namespace.
    pub namespace: String,
    /// The superuser's password on the test's PostgreSQL servers.
    pub password: String,
    cluster: &'static Cluster,
}

/// Runs a test in its own namespace, in parallel with others. If it fails, the state of its namespace is printed.
/// `PGBACKUP_KEEP=1` keeps the namespace of a failed test.
pub fn story(name: &str, test: impl AsyncFnOnce(Env) -> Result<()>) -> Result<()> {
    let cluster = Cluster::get();
    outcome(runtime()?.block_on(run(cluster, STORY_LIMIT, name, test)))
}

/// Runs a test that may stop the shared operator, and restores the operator afterwards. Such tests belong in
/// `tests/serial`, because other tests need the operator.
pub fn serial_story(name: &str, test: impl AsyncFnOnce(Env, Operator) -> Result<()>) -> Result<()> {
    serial_story_within(STORY_LIMIT, name, test)
}

/// Runs a test like [`serial_story`], with its own time limit.
pub fn serial_story_within(
    limit: Duration,
    name: &str,
    test: impl AsyncFnOnce(Env, Operator) -> Result<()>,
) -> Result<()> {
    let cluster = Cluster::get();
    outcome(runtime()?.block_on(async {
        let _alone = SERIAL.lock().await;
        let ended = run(cluster, limit, name, async |env: Env| {
            let operator = Operator::new(env.client.clone());
            test(env, operator).await
        })
        .await;
        Operator::new(client().await?).restore().await?;
        ended
    }))
}

/// The result of a test: its own result, or its panic. A timeout is an error.
type Ended = std::thread::Result<Result<()>>;

async fn run(
    cluster: &'static Cluster,
    limit: Duration,
    name: &str,
    test: impl AsyncFnOnce(Env) -> Result<()>,
) -> Result<Ended> {
    let env = Env::new(cluster, name).await?;
    let limited = time::timeout(limit, test(env.clone()));
    let started = Instant::now();
    let ended = AssertUnwindSafe(limited).catch_unwind().await;
    println!("{name} took {:.1} s", started.elapsed().as_secs_f32());
    let good = matches!(ended, Ok(Ok(Ok(()))));
    if !good {
        println!("{}", diagnosis::describe(cluster, &env.namespace));
    }
    if good || std::env::var("PGBACKUP_KEEP").is_err() {
        let removed = env.remove().await;
        println!("removing namespace {}: {removed:?}", env.namespace);
    } else {
        println!("namespace {} is kept, as PGBACKUP_KEEP asks", env.namespace);
    }
    let late = |_| Err(anyhow!("the test took longer than {limit:?}"));
    Ok(ended.map(|ended| ended.unwrap_or_else(late)))
}

fn outcome(ended: Result<Ended>) -> Result<()> {
    ended?.unwrap_or_else(|panic| std::panic::resume_unwind(panic))
}

fn runtime() -> Result<Runtime> {
    Ok(tokio::runtime::Builder::new_current_thread().enable_all().build()?)
}

async fn client() -> Result<Client> {
    Ok(Client::try_from(Config::infer().await?)?)
}

impl Env {
    async fn new(cluster: &'static Cluster, name: &str) -> Result<Self> {
        let client = client().await?;
        let namespaces: Api<Namespace> = Api::all(client.clone());
        let labels = json!({"pod-security.kubernetes.io/enforce": "restricted", "pgbackup.dev/e2e": "true"});
        let metadata = json!({"generateName": format!("e2e-{name}-"), "labels": labels});
        let namespace = serde_json::from_value(json!({"metadata": metadata}))?;
        let namespace = namespaces.create(&PostParams::default(), &namespace).await?.name_any();
        let password = format!("secret-of-{namespace}");
        let env = Self { client, namespace, password, cluster };
        env.create(&fill(manifests::SECRET, &[("PASSWORD", &env.password)])).await?;
        env.volume(CLAIM).await?;
        Ok(env)
    }

    /// Returns the API of a kind in the test's namespace.
    pub fn api<K>(&self) -> Api<K>
    where
        K: kube::Resource<Scope = NamespaceResourceScope>,
        K::DynamicType: Default,
    {
        Api::namespaced(self.client.clone(), &self.namespace)
    }

    /// Creates the objects of a manifest in the test's namespace.
    pub async fn create(&self, manifest: &str) -> Result<()> {
        manifests::create(&self.client, &self.namespace, manifest).await
    }

    /// Starts a PostgreSQL server named `postgres` and waits until it accepts connections.
    pub async fn postgres(&self, major: u32) -> Result<Postgres> {
        self.postgres_with(major, &[]).await
    }

    /// Starts a server like [`Env::postgres`], with settings (`name=value`).
    pub async fn postgres_with(&self, major: u32, settings: &[&str]) -> Result<Postgres> {
        Postgres::start_with(self, "postgres", major, settings).await
    }

    /// Starts a connection pooler in front of the server `postgres`, with these settings (`name = value`).
    pub async fn pgbouncer(&self, name: &str, settings: &str) -> Result<()> {
        let image = cluster::pgbouncer_image();
        let values = [("NAME", name), ("IMAGE", image.as_str()), ("SETTINGS", settings)];
        self.create(&fill(manifests::PGBOUNCER, &values)).await?;
        wait::pod_is_ready(&self.api(), name).await.map(drop)
    }

    /// Starts a shell with the default claim mounted.
    pub async fn store(&self) -> Result<Store> {
        Store::open(self, CLAIM).await
    }

    /// Creates a claim that backups can write. The cluster provisions its volume, or it is a directory of the
    /// node.
    pub async fn volume(&self, claim: &str) -> Result<()> {
        if self.cluster.provides_volumes {
            return self.create(&fill(manifests::CLAIM, &[("CLAIM", claim)])).await;
        }
        self.node_volume(claim, manifests::HOST_PATH_VOLUME, "0777").await
    }

    /// Creates a claim on a directory of the node with the permissions `mode`. `manifest` determines the kind
    /// of volume.
    pub async fn node_volume(&self, claim: &str, manifest: &str, mode: &str) -> Result<()> {
        let volume = format!("{}-{claim}", self.namespace);
        let path = format!("{NODE_VOLUMES}/{volume}");
        self.on_node(&["mkdir", "--parents", "--mode", mode, &path]).await?;
        let values = [
            ("VOLUME", volume.as_str()),
            ("CLAIM", claim),
            ("NAMESPACE", &self.namespace),
            ("PATH", &path),
            ("NODE", &self.cluster.node),
        ];
        self.create(&fill(manifest, &values)).await
    }

    /// Creates a claim on a writable tmpfs of this size (`8m`). It is removed at the end of the test.
    pub async fn small_volume(&self, claim: &str, size: &str) -> Result<()> {
        let path = format!("{NODE_VOLUMES}/{}-{claim}", self.namespace);
        let options = format!("size={size},mode=0777");
        let mount = ["mount", "-t", "tmpfs", "-o", &options, "tmpfs", &path];
        self.on_node(&["mkdir", "--parents", &path]).await?;
        self.on_node(&[&["nsenter", "--target", "1", "--mount"], &mount[..]].concat()).await?;
        self.node_volume(claim, manifests::HOST_PATH_VOLUME, "0777").await
    }

    /// Runs a command as root in the node's process namespace.
    pub async fn on_node(&self, command: &[&str]) -> Result<String> {
        let pods: Api<Pod> = Api::namespaced(self.client.clone(), NODE_NAMESPACE);
        exec::stdout(&pods, "node", "shell", command, "").await
    }

    /// Runs kubectl in the test's namespace and returns its output.
    pub fn kubectl(&self, args: &[&str]) -> Result<String> {
        self.cluster.kubectl(&[&["--namespace", &self.namespace], args].concat(), "")
    }

    /// Returns whether a user has a permission, given as the `resourceAttributes` of a SubjectAccessReview.
    pub async fn may(&self, user: &str, asked: &Value) -> Result<bool> {
        let reviews: Api<SubjectAccessReview> = Api::all(self.client.clone());
        let review = serde_json::from_value(json!({"spec": {"user": user, "resourceAttributes": asked}}))?;
        let answer = reviews.create(&PostParams::default(), &review).await?;
        Ok(answer.status.is_some_and(|status| status.allowed))
    }

    /// Installs a second release of the chart in the test's namespace and waits until its operator is ready. The shared
    /// operator must be stopped first.
    pub fn install(&self, settings: &[&str]) -> Result<()> {
        self.cluster.install_release(&self.namespace, &self.namespace, settings)
    }

    /// Uninstalls the release of [`Env::install`].
    pub fn uninstall(&self) -> Result<()> {
        self.cluster.uninstall_release(&self.namespace, &self.namespace)
    }

    /// Runs kubectl with `input` on its standard input and returns its output.
    pub fn cluster_kubectl(&self, args: &[&str], input: &str) -> Result<String> {
        self.cluster.kubectl(args, input)
    }

    /// Kills etcd or the API server and waits until it has restarted.
    pub fn kill(&self, component: &str) -> Result<()> {
        self.cluster.kill(component)
    }

    /// Returns the name of the node on which tests create volumes.
    pub fn node(&self) -> &str {
        &self.cluster.node
    }

    /// Returns the operator's log lines about the test's namespace.
    pub fn operator_log(&self) -> Result<String> {
        let args = ["--namespace", cluster::SYSTEM, "logs", "deployment/pgbackup-operator", "--tail=-1"];
        let log = self.cluster.kubectl(&args, "")?;
        Ok(log
            .lines()
            .filter(|line| line.contains(&self.namespace))
            .map(|line| format!("{line}\n"))
            .collect())
    }

    /// Returns the default spec: all databases of the server `postgres`, and a schedule that is never due
    /// during a test.
    pub fn spec(&self) -> BackupPolicySpec {
        BackupPolicySpec {
            schedule: NEW_YEAR.to_owned(),
            time_zone: "Etc/UTC".to_owned(),
            suspend: false,
            catch_up: true,
            postgres: PostgresSpec {
                version: Some(17),
                image: None,
                connection: Connection {
                    host: Some("postgres".to_owned()),
                    uri_secret_ref: None,
                    port: 5432,
                    ssl_mode: SslMode::default(),
                    user: Some("postgres".to_owned()),
                    user_secret_ref: None,
                    password_secret_ref: Some(SecretKeyRef {
                        name: "postgres".to_owned(),
                        key: "password".to_owned(),
                    }),
                    ca_secret_ref: None,
                    client_certificate_secret_ref: None,
                },
                databases: Databases::default(),
                globals: Globals::default(),
            },
            dump: Dump::default(),
            storage: on_volume(CLAIM, None),
            retention: Retention::default(),
            verification: Verification::default(),
            objectives: Objectives::default(),
            job: JobOptions::default(),
        }
    }

    /// Creates a policy with [`Env::spec`] after `change` was applied.
    pub async fn policy(&self, name: &str, change: impl FnOnce(&mut BackupPolicySpec)) -> Result<Policy> {
        let mut spec = self.spec();
        change(&mut spec);
        Policy::create(self, name, spec).await
    }

    async fn remove(&self) -> Result<()> {
        let namespaces: Api<Namespace> = Api::all(self.client.clone());
        let now = DeleteParams::default();
        namespaces.delete(&self.namespace, &now).await.context("deleting the test's namespace")?;
        if !self.cluster.provides_volumes {
            let volumes: Api<PersistentVolume> = Api::all(self.client.clone());
            for volume in volumes.list_metadata(&ListParams::default()).await? {
                if volume.name_any().starts_with(&self.namespace) {
                    volumes.delete(&volume.name_any(), &now).await?;
                }
            }
            // A volume to which a pod still writes cannot be removed yet.
            let mine = format!(
                "for volume in {NODE_VOLUMES}/{}-*; do
                   ! nsenter --target 1 --mount mountpoint --quiet $volume || nsenter --target 1 --mount umount --lazy $volume
                   rm -rf $volume || true
                 done",
                self.namespace
            );
            self.on_node(&["sh", "-c", &mine]).await?;
        }
        Ok(())
    }
}

/// Returns the storage of policies that store to a claim.
pub fn on_volume(claim: &str, sub_path: Option<&str>) -> Storage {
    let volume = VolumeStorage { claim_name: claim.to_owned(), sub_path: sub_path.map(str::to_owned) };
    Storage { volume: Some(volume), ..Storage::default() }
}

/// Returns the PostgreSQL image of a major version, for servers and shells.
pub(crate) fn image(major: u32) -> String {
    cluster::postgres_image(&major.to_string())
}
