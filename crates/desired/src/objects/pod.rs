//! The pod of a run. An init container copies the runner into the pod, and the container `runner` executes it
//! in the policy's PostgreSQL image. The pod satisfies the Pod Security Standard `restricted`.

mod arguments;
mod env_var;
mod environment;
mod lifetime;
mod store;
mod tls;
mod volumes;

use std::collections::BTreeMap;

use api::{
    meta,
    policy::{Resources, SecretRef},
};
use domain::{
    invocation::{default, program},
    operation::Operation,
};
use k8s_openapi::{
    api::core::v1::{
        Affinity, Capabilities, Container, LocalObjectReference, PodAffinityTerm, PodSecurityContext,
        PodSpec, ResourceRequirements, SeccompProfile, SecurityContext,
    },
    apimachinery::pkg::{api::resource::Quantity, apis::meta::v1::LabelSelector, util::intstr::IntOrString},
};

use super::{images::Images, metadata};
use crate::validate::{PostgresImage, ValidPolicy};

/// The user, group and volume group of every pod, unless the policy sets others. They do not depend on the
/// image, so that older backups stay readable after a change of the image.
const USER: i64 = 65532;

/// Returns the pod of an operation's runs.
pub fn spec(policy: &ValidPolicy, images: &Images, operation: Operation) -> PodSpec {
    let user = Some(policy.job.run_as_user.unwrap_or(USER));
    PodSpec {
        restart_policy: Some("Never".to_owned()),
        termination_grace_period_seconds: Some(lifetime::GRACE_SECONDS),
        automount_service_account_token: Some(false),
        enable_service_links: Some(false),
        affinity: affinity(policy),
        node_selector: some(&policy.job.node_selector, BTreeMap::is_empty),
        tolerations: some(&policy.job.tolerations, Vec::is_empty),
        priority_class_name: policy.job.priority_class_name.clone(),
        service_account_name: policy.job.service_account_name.clone(),
        image_pull_secrets: some(&pull_secrets(policy), Vec::is_empty),
        security_context: Some(PodSecurityContext {
            run_as_non_root: Some(true),
            run_as_user: user,
            run_as_group: user,
            fs_group: user,
            fs_group_change_policy: Some("OnRootMismatch".to_owned()),
            seccomp_profile: Some(SeccompProfile {
                type_: "RuntimeDefault".to_owned(),
                localhost_profile: None,
            }),
            ..PodSecurityContext::default()
        }),
        init_containers: Some(vec![install(images)]),
        containers: vec![runner(policy, images, operation)],
        volumes: Some(volumes::volumes(policy, operation)),
        ..PodSpec::default()
    }
}

fn install(images: &Images) -> Container {
    Container {
        name: meta::INSTALL_CONTAINER.to_owned(),
        image: Some(images.runner.clone()),
        image_pull_policy: Some(images.pull_policy.clone()),
        args: Some(vec![program::INSTALL.to_owned(), volumes::RUNNER_PATH.to_owned()]),
        security_context: Some(restricted()),
        resources: Some(requests("10m", "16Mi")),
        volume_mounts: Some(volumes::install_mounts()),
        ..Container::default()
    }
}

fn runner(policy: &ValidPolicy, images: &Images, operation: Operation) -> Container {
    let image = match &policy.image {
        PostgresImage::Named(image) => image.clone(),
        PostgresImage::Version(version) => format!("{}:{version}", images.postgres_repository),
    };
    Container {
        name: meta::RUNNER_CONTAINER.to_owned(),
        image: Some(image),
        image_pull_policy: Some(images.pull_policy.clone()),
        command: Some(vec![format!("{}/{}", volumes::RUNNER_PATH, program::NAME)]),
        args: Some(arguments::arguments(policy, operation)),
        env: Some(environment::variables(policy, operation)),
        security_context: Some(restricted()),
        resources: Some(policy.job.resources.as_ref().map_or_else(
            // No limits: the need depends on the database, and a killed backup is worse than a busy node.
            || requests("50m", "64Mi"),
            resources,
        )),
        termination_message_path: Some(default::TERMINATION_LOG.to_owned()),
        termination_message_policy: Some("File".to_owned()),
        volume_mounts: Some(volumes::runner_mounts(policy, operation)),
        ..Container::default()
    }
}

/// Returns the policy's affinity. If the store is a volume, it also requires that the policy's pods share a
/// node.
fn affinity(policy: &ValidPolicy) -> Option<Affinity> {
    let mut affinity = policy.job.affinity.clone();
    if store::volume(policy).is_some() {
        let own = affinity.get_or_insert_default().pod_affinity.get_or_insert_default();
        own.required_during_scheduling_ignored_during_execution
            .get_or_insert_default()
            .push(same_node_as_others(policy));
    }
    affinity
}

/// Returns the affinity term that puts overlapping runs of a policy on the same node, because often a volume
/// can be mounted on only one node at a time.
fn same_node_as_others(policy: &ValidPolicy) -> PodAffinityTerm {
    let selector =
        LabelSelector { match_labels: Some(metadata::policy_labels(policy)), match_expressions: None };
    PodAffinityTerm {
        label_selector: Some(selector),
        topology_key: "kubernetes.io/hostname".to_owned(),
        ..PodAffinityTerm::default()
    }
}

fn pull_secrets(policy: &ValidPolicy) -> Vec<LocalObjectReference> {
    policy
        .job
        .image_pull_secrets
        .iter()
        .map(|SecretRef { name }| LocalObjectReference { name: name.clone() })
        .collect()
}

/// Returns a list or map, or `None` if it is empty, because the API server removes empty ones.
fn some<T: Clone>(all: &T, is_empty: impl Fn(&T) -> bool) -> Option<T> {
    (!is_empty(all)).then(|| all.clone())
}

fn resources(Resources { requests, limits }: &Resources) -> ResourceRequirements {
    let quantities = |all: &BTreeMap<String, IntOrString>| -> BTreeMap<String, Quantity> {
        let text = |value: &IntOrString| match value {
            IntOrString::Int(number) => number.to_string(),
            IntOrString::String(text) => text.clone(),
        };
        all.iter().map(|(name, value)| (name.clone(), Quantity(text(value)))).collect()
    };
    ResourceRequirements {
        requests: some(&quantities(requests), BTreeMap::is_empty),
        limits: some(&quantities(limits), BTreeMap::is_empty),
        claims: None,
    }
}

fn restricted() -> SecurityContext {
    SecurityContext {
        allow_privilege_escalation: Some(false),
        read_only_root_filesystem: Some(true),
        capabilities: Some(Capabilities { drop: Some(vec!["ALL".to_owned()]), add: None }),
        ..SecurityContext::default()
    }
}

fn requests(cpu: &str, memory: &str) -> ResourceRequirements {
    let requests = BTreeMap::from([
        ("cpu".to_owned(), Quantity(cpu.to_owned())),
        ("memory".to_owned(), Quantity(memory.to_owned())),
    ]);
    ResourceRequirements { requests: Some(requests), ..ResourceRequirements::default() }
}
