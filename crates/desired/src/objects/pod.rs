//! The pod of a backup or a scrub: an init container of ours brings the runner, and the container `runner` runs it in the
//! PostgreSQL image that the policy names. It satisfies the Pod Security Standard `restricted`.

mod arguments;
mod environment;
mod store;

use std::collections::BTreeMap;

use api::{
    meta,
    policy::{Resources, SecretRef},
};
use domain::operation::Operation;
use k8s_openapi::{
    api::core::v1::{
        Affinity, Capabilities, Container, EmptyDirVolumeSource, KeyToPath, LocalObjectReference,
        PodAffinityTerm, PodSecurityContext, PodSpec, ProjectedVolumeSource, ResourceRequirements,
        SeccompProfile, SecretProjection, SecurityContext, Volume, VolumeMount, VolumeProjection,
    },
    apimachinery::pkg::{api::resource::Quantity, apis::meta::v1::LabelSelector, util::intstr::IntOrString},
};

use super::{Images, cron_job};
use crate::validate::{PostgresImage, ValidPolicy};

/// The user, group and volume group of every pod, whatever the image, unless the policy names another: a change of image
/// must not make older backups unreadable.
const USER: i64 = 65532;

/// Time to abort what runs and to say so.
const GRACE_SECONDS: i64 = 60;

const RUNNER_VOLUME: &str = "runner";
const RUNNER_PATH: &str = "/pgbackup";
const SCRATCH_VOLUME: &str = "scratch";
const SCRATCH_PATH: &str = "/scratch";
const TLS_VOLUME: &str = "tls";
const TLS_PATH: &str = "/tls";
const CA_FILE: &str = "ca.crt";

/// The keys of a Secret of the type kubernetes.io/tls.
const TLS_CERT_KEY: &str = "tls.crt";
const TLS_PRIVATE_KEY_KEY: &str = "tls.key";

/// For the volume's group only: libpq refuses a key that others can read.
const TLS_MODE: i32 = 0o440;

pub fn spec(policy: &ValidPolicy, images: &Images, operation: Operation) -> PodSpec {
    let user = Some(policy.job.run_as_user.unwrap_or(USER));
    PodSpec {
        restart_policy: Some("Never".to_owned()),
        termination_grace_period_seconds: Some(GRACE_SECONDS),
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
        volumes: Some(volumes(policy, operation)),
        ..PodSpec::default()
    }
}

fn install(images: &Images) -> Container {
    Container {
        name: meta::INSTALL_CONTAINER.to_owned(),
        image: Some(images.runner.clone()),
        image_pull_policy: Some(images.pull_policy.clone()),
        args: Some(vec!["install".to_owned(), RUNNER_PATH.to_owned()]),
        security_context: Some(restricted()),
        resources: Some(requests("10m", "16Mi")),
        volume_mounts: Some(vec![mount(RUNNER_VOLUME, RUNNER_PATH)]),
        ..Container::default()
    }
}

fn runner(policy: &ValidPolicy, images: &Images, operation: Operation) -> Container {
    let image = match &policy.image {
        PostgresImage::Named(image) => image.clone(),
        PostgresImage::Version(version) => format!("{}:{version}", images.postgres_repository),
    };
    let mut mounts = vec![mount(RUNNER_VOLUME, RUNNER_PATH), mount(SCRATCH_VOLUME, SCRATCH_PATH)];
    mounts[0].read_only = Some(true);
    mounts.extend(store::mount(policy));
    if certificates(policy, operation).is_some() {
        mounts.push(VolumeMount { read_only: Some(true), ..mount(TLS_VOLUME, TLS_PATH) });
    }
    Container {
        name: meta::RUNNER_CONTAINER.to_owned(),
        image: Some(image),
        image_pull_policy: Some(images.pull_policy.clone()),
        command: Some(vec![format!("{RUNNER_PATH}/pgbackup-runner")]),
        args: Some(match operation {
            Operation::Backup => arguments::backup(policy),
            Operation::Scrub => arguments::scrub(policy),
        }),
        env: Some(environment::variables(policy, operation)),
        security_context: Some(restricted()),
        resources: Some(policy.job.resources.as_ref().map_or_else(
            // No limits: what a dump needs depends on the database, and a killed backup is worse than a busy node.
            || requests("50m", "64Mi"),
            resources,
        )),
        termination_message_path: Some("/dev/termination-log".to_owned()),
        termination_message_policy: Some("File".to_owned()),
        volume_mounts: Some(mounts),
        ..Container::default()
    }
}

/// The policy's own, and where there is a volume that of all runs to each other.
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

/// A volume that one node at a time may mount: runs of a policy that overlap must share the node.
fn same_node_as_others(policy: &ValidPolicy) -> PodAffinityTerm {
    let selector =
        LabelSelector { match_labels: Some(cron_job::common_labels(policy)), match_expressions: None };
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

/// Nothing is left out, so that what we set and what the API server returns are the same.
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

fn mount(name: &str, path: &str) -> VolumeMount {
    VolumeMount { name: name.to_owned(), mount_path: path.to_owned(), ..VolumeMount::default() }
}

fn empty_volume(name: &str) -> Volume {
    Volume { name: name.to_owned(), empty_dir: Some(EmptyDirVolumeSource::default()), ..Volume::default() }
}

fn volumes(policy: &ValidPolicy, operation: Operation) -> Vec<Volume> {
    let mut volumes = vec![empty_volume(RUNNER_VOLUME), empty_volume(SCRATCH_VOLUME)];
    volumes.extend(store::volume(policy));
    volumes.extend(certificates(policy, operation));
    volumes
}

/// A Secret that is not there leaves its files out, and the runner says which. Were it not optional, the pod would wait
/// for it, and only an event would tell.
fn certificates(policy: &ValidPolicy, operation: Operation) -> Option<Volume> {
    let source = |name: &str, items: &[(&str, &str)]| VolumeProjection {
        secret: Some(SecretProjection {
            name: name.to_owned(),
            items: Some(
                items
                    .iter()
                    .map(|(key, path)| KeyToPath {
                        key: (*key).to_owned(),
                        path: (*path).to_owned(),
                        ..KeyToPath::default()
                    })
                    .collect(),
            ),
            optional: Some(true),
        }),
        ..VolumeProjection::default()
    };
    let connection = Some(&policy.connection).filter(|_| operation == Operation::Backup);
    let ca = connection.and_then(|connection| connection.ca.as_ref());
    let ca = ca.map(|ca| source(&ca.name, &[(&ca.key, CA_FILE)]));
    let client = connection.and_then(|connection| connection.client_certificate.as_ref());
    let client = client.map(|client| {
        let files = [(TLS_CERT_KEY, TLS_CERT_KEY), (TLS_PRIVATE_KEY_KEY, TLS_PRIVATE_KEY_KEY)];
        source(&client.name, &files)
    });
    let store = store::authority(policy).map(|ca| source(&ca.name, &[(&ca.key, store::CA_FILE)]));
    let sources: Vec<_> = [ca, client, store].into_iter().flatten().collect();
    if sources.is_empty() {
        return None;
    }
    let projected = ProjectedVolumeSource {
        sources: Some(sources),
        default_mode: Some(TLS_MODE),
        ..ProjectedVolumeSource::default()
    };
    Some(Volume { name: TLS_VOLUME.to_owned(), projected: Some(projected), ..Volume::default() })
}
