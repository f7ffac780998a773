//! The objects that a policy needs, and whether those in the cluster are they.

mod cron_job;
mod pod;

use api::{BackupPolicy, meta};
use domain::{hash, name, operation::PerOperation};
use k8s_openapi::{
    api::batch::v1::{CronJob, Job},
    apimachinery::pkg::apis::meta::v1::{ObjectMeta, OwnerReference},
};
use serde::Serialize;
use serde_json::Value;

use crate::validate::ValidPolicy;

/// The operator's own settings that go into objects.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Images {
    /// The image of the init container that brings the runner.
    pub runner: String,
    /// The repository of `postgres.version`: `docker.io/library/postgres`.
    pub postgres_repository: String,
    /// `IfNotPresent`, `Always` or `Never`.
    pub pull_policy: String,
}

/// What a policy needs in the cluster.
#[derive(Clone, Debug, PartialEq)]
pub struct Objects {
    /// The CronJob of each operation; `None` if the policy does not ask for the operation.
    pub cron_jobs: PerOperation<Option<CronJob>>,
}

/// The objects of `policy`.
pub fn objects(policy: &ValidPolicy, images: &Images) -> Objects {
    let cron_job = |operation| {
        let mut cron_job = cron_job::cron_job(policy, images, operation, policy.schedule_of(operation)?);
        let hash = hash::sha256(&json(&cron_job).to_string());
        cron_job.metadata.annotations.get_or_insert_default().insert(meta::APPLIED_HASH.to_owned(), hash);
        Some(cron_job)
    };
    Objects { cron_jobs: PerOperation::from_fn(cron_job) }
}

/// The token of `requested-at` for which no backup was taken yet.
pub fn open_request(policy: &BackupPolicy) -> Option<&str> {
    let token = policy.metadata.annotations.as_ref()?.get(meta::REQUESTED_AT)?.as_str();
    let handled = policy.status.as_ref().and_then(|status| status.last_handled_request.as_deref());
    (!token.is_empty() && Some(token) != handled).then_some(token)
}

/// The Job of one `requested-at` token, from the CronJob as it is in the cluster. Its name is made from the token,
/// so that it exists once however often it is asked for.
pub fn requested_job(policy: &ValidPolicy, cron_job: &CronJob, token: &str) -> Job {
    let template = cron_job.spec.job_template.clone();
    let template_meta = template.metadata.unwrap_or_default();
    let mut annotations = template_meta.annotations.unwrap_or_default();
    // As kubectl marks what `create job --from` makes.
    annotations.insert("cronjob.kubernetes.io/instantiate".to_owned(), "manual".to_owned());
    Job {
        metadata: ObjectMeta {
            name: Some(name::requested_job(&policy.identity.name, token)),
            namespace: Some(policy.identity.namespace.clone()),
            labels: template_meta.labels,
            annotations: Some(annotations),
            owner_references: Some(vec![OwnerReference {
                api_version: "batch/v1".to_owned(),
                kind: "CronJob".to_owned(),
                name: cron_job.metadata.name.clone().unwrap_or_default(),
                uid: cron_job.metadata.uid.clone().unwrap_or_default(),
                controller: Some(true),
                block_owner_deletion: None,
            }]),
            ..ObjectMeta::default()
        },
        spec: template.spec,
        status: None,
    }
}

/// Whether the CronJob of this metadata is what is wanted: it has all that we set, and its spec is what the server made of
/// ours. Then nothing is written.
pub fn up_to_date(wanted: &CronJob, observed: &ObjectMeta) -> bool {
    within(&json(&wanted.metadata), &json(observed)) && spec_is_as_applied(wanted, observed)
}

/// Whether the spec is what the server made of the one that is wanted: it was written last (the hash of what was applied
/// says so), and nobody wrote it since. The specs themselves are not compared: an admission webhook may have changed
/// ours (another registry, an image's digest), and would do so each time.
pub fn spec_is_as_applied(wanted: &CronJob, observed: &ObjectMeta) -> bool {
    let hash = |metadata: &ObjectMeta| metadata.annotations.as_ref()?.get(meta::APPLIED_HASH).cloned();
    let generation = observed.generation;
    hash(&wanted.metadata) == hash(observed)
        && generation.is_some()
        && applied_generation(observed) == generation
}

/// The generation that our last write gave the object, as it says itself. The server counts writes of the spec, so
/// another number means that somebody else wrote since: maybe only a field that we leave to the server's default,
/// which no comparison with what is wanted can tell.
pub fn applied_generation(observed: &ObjectMeta) -> Option<i64> {
    observed.annotations.as_ref()?.get(meta::APPLIED_GENERATION)?.parse().ok()
}

fn json(object: &impl Serialize) -> Value {
    serde_json::to_value(object).expect("a CronJob should always be JSON")
}

/// Whether everything in `wanted` is in `observed`; what the server adds to maps does not count.
fn within(wanted: &Value, observed: &Value) -> bool {
    match (wanted, observed) {
        (Value::Object(wanted), Value::Object(observed)) => wanted.iter().all(|(key, value)| {
            observed.get(key).map_or_else(|| is_empty(value), |found| within(value, found))
        }),
        (Value::Array(wanted), Value::Array(observed)) => {
            wanted.len() == observed.len() && wanted.iter().zip(observed).all(|(a, b)| within(a, b))
        }
        _ => wanted == observed,
    }
}

/// The server drops what is empty.
fn is_empty(value: &Value) -> bool {
    match value {
        Value::Object(map) => map.values().all(is_empty),
        Value::Array(list) => list.is_empty(),
        Value::Null => true,
        _ => false,
    }
}

#[cfg(test)]
mod tests;
