//! Random faults, one at a time.

use std::{collections::BTreeMap, time::Duration};

use anyhow::{Context, Result};
use api::{BackupPolicy, policy::Scrub};
use domain::{name, operation::Operation};
use k8s_openapi::{
    api::{
        batch::v1::{CronJob, Job},
        core::v1::Pod,
    },
    apiextensions_apiserver::pkg::apis::apiextensions::v1::{CustomResourceDefinition, JSONSchemaProps},
};
use kube::{
    Api, ResourceExt as _,
    api::{DeleteParams, EvictParams, ListParams, Patch, PatchParams, PostParams},
};
use pgbackup_tests::{Env, Operator, Policy, env::NEW_YEAR};
use serde_json::json;

use crate::{chance::Chance, clock::Clock, storms::Storm};

/// The possible numbers of replicas of the operator.
const REPLICAS: [usize; 2] = [1, 2];

/// The duration of a storm, and the time for which a node is drained, in milliseconds.
const SPELL: usize = 6000;

/// The longest pause between two faults, in milliseconds.
const PAUSE: usize = 2000;

/// The schedules that policies get. The second one never comes, which only the operator can detect.
const SCHEDULES: [&str; 3] = [NEW_YEAR, "0 0 30 2 *", "H 5 1 1 *"];

/// A field of the status that an older CRD may lack.
const LATER_FIELD: &str = "overdueTime";

/// All faults.
const FAULTS: [Fault; 17] = [
    Fault::KillOperator,
    Fault::Scale,
    Fault::KillApiServer,
    Fault::KillEtcd,
    Fault::Storm(Storm::TooManyRequests),
    Fault::Storm(Storm::InternalError),
    Fault::Conflicts,
    Fault::DeleteCronJob,
    Fault::ChangeCronJob,
    Fault::EditPolicy,
    Fault::EditPolicy,
    Fault::RemakePolicy,
    Fault::Request,
    Fault::DeleteJob,
    Fault::Drain,
    Fault::ChangeDefinition,
    Fault::SetClock,
];

#[derive(Clone, Copy, Debug)]
enum Fault {
    KillOperator,
    Scale,
    KillApiServer,
    KillEtcd,
    Storm(Storm),
    Conflicts,
    DeleteCronJob,
    ChangeCronJob,
    EditPolicy,
    RemakePolicy,
    Request,
    DeleteJob,
    Drain,
    ChangeDefinition,
    SetClock,
}

/// The faults so far, and the backups that were requested meanwhile.
pub struct Chaos {
    env: Env,
    operator: Operator,
    /// The policies, as created last.
    pub policies: Vec<Policy>,
    /// The last token that was requested for each policy.
    pub requests: BTreeMap<String, String>,
    clock: Clock,
    /// The definition of the field that an older CRD lacks.
    later_field: Option<JSONSchemaProps>,
    chance: Chance,
    struck: BTreeMap<String, u32>,
    failed: u32,
}

impl Chaos {
    /// Creates the state before the first fault.
    pub fn new(env: Env, operator: Operator, clock: Clock, policies: Vec<Policy>, chance: Chance) -> Self {
        let (requests, struck) = Default::default();
        Self { env, operator, policies, requests, clock, later_field: None, chance, struck, failed: 0 }
    }

    /// Causes one fault, sometimes followed by a pause. Errors are ignored, because the API server may be
    /// down.
    pub async fn strike(&mut self) {
        let fault = *self.chance.one_of(&FAULTS);
        let words = format!("{fault:?}");
        match Box::pin(self.bring_about(fault)).await {
            Ok(()) => *self.struck.entry(words).or_default() += 1,
            Err(_) => self.failed += 1,
        }
        self.pause(PAUSE).await;
    }

    /// Describes how often each fault happened.
    pub fn summary(&self) -> String {
        let struck: u32 = self.struck.values().sum();
        format!("{struck} faults ({} more could not be brought about): {:?}", self.failed, self.struck)
    }

    /// Pauses for a random time, to vary the pace of the faults. It does not wait for a condition.
    async fn pause(&mut self, longest: usize) {
        let millis = u64::try_from(self.chance.below(longest)).unwrap_or_default();
        tokio::time::sleep(Duration::from_millis(millis)).await;
    }

    fn policy(&mut self) -> Policy {
        self.chance.one_of(&self.policies).clone()
    }

    async fn bring_about(&mut self, fault: Fault) -> Result<()> {
        match fault {
            Fault::KillOperator => self.operator.kill().await,
            Fault::Scale => {
                let replicas = *self.chance.one_of(&REPLICAS);
                self.operator.set_replicas(replicas).await
            }
            Fault::KillApiServer => self.env.kill("kube-apiserver"),
            Fault::KillEtcd => self.env.kill("etcd"),
            Fault::Storm(storm) => {
                storm.begin(&self.env)?;
                self.pause(SPELL).await;
                storm.end(&self.env)
            }
            Fault::Conflicts => self.conflicts().await,
            Fault::DeleteCronJob => self.delete_cron_job().await,
            Fault::ChangeCronJob => {
                let name = self.policy().cron_job_name();
                let patch = Patch::Merge(json!({"spec": {"schedule": "1 1 1 1 *", "suspend": true}}));
                let changed = self.env.api::<CronJob>().patch(&name, &PatchParams::default(), &patch).await;
                changed.map(drop).map_err(Into::into)
            }
            Fault::EditPolicy => self.edit().await,
            Fault::RemakePolicy => self.remake().await,
            Fault::Request => self.request().await,
            Fault::DeleteJob => self.delete_job().await,
            Fault::Drain => self.drain().await,
            Fault::ChangeDefinition => {
                let older = self.chance.below(2) == 0;
                self.define(older).await
            }
            Fault::SetClock => self.clock.jump(&mut self.chance).await,
        }
    }

    /// Writes to CronJobs while the operator writes to them too.
    async fn conflicts(&mut self) -> Result<()> {
        let cron_jobs = self.env.api::<CronJob>();
        let policies: Vec<Policy> = (0..5).map(|_| self.policy()).collect();
        for policy in &policies {
            let minute = self.chance.below(60);
            policy.edit(|spec| spec.schedule = format!("{minute} 4 1 1 *")).await?;
            for turn in 0..10 {
                let patch = Patch::Merge(json!({"metadata": {"annotations": {"chaos": turn.to_string()}}}));
                cron_jobs.patch(&policy.cron_job_name(), &PatchParams::default(), &patch).await?;
            }
        }
        Ok(())
    }

    async fn delete_cron_job(&mut self) -> Result<()> {
        let policy = self.policy().name;
        let operation = *self.chance.one_of(&Operation::all().collect::<Vec<_>>());
        let name = name::cron_job(&policy, operation);
        // The CronJob's Jobs are kept. A Job that was requested must not be created again.
        let deleted = self.env.api::<CronJob>().delete(&name, &DeleteParams::orphan()).await;
        deleted.map(drop).map_err(Into::into)
    }

    async fn edit(&mut self) -> Result<()> {
        let (policy, what) = (self.policy(), self.chance.below(3));
        let schedule = (*self.chance.one_of(&SCHEDULES)).to_owned();
        policy
            .edit(|spec| match what {
                0 => spec.schedule = schedule,
                1 => spec.suspend = !spec.suspend,
                _ => {
                    let scrub = Scrub { schedule: NEW_YEAR.to_owned(), share: 10 };
                    spec.verification.scrub =
                        if spec.verification.scrub.is_some() { None } else { Some(scrub) };
                }
            })
            .await
    }

    /// Deletes a policy and creates one of the same name at once.
    async fn remake(&mut self) -> Result<()> {
        let at = self.chance.below(self.policies.len());
        let name = self.policies[at].name.clone();
        self.env.api::<BackupPolicy>().delete(&name, &DeleteParams::default()).await?;
        self.requests.remove(&name);
        self.policies[at] = self.env.policy(&name, |_| ()).await?;
        Ok(())
    }

    async fn request(&mut self) -> Result<()> {
        let policy = self.policy();
        let token = format!("t{}", self.chance.below(1_000_000_000));
        // Record the token even if the response was lost, because the request may have succeeded.
        self.requests.insert(policy.name.clone(), token.clone());
        policy.request(&token).await.map(drop)
    }

    /// Deletes the Job of a handled request. The Job must not be created again.
    async fn delete_job(&mut self) -> Result<()> {
        let at = self.chance.below(self.requests.len());
        let (name, token) = self.requests.iter().nth(at).context("nothing was requested yet")?;
        let policy = self.env.api::<BackupPolicy>().get(name).await?;
        let handled = policy.status.and_then(|status| status.last_handled_request);
        anyhow::ensure!(handled.as_ref() == Some(token), "it was not handled yet");
        let job = name::requested_job(name, token);
        let deleted = self.env.api::<Job>().delete(&job, &DeleteParams::background()).await;
        deleted.map(drop).map_err(Into::into)
    }

    /// Cordons the node for some time, and evicts the pods of backups.
    async fn drain(&mut self) -> Result<()> {
        let node = self.env.node().to_owned();
        self.env.cluster_kubectl(&["cordon", &node], "")?;
        let pods = self.env.api::<Pod>();
        let ours = ListParams::default().labels(&format!(
            "{}={}",
            api::meta::MANAGED_BY_LABEL,
            api::meta::MANAGED_BY
        ));
        for pod in pods.list_metadata(&ours).await? {
            pods.evict(&pod.name_any(), &EvictParams::default()).await?;
        }
        self.pause(SPELL).await;
        self.env.cluster_kubectl(&["uncordon", &node], "").map(drop)
    }

    /// Applies a CRD: the current one, or an older one, which removes unknown fields from a status. The API
    /// server then ends every watch of the resource.
    async fn define(&mut self, older: bool) -> Result<()> {
        let definitions: Api<CustomResourceDefinition> = Api::all(self.env.client.clone());
        let mut definition = definitions.get("backuppolicies.pgbackup.dev").await?;
        let schema = definition.spec.versions.first_mut().and_then(|version| version.schema.as_mut());
        let schema = schema.and_then(|schema| schema.open_api_v3_schema.as_mut());
        let properties = schema.and_then(|schema| schema.properties.as_mut()).context("a schema")?;
        let status = properties.get_mut("status").and_then(|status| status.properties.as_mut());
        let status = status.context("a status")?;
        if let Some(field) = status.remove(LATER_FIELD) {
            self.later_field = Some(field);
        }
        if !older {
            let field = self.later_field.clone().context("the field should have been there once")?;
            status.insert(LATER_FIELD.to_owned(), field);
        }
        let words = format!("What is wanted ({}).", self.chance.below(1_000_000));
        properties.get_mut("spec").context("a spec")?.description = Some(words);
        let replaced =
            definitions.replace("backuppolicies.pgbackup.dev", &PostParams::default(), &definition).await;
        replaced.map(drop).map_err(Into::into)
    }

    /// Ends everything that would continue: storms, a cordoned node, a wrong clock, an older CRD, a second
    /// replica. Corrects invalid and suspended policies.
    pub async fn calm(&mut self) -> Result<()> {
        for storm in [Storm::TooManyRequests, Storm::InternalError] {
            storm.end(&self.env)?;
        }
        self.env.cluster_kubectl(&["uncordon", self.env.node()], "")?;
        self.clock.set(0).await?;
        self.define(false).await?;
        self.operator.scale(1).await?;
        for policy in &self.policies {
            let stands = self.env.api::<BackupPolicy>().get(&policy.name).await?.spec;
            if stands.suspend || stands.schedule == SCHEDULES[1] {
                policy
                    .edit(|spec| {
                        spec.suspend = false;
                        NEW_YEAR.clone_into(&mut spec.schedule);
                    })
                    .await?;
            }
        }
        Ok(())
    }
}
