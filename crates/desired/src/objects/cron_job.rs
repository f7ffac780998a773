//! The CronJobs of a policy: `<policy>-backup` and `<policy>-scrub`.

use api::meta;
use domain::{name, operation::Operation, reason::exit_code_ranges, schedule::Schedule};
use k8s_openapi::{
    api::{
        batch::v1::{
            CronJob, CronJobSpec, JobSpec, JobTemplateSpec, PodFailurePolicy,
            PodFailurePolicyOnExitCodesRequirement, PodFailurePolicyOnPodConditionsPattern,
            PodFailurePolicyRule,
        },
        core::v1::PodTemplateSpec,
    },
    apimachinery::pkg::apis::meta::v1::ObjectMeta,
};

use super::{images::Images, metadata, pod};
use crate::validate::ValidPolicy;

/// Without `catchUp`, the CronJob controller skips a run that it cannot start within this time. The
/// controller checks every ten seconds, so a much shorter time would skip runs by chance.
const START_WITHIN_SECONDS: i64 = 300;

/// Returns the CronJob of an operation.
pub fn cron_job(policy: &ValidPolicy, images: &Images, operation: Operation, schedule: &Schedule) -> CronJob {
    CronJob {
        metadata: ObjectMeta {
            name: Some(name::cron_job(&policy.identity.name, operation)),
            namespace: Some(policy.identity.namespace.clone()),
            labels: Some(metadata::labels(policy, operation)),
            owner_references: Some(vec![metadata::owner(policy)]),
            ..ObjectMeta::default()
        },
        spec: CronJobSpec {
            schedule: schedule.effective().to_owned(),
            // Without a time zone, the zone of the controller's host would apply.
            time_zone: Some(policy.time_zone.clone()),
            suspend: Some(policy.suspend),
            concurrency_policy: Some("Forbid".to_owned()),
            successful_jobs_history_limit: Some(policy.job.successful_jobs_history_limit),
            failed_jobs_history_limit: Some(policy.job.failed_jobs_history_limit),
            // Without a starting deadline, the controller starts the newest missed run after an outage.
            starting_deadline_seconds: (!policy.catch_up).then_some(START_WITHIN_SECONDS),
            job_template: JobTemplateSpec {
                metadata: Some(ObjectMeta {
                    labels: Some(metadata::labels(policy, operation)),
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
            rules: vec![ignore_disruptions(), fail_on_final_exit_codes()],
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
    all.extend(metadata::labels(policy, operation));
    ObjectMeta {
        labels: Some(all),
        annotations: (!annotations.is_empty()).then(|| annotations.clone()),
        ..ObjectMeta::default()
    }
}

fn ignore_disruptions() -> PodFailurePolicyRule {
    PodFailurePolicyRule {
        action: "Ignore".to_owned(),
        on_pod_conditions: Some(vec![PodFailurePolicyOnPodConditionsPattern {
            type_: "DisruptionTarget".to_owned(),
            status: Some("True".to_owned()),
        }]),
        on_exit_codes: None,
    }
}

fn fail_on_final_exit_codes() -> PodFailurePolicyRule {
    PodFailurePolicyRule {
        action: "FailJob".to_owned(),
        on_exit_codes: Some(PodFailurePolicyOnExitCodesRequirement {
            container_name: Some(meta::RUNNER_CONTAINER.to_owned()),
            operator: "In".to_owned(),
            values: exit_code_ranges::FINAL.map(i32::from).collect(),
        }),
        on_pod_conditions: None,
    }
}
