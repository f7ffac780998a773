//! Writes to the cluster: only what differs, and never what is somebody else's.

use api::{BackupPolicy, BackupPolicyStatus, meta};
use desired::{ForeignObject, ObservedCronJob, Rejection, RequestObstacle, ValidPolicy};
use domain::name;
use http::HeaderValue;
use k8s_openapi::{
    api::batch::v1::{CronJob, Job},
    apimachinery::pkg::apis::meta::v1::ObjectMeta,
};
use kube::{
    Api, Client, Resource, ResourceExt,
    api::{DeleteParams, PartialObjectMeta, Patch, PatchParams, PostParams, Preconditions, Request},
};
use serde_json::{Value, json};

use crate::{
    client::{CallError, call},
    cron_job,
};

/// JSON that has an object's metadata alone.
const JSON_METADATA: &str = "application/json;as=PartialObjectMetadata;g=meta.k8s.io;v=v1";

/// Makes the CronJob what it should be; gives whose it is and how it stands in the cluster.
///
/// It is created, so that one which is there already is never adopted, and corrected by a merge patch. Not by a
/// server-side apply: for the API server, what was created belongs to another manager, so that an apply neither
/// takes away a field of it nor what somebody else put into a list.
pub async fn cron_job(
    client: &Client,
    policy: &BackupPolicy,
    wanted: &CronJob,
    observed: (ObservedCronJob, Option<ObjectMeta>),
) -> Result<(ObservedCronJob, Option<ObjectMeta>), CallError> {
    let api: Api<CronJob> = Api::namespaced(client.clone(), &policy.namespace().unwrap_or_default());
    let found = match observed {
        (ObservedCronJob::Missing, None) => match create(client, policy, &first(wanted)).await {
            Ok(created) => return Ok((ObservedCronJob::Ours, Some(created))),
            // One that our watch does not select, or has not shown yet.
            Err(error) if error.is_already_exists() => call(api.get(&wanted.name_any())).await?.metadata,
            Err(error) => return refused(policy, error, None),
        },
        (_, Some(found)) => found,
        (owner, None) => return Ok((owner, None)),
    };
    let owner = cron_job::ownership(policy, &found);
    if owner == ObservedCronJob::Missing && cron_job::is_of_before(policy, &found) {
        remove(client, &found, "its policy was made anew").await?;
        return Ok((owner, None));
    }
    if owner != ObservedCronJob::Ours || desired::up_to_date(wanted, &found) {
        return Ok((owner, Some(found)));
    }
    // What is watched is the metadata alone; the rest is needed now, and by now it may be another one.
    let there = call(api.get(&wanted.name_any())).await?;
    let owner = cron_job::ownership(policy, &there.metadata);
    if owner != ObservedCronJob::Ours || desired::up_to_date(wanted, &there.metadata) {
        return Ok((owner, Some(there.metadata)));
    }
    let corrected = match correct(&api, &there, wanted).await {
        Ok(corrected) => corrected,
        Err(error) => return refused(policy, error, Some(there.metadata)),
    };
    tracing::info!(
        namespace = policy.namespace(),
        "CronJob {} differed from what the policy says; corrected",
        wanted.name_any()
    );
    Ok((ObservedCronJob::Ours, Some(corrected.metadata)))
}

async fn create(client: &Client, policy: &BackupPolicy, wanted: &CronJob) -> Result<ObjectMeta, CallError> {
    let url = CronJob::url_path(&(), policy.metadata.namespace.as_deref());
    let body = serde_json::to_vec(wanted).map_err(kube::Error::SerdeError)?;
    let request = Request::new(url).create(&parameters(), body);
    metadata::<CronJob>(client, "create", request).await
}

async fn correct(api: &Api<CronJob>, found: &CronJob, wanted: &CronJob) -> Result<CronJob, CallError> {
    let write = async |patch: Value| {
        call(api.patch(&wanted.name_any(), &patch_parameters(), &Patch::Merge(patch))).await
    };
    let corrected = write(correction(found, wanted)).await?;
    // The server alone knows what counts as a change of the spec.
    let generation = corrected.metadata.generation;
    if desired::applied_generation(&corrected.metadata) == generation {
        return Ok(corrected);
    }
    write(json!({"metadata": written_as(&corrected, generation)})).await
}

/// Removes a CronJob that the policy does not ask for, or not any more, and with it its Jobs.
pub async fn remove(client: &Client, found: &ObjectMeta, why: &str) -> Result<(), CallError> {
    let (namespace, name) =
        (found.namespace.clone().unwrap_or_default(), found.name.clone().unwrap_or_default());
    let api: Api<CronJob> = Api::namespaced(client.clone(), &namespace);
    // The UID spares one that was made anew by somebody else.
    let preconditions = Preconditions { uid: found.uid.clone(), resource_version: None };
    let parameters = DeleteParams { preconditions: Some(preconditions), ..DeleteParams::background() };
    match call(api.delete(&name, &parameters)).await {
        Ok(_) => {
            tracing::info!(namespace, "CronJob {name} removed: {why}");
            Ok(())
        }
        Err(error) if error.is_not_found() => Ok(()),
        Err(error) => Err(error),
    }
}

/// A refusal is a fact about the policy, which its status tells; any other error is tried again.
fn refused(
    policy: &BackupPolicy,
    error: CallError,
    found: Option<ObjectMeta>,
) -> Result<(ObservedCronJob, Option<ObjectMeta>), CallError> {
    let Some(message) = error.rejection() else { return Err(error) };
    tracing::warn!(namespace = policy.namespace(), policy = policy.name_any(), "CronJob refused: {message}");
    Ok((ObservedCronJob::Refused(Rejection { message, cause: None }), found))
}

/// What became of a request.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Requested {
    /// There is none, or it waits.
    Nothing,
    /// The Job of an earlier CronJob has its name, and will soon be gone.
    Waits,
    /// The Job of this token is there.
    Started(String),
    /// The API server will not have its Job, for this reason.
    Refused(RequestObstacle),
}

/// What is created: every object's first generation is 1.
fn first(wanted: &CronJob) -> CronJob {
    let mut first = wanted.clone();
    first.annotations_mut().insert(meta::APPLIED_GENERATION.to_owned(), "1".to_owned());
    first
}

/// The merge patch that makes `found` what is wanted. Labels and annotations of others stay; in the spec, nothing
/// does. A spec that is as it should be is not written: nor is then the generation another one.
fn correction(found: &CronJob, wanted: &CronJob) -> Value {
    let mut patch = json!(wanted);
    let mut generation = found.metadata.generation;
    if desired::spec_is_as_applied(wanted, &found.metadata) {
        patch["spec"] = json!({});
    } else {
        patch["spec"] = difference(&json!(found.spec), &json!(wanted.spec));
        generation = generation.map(|generation| generation + 1);
    }
    merge(&mut patch["metadata"], written_as(found, generation));
    patch
}

/// Metadata that says which generation our write gives to `found`. The resource version makes the patch fail on what
/// somebody changed after we looked, or deleted and made anew.
fn written_as(found: &CronJob, generation: Option<i64>) -> Value {
    json!({
        "uid": found.metadata.uid,
        "resourceVersion": found.metadata.resource_version,
        "annotations": {meta::APPLIED_GENERATION: generation.map(|generation| generation.to_string())},
    })
}

/// Puts the fields of `more` into `object`, those of maps within maps too.
fn merge(object: &mut Value, more: Value) {
    match (object, more) {
        (Value::Object(object), Value::Object(more)) => {
            for (key, value) in more {
                merge(object.entry(key).or_insert(Value::Null), value);
            }
        }
        (object, more) => *object = more,
    }
}

/// Starts the run that the annotation `requested-at` asks for, once for each token. A suspended policy takes
/// no backups: the request waits until it is resumed, and the status says so.
pub async fn requested(
    client: &Client,
    policy: &BackupPolicy,
    valid: &ValidPolicy,
    cron_job: &ObjectMeta,
) -> Result<Requested, CallError> {
    let Some(token) = desired::open_request(policy).filter(|_| !valid.suspend) else {
        return Ok(Requested::Nothing);
    };
    let namespace = policy.namespace().unwrap_or_default();
    let cron_jobs: Api<CronJob> = Api::namespaced(client.clone(), &namespace);
    // The Job is of the CronJob as it is in the cluster, with what admission may have made of it.
    let there = match call(cron_jobs.get(cron_job.name.as_deref().unwrap_or_default())).await {
        Ok(there) if there.metadata.uid == cron_job.uid => there,
        // It was removed or made anew in between, which the watch will show.
        Ok(_) => return Ok(Requested::Waits),
        Err(error) if error.is_not_found() => return Ok(Requested::Waits),
        Err(error) => return Err(error),
    };
    let api = Api::namespaced(client.clone(), &namespace);
    match call(api.create(&parameters(), &desired::requested_job(valid, &there, token))).await {
        Err(error) if error.is_already_exists() => {
            let there: Job = call(api.get(&name::requested_job(&policy.name_any(), token))).await?;
            Ok(whose(&there, cron_job, token))
        }
        Err(error) => {
            let Some(words) = error.rejection() else { return Err(error) };
            tracing::warn!(
                namespace = policy.namespace(),
                policy = policy.name_any(),
                "Job refused: {words}"
            );
            Ok(Requested::Refused(RequestObstacle::Refused(Rejection { message: words, cause: None })))
        }
        Ok(_) => {
            tracing::info!(
                namespace = policy.namespace(),
                "Job {} runs as requested",
                name::requested_job(&policy.name_any(), token)
            );
            Ok(Requested::Started(token.to_owned()))
        }
    }
}

/// What a Job that is there already means for the request: it is ours, or it is on its way out with a CronJob that had
/// the same name, or a stranger has its name.
fn whose(job: &Job, cron_job: &ObjectMeta, token: &str) -> Requested {
    let controller = job.owner_references().iter().find(|owner| owner.controller == Some(true));
    match controller {
        Some(owner) if Some(&owner.uid) == cron_job.uid.as_ref() => Requested::Started(token.to_owned()),
        Some(owner) if owner.kind == "CronJob" && Some(&owner.name) == cron_job.name.as_ref() => {
            Requested::Waits
        }
        Some(owner) => Requested::Refused(RequestObstacle::Foreign(ForeignObject {
            owner: Some(format!("{} {}", owner.kind, owner.name)),
            creator: None,
        })),
        None => Requested::Refused(RequestObstacle::Foreign(ForeignObject::default())),
    }
}

/// Writes the status if it differs: a merge patch of what changed. Unlike an apply, it is not refused as a whole
/// when the cluster's CRD is older than the operator (Helm never upgrades CRDs) and does not know a field. Gives the
/// metadata of what was written.
pub async fn status(
    client: &Client,
    policy: &BackupPolicy,
    status: &BackupPolicyStatus,
) -> Result<Option<ObjectMeta>, CallError> {
    if policy.status.as_ref() == Some(status) {
        return Ok(None);
    }
    let [before, after] = [json!(policy.status), json!(status)];
    // The UID makes the patch fail on a policy that was deleted and made anew.
    let patch = json!({ "metadata": { "uid": policy.uid() }, "status": difference(&before, &after) });
    let url = BackupPolicy::url_path(&(), policy.metadata.namespace.as_deref());
    let request = Request::new(url).patch_subresource(
        "status",
        &policy.name_any(),
        &patch_parameters(),
        &Patch::Merge(&patch),
    );
    match metadata::<BackupPolicy>(client, "patch_status", request).await {
        Ok(written) => Ok(Some(written)),
        // Deleted meanwhile: there is nobody left to tell.
        Err(error) if error.is_not_found() => Ok(None),
        Err(error) => Err(error),
    }
}

/// Sends a write of which only the metadata is answered, as the API server does when asked for it (Kubernetes API concepts,
/// "alternate representations"): the rest is what was sent, and to parse it costs more than to write it.
async fn metadata<K>(
    client: &Client,
    operation: &'static str,
    request: Result<http::Request<Vec<u8>>, kube::core::request::Error>,
) -> Result<ObjectMeta, CallError> {
    let mut request = request.map_err(kube::Error::BuildRequest)?;
    // By this word the request is counted, as kube does where it builds it.
    request.extensions_mut().insert(operation);
    request.headers_mut().insert(http::header::ACCEPT, HeaderValue::from_static(JSON_METADATA));
    Ok(call(client.request::<PartialObjectMeta<K>>(request)).await?.metadata)
}

/// The merge patch (RFC 7396) from `before` to `after`: a field that is gone becomes null.
fn difference(before: &Value, after: &Value) -> Value {
    let (Value::Object(before), Value::Object(after)) = (before, after) else { return after.clone() };
    let gone = before.keys().filter(|key| !after.contains_key(*key)).map(|key| (key.clone(), Value::Null));
    let changed = after.iter().filter(|(key, value)| before.get(*key) != Some(value));
    let changed =
        changed.map(|(key, value)| (key.clone(), difference(before.get(key).unwrap_or(&Value::Null), value)));
    gone.chain(changed).collect()
}

fn parameters() -> PostParams {
    PostParams { field_manager: Some(meta::FIELD_MANAGER.to_owned()), ..PostParams::default() }
}

fn patch_parameters() -> PatchParams {
    PatchParams { field_manager: Some(meta::FIELD_MANAGER.to_owned()), ..PatchParams::default() }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_correction_takes_away_what_is_not_wanted_in_the_spec_and_nothing_of_others_beside_it() {
        let cron_job = |labels: Value, spec: Value| -> CronJob {
            serde_json::from_value(json!({
                "metadata": {"name": "shop-backup", "uid": "c", "labels": labels, "resourceVersion": "7", "generation": 3},
                "spec": spec
            }))
            .unwrap()
        };
        let env = |env: Value| {
            json!({"schedule": "* * * * *", "jobTemplate": {"spec": {"template": {"spec": {
                "containers": [{"name": "runner", "env": env}]
            }}}}})
        };
        let found = cron_job(
            json!({"theirs": "1"}),
            env(json!([{"name": "PGUSER", "value": "backup"}, {"name": "MORE", "value": "1"}])),
        );
        let wanted = cron_job(
            json!({"ours": "1"}),
            env(json!([{"name": "PGUSER", "valueFrom": {"secretKeyRef": {"name": "s", "key": "user"}}}])),
        );
        let patch = correction(&found, &wanted);
        assert_eq!(patch["metadata"]["labels"], json!({"ours": "1"}));
        assert_eq!(patch["metadata"]["uid"], "c");
        assert_eq!(patch["metadata"]["resourceVersion"], "7");
        assert_eq!(patch["metadata"]["annotations"][meta::APPLIED_GENERATION], "4");
        assert_eq!(patch["spec"].get("schedule"), None);
        let containers = &patch["spec"]["jobTemplate"]["spec"]["template"]["spec"]["containers"];
        assert_eq!(
            containers[0]["env"],
            json!([{"name": "PGUSER", "valueFrom": {"secretKeyRef": {"name": "s", "key": "user"}}}])
        );
    }

    #[test]
    fn a_patch_holds_what_changed_and_takes_away_what_is_gone() {
        let before = json!({"a": 1, "b": {"c": 1, "d": 2}, "gone": [1]});
        let after = json!({"a": 1, "b": {"c": 3}, "new": {"x": null, "y": 1}});
        let patch = json!({"b": {"c": 3, "d": null}, "gone": null, "new": {"x": null, "y": 1}});
        assert_eq!(difference(&before, &after), patch);
        assert_eq!(difference(&Value::Null, &after), after);
    }
}
