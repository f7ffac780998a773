//! A policy of a test: creates it, requests backups and waits for their results.

use std::time::Duration;

use anyhow::{Context, Result, bail};
use api::{
    BackupPolicy, BackupPolicySpec, BackupPolicyStatus, meta,
    status::{BackupStatus, ConditionStatus, ConditionType, FailureStatus, RunResult, RunStatus},
};
use domain::{name, operation::Operation, reason::Reason};
use k8s_openapi::api::batch::v1::{CronJob, Job};
use kube::{
    Api, ResourceExt,
    api::{DeleteParams, Patch, PatchParams, PostParams},
};
use serde_json::json;

use crate::{
    env::Env,
    job::{RunnerJob, RunnerSpec},
    wait::{self, DEADLINE},
};

/// A policy in a test's namespace.
#[derive(Clone)]
pub struct Policy {
    env: Env,
    pub name: String,
    pub uid: String,
}

impl Policy {
    pub async fn create(env: &Env, name: &str, spec: BackupPolicySpec) -> Result<Self> {
        let policy = env.api().create(&PostParams::default(), &BackupPolicy::new(name, spec)).await?;
        Ok(Self {
            env: env.clone(),
            name: name.to_owned(),
            uid: policy.uid().context("a created policy should have a UID")?,
        })
    }

    fn api(&self) -> Api<BackupPolicy> {
        self.env.api()
    }

    pub fn cron_job_name(&self) -> String {
        name::cron_job(&self.name, Operation::Backup)
    }

    /// Waits for the policy's backup CronJob and returns it.
    pub async fn cron_job(&self) -> Result<Box<CronJob>> {
        let cron_jobs = self.env.api::<CronJob>();
        wait::object(&cron_jobs, &self.cron_job_name(), "the CronJob is there", DEADLINE, |cron_job| {
            cron_job.cloned().map(Box::new)
        })
        .await
    }

    /// Returns the names of the policy's Jobs, including those that a person created from its CronJob.
    pub async fn jobs(&self) -> Result<Vec<String>> {
        let jobs = self.env.api::<Job>().list_metadata(&kube::api::ListParams::default()).await?;
        let mine = |job: &kube::core::PartialObjectMeta<Job>| {
            job.owner_references().iter().any(|owner| owner.name == self.cron_job_name())
        };
        Ok(jobs.into_iter().filter(mine).map(|job| job.name_any()).collect())
    }

    /// Changes the spec of the policy.
    pub async fn edit(&self, change: impl FnOnce(&mut BackupPolicySpec)) -> Result<()> {
        let mut policy = self.api().get(&self.name).await?;
        change(&mut policy.spec);
        let spec = policy.spec.clone();
        // The operator may write the status at the same time, so conflicts are retried.
        wait::until("the change is in time", DEADLINE, async || {
            match self.api().replace(&self.name, &PostParams::default(), &policy).await {
                Err(error) if is_conflict(&error) => {
                    policy = self.api().get(&self.name).await?;
                    policy.spec = spec.clone();
                    Ok(None)
                }
                replaced => Ok(Some(replaced.map(drop)?)),
            }
        })
        .await
    }

    /// Deletes the policy and waits until it is gone.
    pub async fn delete(&self) -> Result<()> {
        self.api().delete(&self.name, &DeleteParams::default()).await?;
        wait::object(&self.api(), &self.name, "the policy is gone", DEADLINE, |policy| {
            policy.is_none().then_some(())
        })
        .await
    }

    /// Requests a backup with the annotation and returns the name of its Job.
    pub async fn request(&self, token: &str) -> Result<String> {
        let patch = Patch::Merge(json!({"metadata": {"annotations": {meta::REQUESTED_AT: token}}}));
        self.api().patch(&self.name, &PatchParams::default(), &patch).await?;
        Ok(name::requested_job(&self.name, token))
    }

    /// Waits for a status for which `look` returns a value, and returns that value.
    pub async fn status_with<T>(
        &self,
        what: &str,
        deadline: Duration,
        look: impl Fn(&BackupPolicyStatus) -> Option<T>,
    ) -> Result<T> {
        wait::object(&self.api(), &self.name, what, deadline, |policy| {
            policy?.status.as_ref().and_then(&look)
        })
        .await
    }

    /// Waits until a condition has this status and reason. Returns the condition's message.
    pub async fn condition_is(
        &self,
        type_: ConditionType,
        status: ConditionStatus,
        reason: Reason,
    ) -> Result<String> {
        let what = format!("{type_}={status}, reason {reason}");
        self.status_with(&what, DEADLINE, |seen| {
            let condition = seen.condition(type_)?;
            (status.is_of(condition) && condition.reason == reason.as_str())
                .then(|| condition.message.clone())
        })
        .await
    }

    /// Waits until the policy is accepted and its CronJob is in place.
    pub async fn ready(&self) -> Result<()> {
        self.condition_is(ConditionType::Ready, ConditionStatus::True, Reason::Accepted).await.map(drop)
    }

    /// Waits until the history contains the result of a Job, and returns the run.
    pub async fn ended(&self, job: &str) -> Result<RunStatus> {
        self.status_with(&format!("run {job} ended"), DEADLINE, |status| {
            let run = status.history.iter().find(|run| run.job == job)?;
            (run.result != RunResult::Running).then(|| run.clone())
        })
        .await
    }

    /// Requests a backup and returns its status. Fails unless the first attempt succeeds.
    pub async fn backup(&self, token: &str) -> Result<BackupStatus> {
        let job = self.request(token).await?;
        self.succeeded(&job).await
    }

    /// Waits until a Job's run has ended and returns its backup's status. Fails unless the first attempt
    /// succeeds.
    pub async fn succeeded(&self, job: &str) -> Result<BackupStatus> {
        let run = self.ended(job).await?;
        let status = self.status().await?;
        if run.result != RunResult::Succeeded {
            let why = status.last_failure.map(|failure| failure.message);
            bail!("run {job} ended with {}: {}", run.reason, why.unwrap_or_default());
        }
        let newest = status.last_success.context("a run that succeeded should be in the status")?;
        if newest.job != job {
            bail!("the newest success is {}, not {job}", newest.job);
        }
        Ok(newest)
    }

    /// Waits until a Job's run has succeeded at any attempt, and returns its backup's status.
    pub async fn succeeded_at_any_attempt(&self, job: &str) -> Result<BackupStatus> {
        self.status_with(&format!("run {job} ended well"), DEADLINE, |status| {
            let newest = status.last_success.clone()?;
            (newest.job == job && newest.result == RunResult::Succeeded).then_some(newest)
        })
        .await
    }

    /// Requests a backup and returns its failure. Fails unless the run fails with this reason.
    pub async fn failure(&self, token: &str, reason: Reason) -> Result<FailureStatus> {
        let job = self.request(token).await?;
        self.failed(&job, reason).await
    }

    /// Waits until the operator has observed the current policy: changes the spec, then waits for the new generation.
    pub async fn wait_until_observed(&self) -> Result<()> {
        self.edit(|spec| *spec.retention.keep_last.get_or_insert(1000) += 1).await?;
        let generation = self.api().get(&self.name).await?.metadata.generation;
        self.status_with("the operator has seen the policy as it is", DEADLINE, |status| {
            (status.observed_generation >= generation).then_some(())
        })
        .await
    }

    /// Waits until a Job's run has failed and returns the failure. Fails if it has another reason.
    pub async fn failed(&self, job: &str, reason: Reason) -> Result<FailureStatus> {
        let failure = self
            .status_with(&format!("{job} is the last failure"), DEADLINE, |status| {
                status.last_failure.clone().filter(|failure| failure.job == job)
            })
            .await?;
        if failure.reason != reason {
            bail!("{job} failed with {}, not {reason}: {}", failure.reason, failure.message);
        }
        Ok(failure)
    }

    /// Returns the current status.
    pub async fn status(&self) -> Result<BackupPolicyStatus> {
        let policy = self.api().get(&self.name).await?;
        policy.status.context("a policy should have a status")
    }

    /// Creates a Job like `kubectl create job --from`, from the CronJob's template changed by `change`.
    pub async fn start(&self, job: &str, change: impl FnOnce(&mut RunnerSpec<'_>)) -> Result<RunnerJob> {
        let job = RunnerJob::from(&*Box::pin(self.cron_job()).await?, job, change)?;
        RunnerJob::create(&self.env, &job).await
    }
}

fn is_conflict(error: &kube::Error) -> bool {
    matches!(error, kube::Error::Api(status) if status.is_conflict())
}
