//! Validates the options of Jobs and pods. Kubernetes checks the rest when the CronJob is created, and the
//! condition Ready reports its errors.

use std::collections::BTreeSet;

use api::{
    checks::job as check,
    meta,
    policy::{JobOptions, Resources, SecretRef},
};
use k8s_openapi::apimachinery::pkg::util::intstr::IntOrString;

use super::field::{Invalid, entries, in_limits, object_name, require};

/// The units of Kubernetes quantities.
const UNITS: [&str; 16] =
    ["", "n", "u", "m", "k", "M", "G", "T", "P", "E", "Ki", "Mi", "Gi", "Ti", "Pi", "Ei"];

/// Validates `job`.
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
    in_limits("job.activeDeadlineSeconds", active_deadline_seconds, 60..=604_800)?;
    in_limits("job.backoffLimit", backoff_limit, 0..=10)?;
    in_limits("job.successfulJobsHistoryLimit", successful_jobs_history_limit, 0..=100)?;
    in_limits("job.failedJobsHistoryLimit", failed_jobs_history_limit, 1..=100)?;
    if let Some(user) = run_as_user {
        in_limits("job.runAsUser", user, 1..=i64::from(i32::MAX))?;
    }
    if let Some(Resources { requests, limits }) = resources {
        for (field, amounts) in [("job.resources.requests", requests), ("job.resources.limits", limits)] {
            entries(field, amounts.len(), 0..=10)?;
            require(field, check::QUANTITIES, amounts.values().all(is_quantity))?;
        }
    }
    entries("job.nodeSelector", node_selector.len(), 0..=20)?;
    entries("job.tolerations", tolerations.len(), 0..=20)?;
    entries("job.podLabels", pod_labels.len(), 0..=20)?;
    entries("job.podAnnotations", pod_annotations.len(), 0..=20)?;
    entries("job.imagePullSecrets", image_pull_secrets.len(), 0..=10)?;
    let has_reserved_label = pod_labels.keys().any(|key| meta::is_reserved_label(key));
    require("job.podLabels", check::RESERVED_LABEL, !has_reserved_label)?;
    let has_reserved_annotation = pod_annotations.keys().any(|key| key.starts_with(meta::OWN_KEYS));
    require("job.podAnnotations", check::RESERVED_ANNOTATION, !has_reserved_annotation)?;
    if let Some(name) = service_account_name {
        object_name("job.serviceAccountName", name)?;
    }
    if let Some(name) = priority_class_name {
        object_name("job.priorityClassName", name)?;
    }
    let secrets = || image_pull_secrets.iter().map(|SecretRef { name }| name.as_str());
    secrets().try_for_each(|name| object_name("job.imagePullSecrets", name))?;
    let different = secrets().collect::<BTreeSet<_>>().len();
    require("job.imagePullSecrets", check::SECRETS_TWICE, different == image_pull_secrets.len())?;
    Ok(job.clone())
}

/// Returns whether an amount is a number with a unit or an exponent, for example `100m`, `1.5Gi` or `2e3`.
fn is_quantity(amount: &IntOrString) -> bool {
    let IntOrString::String(text) = amount else { return true };
    let unsigned = text.strip_prefix(['+', '-']).unwrap_or(text);
    let end = unsigned.find(|c: char| !c.is_ascii_digit() && c != '.').unwrap_or(unsigned.len());
    let (number, unit) = unsigned.split_at(end);
    let digits = number.bytes().filter(u8::is_ascii_digit).count();
    let exponent = |unit: &str| unit.strip_prefix(['e', 'E']).is_some_and(|rest| rest.parse::<i32>().is_ok());
    digits > 0 && number.matches('.').count() <= 1 && (UNITS.contains(&unit) || exponent(unit))
}
