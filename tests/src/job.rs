//! Jobs that a test creates from a policy's CronJob with a changed spec, and signals to their runners.

use anyhow::{Context, Result};
use api::meta::RUNNER_CONTAINER;
use domain::report::{BackupStage, RunReport};
use k8s_openapi::{
    api::{
        batch::v1::{CronJob, Job, JobSpec},
        core::v1::{Container, ContainerStateTerminated, EnvVar, Pod},
    },
    apimachinery::pkg::api::resource::Quantity,
};
use kube::{Resource, ResourceExt, api::PostParams};

use crate::{env::Env, exec, wait, wait::DEADLINE};

/// The environment variable that names the stage at which a debug build of the runner stops.
pub const FAILPOINT: &str = "PGBACKUP_FAILPOINT";

/// The spec of a Job before its creation.
pub struct RunnerSpec<'a> {
    job: &'a mut JobSpec,
}

impl RunnerSpec<'_> {
    fn runner(&mut self) -> &mut Container {
        let pod = self.job.template.spec.as_mut().expect("a Job should have a pod");
        let mut containers = pod.containers.iter_mut();
        containers
            .find(|container| container.name == RUNNER_CONTAINER)
            .expect("a Job should have the runner's container")
    }

    /// Adds an argument to the runner's command line.
    pub fn arg(&mut self, arg: &str) -> &mut Self {
        self.runner().args.get_or_insert_default().push(arg.to_owned());
        self
    }

    /// Sets an environment variable of the runner.
    pub fn env(&mut self, name: &str, value: &str) -> &mut Self {
        let env = self.runner().env.get_or_insert_default();
        env.retain(|variable| variable.name != name);
        env.push(EnvVar { name: name.to_owned(), value: Some(value.to_owned()), value_from: None });
        self
    }

    /// Wraps the runner's command in a shell script, which runs it as `"$@"`.
    pub fn script(&mut self, script: &str) -> &mut Self {
        let runner = self.runner();
        let shell = ["sh", "-c", script, "sh"].map(str::to_owned);
        let command = runner.command.take().unwrap_or_default();
        runner.command = Some(shell.into_iter().chain(command).collect());
        self
    }

    /// Sets the runner's memory limit (`8Mi`).
    pub fn memory_limit(&mut self, limit: &str) -> &mut Self {
        let resources = self.runner().resources.get_or_insert_default();
        let limit = [("memory".to_owned(), Quantity(limit.to_owned()))];
        resources.limits = Some(limit.clone().into());
        resources.requests = Some(limit.into());
        self
    }

    /// Sets the pod's limit of ephemeral storage (`8Mi`).
    pub fn disk_limit(&mut self, limit: &str) -> &mut Self {
        let resources = self.runner().resources.get_or_insert_default();
        let limit = ("ephemeral-storage".to_owned(), Quantity(limit.to_owned()));
        resources.limits.get_or_insert_default().extend([limit]);
        self
    }

    /// Sets the Job's deadline in seconds.
    pub fn deadline(&mut self, seconds: i64) -> &mut Self {
        self.job.active_deadline_seconds = Some(seconds);
        self
    }

    /// Binds the pod to this node, past the scheduler.
    pub fn on_node(&mut self, node: &str) -> &mut Self {
        let pod = self.job.template.spec.as_mut().expect("a Job should have a pod");
        pod.node_name = Some(node.to_owned());
        self
    }

    /// Allows one attempt only.
    pub fn once(&mut self) -> &mut Self {
        self.job.backoff_limit = Some(0);
        self
    }

    /// Stops the runner at the start of a stage until it is killed.
    pub fn stop_at(&mut self, stage: BackupStage) -> &mut Self {
        self.once().env(FAILPOINT, stage.as_str())
    }
}

/// A signal that ends a run.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Signal {
    /// Sent by the kubelet to end a container.
    Term,
    /// Sent by the kubelet to end a container of PostgreSQL's images (STOPSIGNAL).
    Int,
    /// Sent by the kernel when memory is short. No program can catch it.
    Kill,
}

/// The end of a runner's container, according to the kubelet.
#[derive(Debug)]
pub struct Death {
    pub exit_code: i32,
    /// The report in the container's termination message.
    pub report: RunReport,
}

/// A Job that a test has created.
pub struct RunnerJob {
    env: Env,
    pub name: String,
}

impl RunnerJob {
    /// Returns the Job that `kubectl create job --from` creates, changed by `change`.
    pub(crate) fn from(
        cron_job: &CronJob,
        name: &str,
        change: impl FnOnce(&mut RunnerSpec<'_>),
    ) -> Result<Box<Job>> {
        let template = cron_job.spec.job_template.clone();
        let mut spec = template.spec.context("a CronJob's template should have a spec")?;
        change(&mut RunnerSpec { job: &mut spec });
        let mut job =
            Box::new(Job { metadata: template.metadata.unwrap_or_default(), spec: Some(spec), status: None });
        job.metadata.name = Some(name.to_owned());
        job.metadata.owner_references = cron_job.controller_owner_ref(&()).map(|owner| vec![owner]);
        let manual = ("cronjob.kubernetes.io/instantiate".to_owned(), "manual".to_owned());
        job.annotations_mut().extend([manual]);
        Ok(job)
    }

    pub(crate) async fn create(env: &Env, job: &Job) -> Result<Self> {
        env.api().create(&PostParams::default(), job).await?;
        Ok(Self { env: env.clone(), name: job.name_any() })
    }

    fn selector(&self) -> String {
        format!("{}={}", api::meta::JOB_NAME_LABEL, self.name)
    }

    /// Waits until the runner's container runs and returns its pod.
    pub async fn running(&self) -> Result<Pod> {
        let pods = self.env.api::<Pod>();
        wait::labelled(&pods, &self.selector(), "the runner runs", DEADLINE, |pod| {
            let statuses = pod.status.as_ref()?.container_statuses.as_ref()?;
            let runner = statuses.iter().find(|status| status.name == RUNNER_CONTAINER)?;
            runner.state.as_ref()?.running.as_ref()?;
            Some(pod.clone())
        })
        .await
    }

    /// Waits until the runner has stopped at the failpoint of `stage` and returns its pod's name.
    pub async fn stopped_at(&self, stage: BackupStage) -> Result<String> {
        let pod = self.running().await?.name_any();
        let what = format!("{} stands at {}", self.name, stage.as_str());
        wait::until(&what, DEADLINE, async || {
            let log = self.env.api::<Pod>().logs(&pod, &Self::runner_log()).await?;
            let stands = format!("failpoint: stopped at {}", stage.as_str());
            Ok(log.contains(&stands).then_some(()))
        })
        .await?;
        Ok(pod)
    }

    fn runner_log() -> kube::api::LogParams {
        kube::api::LogParams { container: Some(RUNNER_CONTAINER.to_owned()), ..Default::default() }
    }

    /// Sends a signal to the runner, the first process of its container.
    pub async fn signal(&self, pod: &str, signal: Signal) -> Result<()> {
        let pods = self.env.api::<Pod>();
        let number = match signal {
            Signal::Term => "-TERM",
            Signal::Int => "-INT",
            Signal::Kill => return self.kill(pod).await,
        };
        let command = ["sh", "-c", &format!("kill {number} 1")];
        // The result is ignored: the container, and this command in it, end with the runner.
        exec::output(&pods, pod, RUNNER_CONTAINER, &command, "").await.map(drop)
    }

    /// Sends SIGKILL from the node: a container cannot kill its own first process.
    async fn kill(&self, pod: &str) -> Result<()> {
        let pod = self.env.api::<Pod>().get(pod).await?;
        let uid = pod.uid().context("a pod should have a UID")?;
        let script = format!(
            "for cgroup in $(grep --files-with-matches {uid} /proc/[0-9]*/cgroup 2> /dev/null); do
               process=${{cgroup%/cgroup}}
               [ \"$(cat $process/comm)\" != pgbackup-runner ] || kill -KILL ${{process#/proc/}}
             done; true"
        );
        self.env.on_node(&["sh", "-c", &script]).await?;
        Ok(())
    }

    /// Waits until the runner has ended and returns its exit code and report.
    pub async fn death(&self) -> Result<Death> {
        let pods = self.env.api::<Pod>();
        let ended =
            wait::labelled(&pods, &self.selector(), "the runner has ended", DEADLINE, terminated).await?;
        let message = ended.message.unwrap_or_default();
        Ok(Death {
            exit_code: ended.exit_code,
            report: RunReport::parse(&message).with_context(|| format!("not a report: {message:?}"))?,
        })
    }
}

fn terminated(pod: &Pod) -> Option<ContainerStateTerminated> {
    let statuses = pod.status.as_ref()?.container_statuses.as_ref()?;
    let runner = statuses.iter().find(|status| status.name == RUNNER_CONTAINER)?;
    runner.state.as_ref()?.terminated.clone()
}
