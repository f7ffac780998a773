//! The pod of a backup or a scrub: an init container of ours brings the runner, and the container `runner` runs it in the
//! PostgreSQL image that the policy names. It satisfies the Pod Security Standard `restricted`.

mod store;

use std::collections::BTreeMap;

use api::{
    meta,
    policy::{
        Compression, CompressionMethod, Globals, Resources, SecretKeyRef, SecretRef, SslMode,
        VerificationLevel,
    },
};
use domain::{name::Operation, retention::Rules};
use k8s_openapi::{
    api::core::v1::{
        Affinity, Capabilities, Container, EmptyDirVolumeSource, EnvVar, EnvVarSource, KeyToPath,
        LocalObjectReference, ObjectFieldSelector, PodAffinityTerm, PodSecurityContext, PodSpec,
        ProjectedVolumeSource, ResourceRequirements, SeccompProfile, SecretKeySelector, SecretProjection,
        SecurityContext, Volume, VolumeMount, VolumeProjection,
    },
    apimachinery::pkg::{api::resource::Quantity, apis::meta::v1::LabelSelector, util::intstr::IntOrString},
};

use super::{Images, cron_job};
use crate::validate::{PostgresImage, Server, User, ValidDump, ValidPolicy};

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
            Operation::Backup => backup_arguments(policy),
            Operation::Scrub => scrub_arguments(policy),
        }),
        env: Some(environment(policy, operation)),
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

/// The runner's command line, as `kubectl describe` shows it. Patterns go as `--include=...`: they may begin with
/// a dash.
fn backup_arguments(policy: &ValidPolicy) -> Vec<String> {
    let ValidPolicy {
        identity,
        time_zone,
        include,
        exclude,
        globals,
        dump,
        adopt_from,
        rules,
        dry_run,
        level,
        max_shrink,
        acknowledged,
        ..
    } = policy;
    let globals = match globals {
        Globals::WithoutPasswords => "without-passwords",
        Globals::WithPasswords => "with-passwords",
        Globals::None => "none",
    };
    let level = match level {
        VerificationLevel::Checksum => "checksum",
        VerificationLevel::Archive => "archive",
        VerificationLevel::Counts => "counts",
    };
    let mut arguments = vec!["backup".to_owned()];
    let mut option = |name: &str, value: &str| arguments.push(format!("--{name}={}", literal(value)));
    option("namespace", &identity.namespace);
    option("policy", &identity.name);
    option("policy-uid", &identity.uid);
    for (name, value) in store::options(policy) {
        option(name, &value);
    }
    option("time-zone", time_zone);
    for pattern in include {
        option("include", pattern);
    }
    for pattern in exclude {
        option("exclude", pattern);
    }
    option("globals", globals);
    let ValidDump {
        compression,
        lock_timeout,
        exclude_table_data,
        allow_newer_client,
        strict_extensions,
        max_replica_lag,
    } = dump;
    if let Some(compression) = compression {
        option("compress", &compress(compression));
    }
    option("lock-timeout", &lock_timeout.to_string());
    for pattern in exclude_table_data {
        option("exclude-table-data", pattern);
    }
    option("max-replica-lag", &max_replica_lag.to_string());
    if let Some(uid) = adopt_from {
        option("adopt-from", uid);
    }
    let Rules { keep, keep_within, minimum_verified, retired } = rules;
    for (bucket, count) in keep {
        option(&bucket.keep_option(), &count.to_string());
    }
    for (bucket, within) in keep_within {
        option(&bucket.keep_within_option(), &within.to_string());
    }
    option("minimum-verified", &minimum_verified.to_string());
    for database in retired {
        option("retired", database);
    }
    option("verify", level);
    option("max-shrink", &max_shrink.to_string());
    for set in acknowledged {
        option("acknowledged", set);
    }
    let flags = [
        ("allow-newer-client", allow_newer_client),
        ("strict-extensions", strict_extensions),
        ("dry-run", dry_run),
        ("s3-path-style", &store::path_style(policy)),
    ];
    arguments.extend(flags.into_iter().filter(|(_, given)| **given).map(|(name, _)| format!("--{name}")));
    arguments
}

fn scrub_arguments(policy: &ValidPolicy) -> Vec<String> {
    let ValidPolicy { identity, scrub, .. } = policy;
    let mut arguments = vec!["scrub".to_owned()];
    let mut option = |name: &str, value: &str| arguments.push(format!("--{name}={}", literal(value)));
    option("namespace", &identity.namespace);
    option("policy", &identity.name);
    option("policy-uid", &identity.uid);
    for (name, value) in store::options(policy) {
        option(name, &value);
    }
    if let Some(scrub) = scrub {
        option("share", &scrub.share.to_string());
    }
    arguments.extend(store::path_style(policy).then(|| "--s3-path-style".to_owned()));
    arguments
}

/// pg_dump's own way of saying it: `zstd:1`.
fn compress(Compression { method, level }: &Compression) -> String {
    let method = match method {
        CompressionMethod::Zstd => "zstd",
        CompressionMethod::Gzip => "gzip",
        CompressionMethod::Lz4 => "lz4",
        CompressionMethod::None => return "none".to_owned(),
    };
    format!("{method}:{}", level.unwrap_or(1))
}

/// How the server and the store are reached, and which run this is. A scrub has nothing to do with the server, and removes
/// nothing.
fn environment(policy: &ValidPolicy, operation: Operation) -> Vec<EnvVar> {
    let mut variables = match operation {
        Operation::Backup => server(policy),
        Operation::Scrub => Vec::new(),
    };
    variables.extend(store::variables(policy, operation));
    variables.extend([
        from_label("PGBACKUP_JOB", meta::JOB_NAME_LABEL),
        from_label("PGBACKUP_JOB_UID", meta::JOB_UID_LABEL),
        plain("HOME", SCRATCH_PATH),
        plain("TMPDIR", SCRATCH_PATH),
    ]);
    variables
}

/// libpq's usual variables.
fn server(policy: &ValidPolicy) -> Vec<EnvVar> {
    let connection = &policy.connection;
    let ssl_mode = match connection.ssl_mode {
        SslMode::Disable => "disable",
        SslMode::Prefer => "prefer",
        SslMode::Require => "require",
        SslMode::VerifyCa => "verify-ca",
        SslMode::VerifyFull => "verify-full",
    };
    let mut variables = match &connection.server {
        Server::Uri(secret) => vec![from_secret("PGBACKUP_URI", secret)],
        Server::Address { host, port, user, password } => {
            let user = match user {
                User::Named(user) => plain("PGUSER", user),
                User::Secret(secret) => from_secret("PGUSER", secret),
            };
            let password = password.as_ref().map(|password| from_secret("PGPASSWORD", password));
            let address = [plain("PGHOST", host), plain("PGPORT", &port.to_string()), user];
            address.into_iter().chain(password).collect()
        }
    };
    variables.push(plain("PGSSLMODE", ssl_mode));
    let file = |name: &str, file: &str| plain(name, &format!("{TLS_PATH}/{file}"));
    variables.extend(connection.ca.is_some().then(|| file("PGSSLROOTCERT", CA_FILE)));
    if connection.client_certificate.is_some() {
        variables.extend([file("PGSSLCERT", TLS_CERT_KEY), file("PGSSLKEY", TLS_PRIVATE_KEY_KEY)]);
    }
    variables
}

/// Kubernetes expands `$(NAME)` in arguments and values; a doubled dollar sign is one that stays.
fn literal(text: &str) -> String {
    text.replace('$', "$$")
}

fn plain(name: &str, value: &str) -> EnvVar {
    EnvVar { name: name.to_owned(), value: Some(literal(value)), value_from: None }
}

fn from_secret(name: &str, secret: &SecretKeyRef) -> EnvVar {
    let selector = SecretKeySelector { name: secret.name.clone(), key: secret.key.clone(), optional: None };
    let source = EnvVarSource { secret_key_ref: Some(selector), ..EnvVarSource::default() };
    EnvVar { name: name.to_owned(), value: None, value_from: Some(source) }
}

fn from_label(name: &str, label: &str) -> EnvVar {
    let field = ObjectFieldSelector {
        api_version: Some("v1".to_owned()),
        field_path: format!("metadata.labels['{label}']"),
    };
    let source = EnvVarSource { field_ref: Some(field), ..EnvVarSource::default() };
    EnvVar { name: name.to_owned(), value: None, value_from: Some(source) }
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
