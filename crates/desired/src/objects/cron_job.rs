//! The CronJobs of a policy: `<policy>-backup`, `<policy>-scrub`.

use std::collections::BTreeMap;

use api::{BackupPolicy, meta};
use domain::{operation::Operation, schedule::Schedule};
use k8s_openapi::{
    api::{
        batch::v1::{
            CronJob, CronJobSpec, JobSpec, JobTemplateSpec, PodFailurePolicy,
            PodFailurePolicyOnExitCodesRequirement, PodFailurePolicyOnPodConditionsPattern,
            PodFailurePolicyRule,
        },
        core::v1::PodTemplateSpec,
    },
    apimachinery::pkg::apis::meta::v1::{ObjectMeta, OwnerReference},
};
use kube::Resource;

use super::{Images, pod};
use crate::validate::ValidPolicy;

/// Without `catchUp`, a slot that cannot be started within this time is left out. Below ten seconds the controller, which
/// looks that often, could miss it.
const START_WITHIN_SECONDS: i64 = 300;

/// Exit codes that say that a retry is of no use before something is changed (`domain::reason`).
const FINAL_EXIT_CODES: std::ops::RangeInclusive<i32> = 64..=95;

/// The CronJob of an operation.
pub fn cron_job(policy: &ValidPolicy, images: &Images, operation: Operation, schedule: &Schedule) -> CronJob {
    CronJob {
        metadata: ObjectMeta {
            name: Some(operation.cron_job(&policy.identity.name)),
            namespace: Some(policy.identity.namespace.clone()),
            labels: Some(labels(policy, operation)),
            owner_references: Some(vec![owner(policy)]),
            ..ObjectMeta::default()
        },
        spec: CronJobSpec {
            schedule: schedule.effective().to_owned(),
            // Always written: left out, it would be the zone of the host that the controller runs on.
            time_zone: Some(policy.time_zone.clone()),
            suspend: Some(policy.suspend),
            concurrency_policy: Some("Forbid".to_owned()),
            successful_jobs_history_limit: Some(policy.job.successful_jobs_history_limit),
            failed_jobs_history_limit: Some(policy.job.failed_jobs_history_limit),
            // Without a starting deadline the controller starts the newest missed slot when it comes back.
            starting_deadline_seconds: (!policy.catch_up).then_some(START_WITHIN_SECONDS),
            job_template: JobTemplateSpec {
                metadata: Some(ObjectMeta {
                    labels: Some(labels(policy, operation)),
                    ..ObjectMeta::default()
                }),
                spec: Some(job_spec(policy, images, operation)),
            },
        },
        status: None,
    }
}

fn job_spec(policy: &ValidPolicy, images: &Images, operation: Operation) -> JobSpec {
    JobSpec {
        active_deadline_seconds: Some(policy.job.active_deadline_seconds),
        backoff_limit: Some(policy.job.backoff_limit),
        pod_failure_policy: Some(PodFailurePolicy {
            rules: vec![disruptions_do_not_count(), final_exit_codes_end_it()],
        }),
        template: PodTemplateSpec {
            metadata: Some(pod_metadata(policy, operation)),
            spec: Some(pod::spec(policy, images, operation)),
        },
        ..JobSpec::default()
    }
}

fn pod_metadata(policy: &ValidPolicy, operation: Operation) -> ObjectMeta {
    let annotations = &policy.job.pod_annotations;
    let mut all = policy.job.pod_labels.clone();
    all.extend(labels(policy, operation));
    ObjectMeta {
        labels: Some(all),
        annotations: (!annotations.is_empty()).then(|| annotations.clone()),
        ..ObjectMeta::default()
    }
}

fn disruptions_do_not_count() -> PodFailurePolicyRule {
    PodFailurePolicyRule {
        action: "Ignore".to_owned(),
        on_pod_conditions: Some(vec![PodFailurePolicyOnPodConditionsPattern {
            type_: "DisruptionTarget".to_owned(),
            status: Some("True".to_owned()),
        }]),
        on_exit_codes: None,
    }
}

fn final_exit_codes_end_it() -> PodFailurePolicyRule {
    PodFailurePolicyRule {
        action: "FailJob".to_owned(),
        on_exit_codes: Some(PodFailurePolicyOnExitCodesRequirement {
            container_name: Some(meta::RUNNER_CONTAINER.to_owned()),
            operator: "In".to_owned(),
            values: FINAL_EXIT_CODES.collect(),
        }),
        on_pod_conditions: None,
    }
}

/// On the CronJob, its Jobs and their pods: the operator's watches select by them.
fn labels(policy: &ValidPolicy, operation: Operation) -> BTreeMap<String, String> {
    let mut labels = common_labels(policy);
    labels.insert(meta::OPERATION_LABEL.to_owned(), operation.as_str().to_owned());
    labels
}

/// Those of everything that is made for the policy.
pub fn common_labels(policy: &ValidPolicy) -> BTreeMap<String, String> {
    [(meta::MANAGED_BY_LABEL, meta::MANAGED_BY), (meta::POLICY_LABEL, &policy.identity.name)]
        .into_iter()
        .map(|(key, value)| (key.to_owned(), value.to_owned()))
        .collect()
}

/// The garbage collector removes the CronJob with its policy; no finalizer is needed.
fn owner(policy: &ValidPolicy) -> OwnerReference {
    OwnerReference {
        api_version: BackupPolicy::api_version(&()).into_owned(),
        kind: BackupPolicy::kind(&()).into_owned(),
        name: policy.identity.name.clone(),
        uid: policy.identity.uid.clone(),
        controller: Some(true),
        block_owner_deletion: None,
    }
}
