//! How Jobs and pods run. What Kubernetes itself checks when the CronJob is made is left to it: its words are in `Ready`.

use std::collections::BTreeSet;

use api::{
    messages, meta,
    policy::{JobOptions, Resources, SecretRef},
};
use k8s_openapi::apimachinery::pkg::util::intstr::IntOrString;

use super::{Invalid, is_object_name, value};

/// What may stand behind the number of a quantity.
const UNITS: [&str; 16] =
    ["", "n", "u", "m", "k", "M", "G", "T", "P", "E", "Ki", "Mi", "Gi", "Ti", "Pi", "Ei"];

pub fn job(job: &JobOptions) -> Result<JobOptions, Invalid> {
    let JobOptions {
        resources,
        active_deadline_seconds,
        backoff_limit,
        successful_jobs_history_limit,
        failed_jobs_history_limit,
        run_as_user,
        node_selector,
        tolerations,
        affinity: _,
        priority_class_name,
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
    let amounts =
        resources.iter().flat_map(|Resources { requests, limits }| requests.values().chain(limits.values()));
    if !amounts.clone().all(is_quantity) {
        return Err(value("job.resources", messages::QUANTITY));
    }
    for (field, count, most) in [
        ("job.nodeSelector", node_selector.len(), 20),
        ("job.tolerations", tolerations.len(), 20),
        ("job.podLabels", pod_labels.len(), 20),
        ("job.podAnnotations", pod_annotations.len(), 20),
        ("job.imagePullSecrets", image_pull_secrets.len(), 10),
    ] {
        if count > most {
            return Err(value(field, "write fewer: 20 at most, and 10 Secrets"));
        }
    }
    let ours = |key: &String| key.starts_with(meta::OWN_KEYS) || key == meta::MANAGED_BY_LABEL;
    if pod_labels.keys().any(ours) {
        return Err(value("job.podLabels", messages::OWN_LABEL));
    }
    if pod_annotations.keys().any(|key| key.starts_with(meta::OWN_KEYS)) {
        return Err(value("job.podAnnotations", messages::OWN_ANNOTATION));
    }
    for (field, name) in
        [("job.serviceAccountName", service_account_name), ("job.priorityClassName", priority_class_name)]
    {
        if name.as_ref().is_some_and(|name| !is_object_name(name)) {
            return Err(value(field, messages::OBJECT_NAME));
        }
    }
    if image_pull_secrets.iter().any(|SecretRef { name }| !is_object_name(name)) {
        return Err(value("job.imagePullSecrets", messages::OBJECT_NAME));
    }
    let names: BTreeSet<&str> = image_pull_secrets.iter().map(|SecretRef { name }| name.as_str()).collect();
    if names.len() < image_pull_secrets.len() {
        return Err(value("job.imagePullSecrets", messages::SECRETS_TWICE));
    }
    Ok(job.clone())
}

/// A number, and what stands behind it: `100m`, `1.5Gi`, `2e3`.
fn is_quantity(amount: &IntOrString) -> bool {
    let IntOrString::String(text) = amount else { return true };
    let unsigned = text.strip_prefix(['+', '-']).unwrap_or(text);
    let end = unsigned.find(|c: char| !c.is_ascii_digit() && c != '.').unwrap_or(unsigned.len());
    let (number, unit) = unsigned.split_at(end);
    let digits = |part: &str| part.bytes().filter(u8::is_ascii_digit).count();
    let exponent = |unit: &str| unit.strip_prefix(['e', 'E']).is_some_and(|rest| rest.parse::<i32>().is_ok());
    digits(number) > 0 && number.matches('.').count() <= 1 && (UNITS.contains(&unit) || exponent(unit))
}
