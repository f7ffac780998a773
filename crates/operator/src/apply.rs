//! Creates, corrects and deletes the CronJobs of a policy. Writes only if something differs, and never
//! changes an object that the policy does not own.

use api::{BackupPolicy, meta};
use desired::{ObservedCronJob, Rejection};
use k8s_openapi::{api::batch::v1::CronJob, apimachinery::pkg::apis::meta::v1::ObjectMeta};
use kube::{
    Api, Client, Resource as _, ResourceExt as _,
    api::{DeleteParams, Patch, Preconditions, Request},
};
use serde_json::{Value, json};

use crate::{
    client::{CallError, call, patch_parameters, post_parameters, request_metadata},
    merge_patch::{difference, merge},
    observe::{
        FoundCronJob,
        cron_job::{is_older_than_policy, ownership},
    },
    start_failures::kubernetes_messages::of_rejection,
};

/// Creates or corrects the CronJob, and returns its state afterwards.
///
/// Creating never adopts an existing object. A correction is a merge patch, not a server-side apply: the API
/// server attributes the fields of a created object to another field manager, so an apply would remove
/// neither these fields nor additions of others to a list.
pub async fn cron_job(
    client: &Client,
    policy: &BackupPolicy,
    wanted: &CronJob,
    found: &FoundCronJob,
) -> Result<FoundCronJob, CallError> {
    let api: Api<CronJob> = Api::namespaced(client.clone(), &policy.namespace().unwrap_or_default());
    let metadata = match &found.metadata {
        Some(metadata) => metadata.clone(),
        None => match create(client, policy, wanted).await {
            Ok(created) => return Ok(ours(created)),
            // The watch has not shown the CronJob: somebody removed its label, or the event has not arrived
            // yet.
            Err(error) if error.is_already_exists() => call(api.get(&wanted.name_any())).await?.metadata,
            Err(error) => return rejected(policy, wanted, error, None),
        },
    };
    let state = ownership(policy, &metadata);
    if state == ObservedCronJob::Missing && is_older_than_policy(policy, &metadata) {
        delete(client, &metadata, "it belonged to an earlier policy of this name").await?;
        return Ok(FoundCronJob { state, metadata: None });
    }
    if state != ObservedCronJob::Ours || desired::up_to_date(wanted, &metadata) {
        return Ok(FoundCronJob { state, metadata: Some(metadata) });
    }
    // The watch has only the metadata, but a correction needs the spec. Read the object, which may have
    // changed meanwhile.
    let current = call(api.get(&wanted.name_any())).await?;
    let state = ownership(policy, &current.metadata);
    if state != ObservedCronJob::Ours || desired::up_to_date(wanted, &current.metadata) {
        return Ok(FoundCronJob { state, metadata: Some(current.metadata) });
    }
    let corrected = match correct(&api, &current, wanted).await {
        Ok(corrected) => corrected,
        Err(error) => return rejected(policy, wanted, error, Some(current.metadata)),
    };
    tracing::info!(
        namespace = policy.namespace(),
        policy = policy.name_any(),
        "corrected CronJob {}, which differed from the policy",
        wanted.name_any()
    );
    Ok(ours(corrected.metadata))
}

/// Deletes the CronJob of an operation that the policy does not configure, and with it its Jobs. A CronJob of
/// this name that the policy does not own is kept.
pub async fn remove_cron_job(
    client: &Client,
    policy: &BackupPolicy,
    found: &FoundCronJob,
) -> Result<FoundCronJob, CallError> {
    if let Some(metadata) = &found.metadata {
        let is_of_earlier_policy =
            found.state == ObservedCronJob::Missing && is_older_than_policy(policy, metadata);
        if found.state == ObservedCronJob::Ours || is_of_earlier_policy {
            delete(client, metadata, "the policy no longer has a schedule for it").await?;
        }
    }
    Ok(FoundCronJob::default())
}

fn ours(metadata: ObjectMeta) -> FoundCronJob {
    FoundCronJob { state: ObservedCronJob::Ours, metadata: Some(metadata) }
}

async fn create(client: &Client, policy: &BackupPolicy, wanted: &CronJob) -> Result<ObjectMeta, CallError> {
    let mut first = wanted.clone();
    // The first generation of every object is 1.
    first.annotations_mut().insert(meta::APPLIED_GENERATION.to_owned(), "1".to_owned());
    let url = CronJob::url_path(&(), policy.metadata.namespace.as_deref());
    let body = serde_json::to_vec(&first).map_err(kube::Error::SerdeError)?;
    let request = Request::new(url).create(&post_parameters(), body);
    request_metadata::<CronJob>(client, "create", request).await
}

async fn correct(api: &Api<CronJob>, found: &CronJob, wanted: &CronJob) -> Result<CronJob, CallError> {
    let write = async |patch: Value| {
        call(api.patch(&wanted.name_any(), &patch_parameters(), &Patch::Merge(patch))).await
    };
    let corrected = write(correction(found, wanted)).await?;
    // Only the API server knows whether the patch changed the spec, which increments the generation.
    let generation = corrected.metadata.generation;
    if desired::applied_generation(&corrected.metadata) == generation {
        return Ok(corrected);
    }
    write(json!({"metadata": applied_to(&corrected, generation)})).await
}

async fn delete(client: &Client, found: &ObjectMeta, why: &str) -> Result<(), CallError> {
    let (namespace, name) =
        (found.namespace.clone().unwrap_or_default(), found.name.clone().unwrap_or_default());
    let api: Api<CronJob> = Api::namespaced(client.clone(), &namespace);
    // The UID prevents deleting a CronJob that somebody created again meanwhile.
    let preconditions = Preconditions { uid: found.uid.clone(), resource_version: None };
    let parameters = DeleteParams { preconditions: Some(preconditions), ..DeleteParams::background() };
    match call(api.delete(&name, &parameters)).await {
        Ok(_) => {
            tracing::info!(namespace, "deleted CronJob {name}: {why}");
            Ok(())
        }
        Err(error) if error.is_not_found() => Ok(()),
        Err(error) => Err(error),
    }
}

/// Returns a rejection as the state of the CronJob, for the status. Other errors are returned as errors: they
/// end the reconcile, which is retried.
fn rejected(
    policy: &BackupPolicy,
    wanted: &CronJob,
    error: CallError,
    metadata: Option<ObjectMeta>,
) -> Result<FoundCronJob, CallError> {
    let Some(message) = error.rejection() else { return Err(error) };
    tracing::warn!(
        namespace = policy.namespace(),
        policy = policy.name_any(),
        "the API server rejects CronJob {}, retrying every minute: {message}",
        wanted.name_any()
    );
    let cause = of_rejection(&message);
    Ok(FoundCronJob { state: ObservedCronJob::Refused(Rejection { message, cause }), metadata })
}

/// Returns the merge patch that changes `found` to `wanted`. It keeps labels and annotations that others
/// added, and removes their changes to the spec. If the spec is up to date, the patch does not contain it, so
/// that the generation does not change.
fn correction(found: &CronJob, wanted: &CronJob) -> Value {
    let mut patch = json!(wanted);
    let mut generation = found.metadata.generation;
    if desired::spec_is_as_applied(wanted, &found.metadata) {
        patch["spec"] = json!({});
    } else {
        patch["spec"] = difference(&json!(found.spec), &json!(wanted.spec));
        generation = generation.map(|generation| generation + 1);
    }
    merge(&mut patch["metadata"], applied_to(found, generation));
    patch
}

/// Returns metadata for a patch of `found` that records the new generation. UID and resource version make the
/// patch fail if somebody changed, or deleted and created, the object since it was read.
fn applied_to(found: &CronJob, generation: Option<i64>) -> Value {
    json!({
        "uid": found.metadata.uid,
        "resourceVersion": found.metadata.resource_version,
        "annotations": {meta::APPLIED_GENERATION: generation.map(|generation| generation.to_string())},
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn cron_job_patch_keeps_added_labels_but_not_added_spec() {
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
}
