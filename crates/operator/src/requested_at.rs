//! Starts the run that the annotation `pgbackup.dev/requested-at` requests, once for each value (token).

use api::BackupPolicy;
use desired::{Rejection, RequestObstacle, ValidPolicy};
use domain::name;
use k8s_openapi::{
    api::batch::v1::{CronJob, Job},
    apimachinery::pkg::apis::meta::v1::ObjectMeta,
};
use kube::{Api, Client, ResourceExt as _};

use crate::{
    client::{CallError, call, post_parameters},
    observe::cron_job::{controller, foreign},
    start_failures::kubernetes_messages::of_rejection,
};

/// The state of a requested run.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub enum Request {
    /// No run is requested, or the policy is suspended.
    #[default]
    None,
    /// The run waits until the CronJob, or a Job of an earlier CronJob with this name, is deleted.
    Waiting,
    /// The requested Job exists. Contains the request's token, which is the value of the annotation.
    Started(String),
    /// The Job cannot be created until somebody changes something.
    Blocked(RequestObstacle),
}

/// Creates the Job of the open request. If the policy is suspended, the request waits until it is resumed;
/// the status reports that.
pub async fn start(
    client: &Client,
    policy: &BackupPolicy,
    valid: &ValidPolicy,
    cron_job: &ObjectMeta,
) -> Result<Request, CallError> {
    let Some(token) = desired::open_request(policy).filter(|_| !valid.suspend) else {
        return Ok(Request::None);
    };
    let namespace = policy.namespace().unwrap_or_default();
    let cron_jobs: Api<CronJob> = Api::namespaced(client.clone(), &namespace);
    // The Job's template comes from the CronJob in the cluster, which admission webhooks may have changed.
    let current = match call(cron_jobs.get(cron_job.name.as_deref().unwrap_or_default())).await {
        Ok(current) if current.metadata.uid == cron_job.uid => current,
        // The CronJob was deleted or created again meanwhile. The watch will show that.
        Ok(_) => return Ok(Request::Waiting),
        Err(error) if error.is_not_found() => return Ok(Request::Waiting),
        Err(error) => return Err(error),
    };
    let jobs: Api<Job> = Api::namespaced(client.clone(), &namespace);
    let job = name::requested_job(&policy.name_any(), token);
    match call(jobs.create(&post_parameters(), &desired::requested_job(valid, &current, token))).await {
        Ok(_) => {
            tracing::info!(
                namespace,
                policy = policy.name_any(),
                "created Job {job} for the annotation pgbackup.dev/requested-at"
            );
            Ok(Request::Started(token.to_owned()))
        }
        Err(error) if error.is_already_exists() => {
            let existing = call(jobs.get(&job)).await?.metadata;
            Ok(existing_job(&existing, cron_job, token))
        }
        Err(error) => {
            let Some(message) = error.rejection() else { return Err(error) };
            tracing::warn!(
                namespace,
                policy = policy.name_any(),
                "the API server rejects Job {job}, retrying every minute: {message}"
            );
            let cause = of_rejection(&message);
            Ok(Request::Blocked(RequestObstacle::Refused(Rejection { message, cause })))
        }
    }
}

/// Returns the state of a request whose Job name is already used. The request is started if the Job belongs
/// to the CronJob. It waits if the garbage collector is about to delete the Job of an earlier CronJob. It is
/// blocked by a foreign Job.
fn existing_job(job: &ObjectMeta, cron_job: &ObjectMeta, token: &str) -> Request {
    match controller(job) {
        Some((_, _, uid)) if Some(uid) == cron_job.uid.as_deref() => Request::Started(token.to_owned()),
        Some((kind, name, _)) if kind == "CronJob" && Some(name) == cron_job.name.as_deref() => {
            Request::Waiting
        }
        _ => Request::Blocked(RequestObstacle::Foreign(foreign(job))),
    }
}

#[cfg(test)]
mod tests {
    use desired::ForeignObject;
    use serde_json::json;

    use super::*;

    #[test]
    fn backup_request_is_blocked_by_a_job_of_another_owner() {
        let metadata = |value| serde_json::from_value::<ObjectMeta>(value).unwrap();
        let cron_job = metadata(json!({"name": "shop-backup", "uid": "c"}));
        let owned_by = |kind: &str, name: &str, uid: &str| {
            metadata(json!({"name": "j", "ownerReferences": [
                {"apiVersion": "v1", "kind": kind, "name": name, "uid": uid, "controller": true}]}))
        };
        let existing = |job: &ObjectMeta| existing_job(job, &cron_job, "now");
        assert_eq!(existing(&owned_by("CronJob", "shop-backup", "c")), Request::Started("now".to_owned()));
        assert_eq!(existing(&owned_by("CronJob", "shop-backup", "earlier")), Request::Waiting);
        let foreign = |owner: Option<&str>, creator: Option<&str>| {
            let [owner, creator] = [owner, creator].map(|name| name.map(str::to_owned));
            Request::Blocked(RequestObstacle::Foreign(ForeignObject { owner, creator }))
        };
        assert_eq!(existing(&owned_by("Workflow", "w", "x")), foreign(Some("Workflow w"), None));
        let by_hand = metadata(json!({"name": "j", "managedFields": [{"manager": "kubectl-create"}]}));
        assert_eq!(existing(&by_hand), foreign(None, Some("kubectl-create")));
    }
}
