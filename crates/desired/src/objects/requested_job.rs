//! The Job that the annotation `pgbackup.dev/requested-at` requests.

use domain::name;
use k8s_openapi::{
    api::batch::v1::{CronJob, Job},
    apimachinery::pkg::apis::meta::v1::{ObjectMeta, OwnerReference},
};

use crate::validate::ValidPolicy;

/// Returns the Job for the value `token` of the annotation `requested-at`, made from the CronJob as it is in
/// the cluster. The Job's name is derived from the token, so each token has at most one Job.
pub fn requested_job(policy: &ValidPolicy, cron_job: &CronJob, token: &str) -> Job {
    let template = cron_job.spec.job_template.clone();
    let template_meta = template.metadata.unwrap_or_default();
    let mut annotations = template_meta.annotations.unwrap_or_default();
    // `kubectl create job --from` sets the same annotation.
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
