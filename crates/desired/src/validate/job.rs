//! How Jobs and pods run. What Kubernetes itself checks when the CronJob is made is left to it: its words are in `Ready`.

use api::{
    meta,
    policy::{JobOptions, Resources, SecretRef},
};

use super::{Invalid, is_object_name, value};

pub fn job(job: &JobOptions) -> Result<JobOptions, Invalid> {
    let JobOptions {
        resources,
        active_deadline_seconds,
        backoff_limit,
        successful_jobs_history_limit,
        failed_jobs_history_limit,
        run_as_user,
        node_selector: _,
        tolerations: _,
        affinity: _,
        priority_class_name: _,
        pod_labels,
        pod_annotations,
        service_account_name,
        image_pull_secrets,
    } = job;
    if !(60..=604_800).contains(active_deadline_seconds) {
        return Err(value(
            "job.activeDeadlineSeconds",
            "write a number of seconds from 60 to 604800 (a week)",
        ));
    }
    if !(0..=10).contains(backoff_limit) {
        return Err(value("job.backoffLimit", "write a number from 0 to 10"));
    }
    if !(0..=100).contains(successful_jobs_history_limit) || !(1..=100).contains(failed_jobs_history_limit) {
        return Err(value("job", "write history limits up to 100, and at least 1 for Jobs that failed"));
    }
    if run_as_user.is_some_and(|user| !(1..=i64::from(i32::MAX)).contains(&user)) {
        return Err(value(
            "job.runAsUser",
            "write the number of a user from 1 to 2147483647; root is never used",
        ));
    }
    if let Some(Resources { requests, limits }) = resources
        && requests.len().max(limits.len()) > 10
    {
        return Err(value("job.resources", "write at most 10 resources"));
    }
    let ours = |key: &String| key.starts_with(meta::OWN_KEYS) || key == meta::MANAGED_BY_LABEL;
    if pod_labels.keys().any(ours) {
        return Err(value(
            "job.podLabels",
            "labels under pgbackup.dev/ and app.kubernetes.io/managed-by are pgbackup's own; choose other keys",
        ));
    }
    if pod_annotations.keys().any(|key| key.starts_with(meta::OWN_KEYS)) {
        return Err(value(
            "job.podAnnotations",
            "annotations under pgbackup.dev/ are pgbackup's own; choose other keys",
        ));
    }
    if service_account_name.as_ref().is_some_and(|name| !is_object_name(name)) {
        return Err(value("job.serviceAccountName", "write the name of a ServiceAccount"));
    }
    if image_pull_secrets.iter().any(|SecretRef { name }| !is_object_name(name)) {
        return Err(value("job.imagePullSecrets", "write the names of Secrets"));
    }
    Ok(job.clone())
}
