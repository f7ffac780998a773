//! The runner parses the arguments and the environment variables that the operator writes into pods, and
//! configures itself as the policy defines. The pods are those of the golden cases of `crates/desired`.

#![allow(clippy::unwrap_used, clippy::panic, reason = "a test")]

use std::{
    fs,
    path::{Path, PathBuf},
    process::Command as Process,
};

use clap::Parser as _;
use domain::{
    invocation::{BackupOptions, BucketOptions, DumpOptions, Globals, ScrubOptions, default, variable},
    manifest::Level,
    operation::Operation,
    report::RunReport,
    retention::{Bucket, MINIMUM_VERIFIED, Rules},
    scrub, suspicion_rules,
};
use pgbackup_runner::args::{Cli, Command, Config, StoredArgs};
use serde_json::{Value, json};

/// The values of the variables with the Job's name and UID, which the kubelet takes from the pod's labels.
const JOB: &str = "shop-backup-29730375";
const JOB_UID: &str = "u-of-job";

/// A golden case: a policy, and the containers of its pods.
struct Case {
    name: String,
    policy: Value,
    containers: Vec<Value>,
}

#[test]
fn pod_arguments_are_parsed_to_the_options_of_the_policy() {
    let mut operations = Vec::new();
    for case in cases() {
        let spec = &case.policy["spec"];
        for container in case.containers_named("runner") {
            let context = format!("{}: {:?}", case.name, container["args"]);
            match parse(container).unwrap_or_else(|error| panic!("{context}: {error}")) {
                Command::Backup(args) => {
                    operations.push(Operation::Backup);
                    assert_stored(&args.common.stored, &case, &context);
                    let run = args.common.run.identity(Operation::Backup, "shop", "token");
                    let Config { policy, options, .. } = args.config(run).unwrap();
                    assert_eq!(json!(policy.uid), case.policy["metadata"]["uid"], "{context}");
                    assert_eq!(options, backup_options(spec), "{context}");
                }
                Command::Scrub(args) => {
                    operations.push(Operation::Scrub);
                    assert_stored(&args.common.stored, &case, &context);
                    assert_eq!(json!(args.policy_uid), case.policy["metadata"]["uid"], "{context}");
                    let share = number(&spec["verification"]["scrub"]["share"], scrub::SHARE.into());
                    let share = share.try_into().unwrap();
                    assert_eq!(args.options(), ScrubOptions { share }, "{context}");
                }
                other => panic!("{context}: not an operation: {other:?}"),
            }
        }
    }
    let count = |operation| operations.iter().filter(|parsed| **parsed == operation).count();
    assert!(Operation::all().all(|operation| count(operation) > 0), "{operations:?}");
    assert!(operations.len() >= 9, "{operations:?}");
}

#[test]
fn init_container_arguments_are_parsed_by_the_runner() {
    for case in cases() {
        for container in case.containers_named("install") {
            let Command::Install { folder } = parse(container).unwrap() else { panic!("{container}") };
            let [runner] = &case.containers_named("runner").collect::<Vec<_>>()[..] else { continue };
            assert_eq!(runner["command"], json!([folder.join("pgbackup-runner")]), "{}", case.name);
        }
    }
}

#[test]
fn pod_environment_is_read_by_the_runner() {
    let known: Vec<&str> = [&variable::SERVER[..], &variable::S3, &variable::GCS, &variable::AZURE].concat();
    for case in cases() {
        for container in case.containers_named("runner") {
            let mut process = Process::new(env!("CARGO_BIN_EXE_pgbackup-runner"));
            for one in container["env"].as_array().unwrap() {
                let name = one["name"].as_str().unwrap();
                let value = match one["valueFrom"]["fieldRef"]["fieldPath"].as_str() {
                    Some("metadata.labels['batch.kubernetes.io/job-name']") => JOB,
                    Some("metadata.labels['batch.kubernetes.io/controller-uid']") => JOB_UID,
                    Some(path) => panic!("{}: {path}", case.name),
                    None => {
                        let stored = name.strip_prefix(variable::PGBACKUP_PRUNE).unwrap_or(name);
                        let is_scratch = ["HOME", "TMPDIR"].contains(&name);
                        assert!(is_scratch || known.contains(&stored), "{}: {name}", case.name);
                        one["value"].as_str().unwrap_or("of a Secret")
                    }
                };
                process.env(name, value);
            }
            let folder = tempfile::tempdir().unwrap();
            let termination = folder.path().join("termination-log");
            fs::write(&termination, "").unwrap();
            // An invalid argument ends the run before it connects to anything.
            process.env(variable::PGBACKUP_TERMINATION_LOG, &termination);
            let output = process.args(arguments(container)).arg("--invalid").output().unwrap();
            assert_eq!(output.status.code(), Some(64), "{}: {output:?}", case.name);
            let report = RunReport::parse(fs::read_to_string(termination).unwrap().trim_end()).unwrap();
            assert_eq!(
                (report.run.job.as_str(), report.run.job_uid.as_str()),
                (JOB, JOB_UID),
                "{}",
                case.name
            );
        }
    }
}

fn assert_stored(stored: &StoredArgs, case: &Case, context: &str) {
    let metadata = &case.policy["metadata"];
    let named = (&json!(stored.namespace), &json!(stored.policy));
    assert_eq!(named, (&metadata["namespace"], &metadata["name"]), "{context}");
    let (location, bucket) = store(&case.policy["spec"]);
    let target = stored.target();
    assert_eq!(target.location, location.parse().unwrap(), "{context}");
    assert_eq!(target.options, bucket, "{context}");
}

/// Returns the location and the options of the store in a policy's spec.
fn store(spec: &Value) -> (String, BucketOptions) {
    let storage = &spec["storage"];
    let url = |scheme: &str, name: &Value, prefix: &Value| match prefix.as_str() {
        Some(prefix) => format!("{scheme}://{}/{prefix}", name.as_str().unwrap()),
        None => format!("{scheme}://{}", name.as_str().unwrap()),
    };
    let deadline = number(&spec["job"]["activeDeadlineSeconds"], 0) + 60;
    let leftover_age = default::LEFTOVER_AGE.max(std::time::Duration::from_secs(deadline));
    let options = BucketOptions { leftover_age, ..BucketOptions::default() };
    if let Some(s3) = storage.get("s3") {
        let encryption = &s3["serverSideEncryption"];
        let options = BucketOptions {
            ca: s3.get("caSecretRef").map(|_| "/tls/store-ca.crt".into()),
            path_style: s3["pathStyle"].as_bool().unwrap_or(s3.get("endpoint").is_some()),
            encryption: encryption["algorithm"].as_str().map(|algorithm| algorithm.parse().unwrap()),
            kms_key: text(&encryption["kmsKeyId"]),
            checksum: text(&s3["checksumAlgorithm"]).map(|name| name.to_lowercase().parse().unwrap()),
            storage_class: text(&s3["storageClass"]),
            ..options
        };
        (url("s3", &s3["bucket"], &s3["prefix"]), options)
    } else if let Some(gcs) = storage.get("gcs") {
        let options = BucketOptions { storage_class: text(&gcs["storageClass"]), ..options };
        (url("gs", &gcs["bucket"], &gcs["prefix"]), options)
    } else if let Some(azure) = storage.get("azure") {
        (url("az", &azure["container"], &azure["prefix"]), options)
    } else {
        ("/backup".to_owned(), BucketOptions::default())
    }
}

/// Returns the options of a backup in a policy's spec.
fn backup_options(spec: &Value) -> BackupOptions {
    let (databases, dump) = (&spec["postgres"]["databases"], &spec["dump"]);
    let (retention, verification) = (&spec["retention"], &spec["verification"]);
    let compression = |compression: &Value| {
        let method = compression["method"].as_str().unwrap().to_lowercase();
        match compression["level"].as_u64() {
            Some(level) => format!("{method}:{level}").parse().unwrap(),
            None => method.parse().unwrap(),
        }
    };
    let keep = Bucket::all().filter_map(|bucket| {
        let count = retention[camel_case("keep", bucket)].as_i64()?;
        Some((bucket, count.to_string().parse().unwrap()))
    });
    let keep_within = Bucket::all().filter_map(|bucket| {
        let field =
            if bucket == Bucket::Last { "keepWithin".to_owned() } else { camel_case("keepWithin", bucket) };
        Some((bucket, retention[field].as_str()?.parse().unwrap()))
    });
    let max_shrink = number(&verification["maxShrink"], suspicion_rules::MAX_SHRINK.into());
    let minimum_verified = number(&retention["minimumVerified"], MINIMUM_VERIFIED.into());
    BackupOptions {
        time_zone: text(&spec["timeZone"]).unwrap_or_else(|| default::TIME_ZONE.to_owned()),
        include: texts(&databases["include"]).unwrap_or_else(|| vec![default::INCLUDE.to_owned()]),
        exclude: texts(&databases["exclude"]).unwrap_or_default(),
        globals: text(&spec["postgres"]["globals"])
            .map_or_else(Globals::default, |name| kebab_case(&name).parse().unwrap()),
        dump: DumpOptions {
            compression: dump.get("compression").map(compression),
            lock_timeout: duration(&dump["lockTimeout"]).unwrap_or(default::LOCK_TIMEOUT),
            exclude_table_data: texts(&dump["excludeTableData"]).unwrap_or_default(),
            allow_newer_client: dump["allowNewerClient"].as_bool().unwrap_or(false),
            strict_extensions: dump["strictExtensions"].as_bool().unwrap_or(false),
            max_replica_lag: duration(&dump["maxReplicaLag"]).unwrap_or(default::MAX_REPLICA_LAG),
        },
        adopt_from: text(&spec["storage"]["adoptFrom"]),
        rules: Rules {
            keep: keep.collect(),
            keep_within: keep_within.collect(),
            minimum_verified: minimum_verified.try_into().unwrap(),
            retired: texts(&databases["retired"]).unwrap_or_default().into_iter().collect(),
        },
        dry_run: retention["dryRun"].as_bool().unwrap_or(false),
        level: text(&verification["level"])
            .map_or_else(Level::default, |name| name.to_lowercase().parse().unwrap()),
        max_shrink: max_shrink.try_into().unwrap(),
        acknowledged: Vec::new(),
    }
}

fn text(value: &Value) -> Option<String> {
    value.as_str().map(str::to_owned)
}

fn texts(value: &Value) -> Option<Vec<String>> {
    Some(value.as_array()?.iter().map(|one| text(one).unwrap()).collect())
}

fn number(value: &Value, default: u64) -> u64 {
    value.as_u64().unwrap_or(default)
}

fn duration(value: &Value) -> Option<std::time::Duration> {
    let (number, unit) = value.as_str()?.split_at(value.as_str()?.len() - 1);
    let seconds = match unit {
        "s" => 1,
        "m" => 60,
        _ => 3600,
    };
    Some(std::time::Duration::from_secs(number.parse::<u64>().unwrap() * seconds))
}

/// Returns the name of a policy's field, for example `keepDaily`.
fn camel_case(prefix: &str, bucket: Bucket) -> String {
    let (first, rest) = bucket.as_str().split_at(1);
    format!("{prefix}{}{rest}", first.to_uppercase())
}

/// Converts a name such as `WithoutPasswords` to `without-passwords`.
fn kebab_case(name: &str) -> String {
    let mut result = String::new();
    for letter in name.chars() {
        if letter.is_uppercase() && !result.is_empty() {
            result.push('-');
        }
        result.extend(letter.to_lowercase());
    }
    result
}

fn parse(container: &Value) -> Result<Command, clap::Error> {
    let line = ["pgbackup-runner".to_owned()].into_iter().chain(arguments(container));
    Cli::try_parse_from(line).map(|cli| cli.command)
}

/// Returns the arguments as the kubelet passes them to the container, with each doubled dollar sign changed
/// into one.
fn arguments(container: &Value) -> Vec<String> {
    texts(&container["args"]).unwrap().iter().map(|argument| argument.replace("$$", "$")).collect()
}

impl Case {
    fn containers_named(&self, name: &str) -> impl Iterator<Item = &Value> {
        self.containers.iter().filter(move |container| container["name"] == name)
    }
}

fn cases() -> Vec<Case> {
    let root = Path::new(env!("CARGO_MANIFEST_DIR")).join("../desired/tests/golden/objects");
    let mut folders: Vec<PathBuf> = fs::read_dir(&root).unwrap().map(|entry| entry.unwrap().path()).collect();
    folders.sort();
    let cases: Vec<Case> = folders.iter().map(|folder| case(folder)).collect();
    assert!(cases.len() >= 8, "{folders:?}");
    cases
}

fn case(folder: &Path) -> Case {
    let read = |file: &str| -> Value {
        serde_saphyr::from_str(&fs::read_to_string(folder.join(file)).unwrap()).unwrap()
    };
    let mut containers = Vec::new();
    find_containers(&read("objects.yaml"), &mut containers);
    let name = folder.file_name().unwrap().to_string_lossy().into_owned();
    assert!(!containers.is_empty(), "{name}");
    Case { name, policy: read("policy.yaml"), containers }
}

/// Adds the containers and init containers of all pods in `value` to `found`.
fn find_containers(value: &Value, found: &mut Vec<Value>) {
    match value {
        Value::Object(fields) => {
            for (name, field) in fields {
                match (name.as_str(), field) {
                    ("containers" | "initContainers", Value::Array(all)) => found.extend(all.iter().cloned()),
                    _ => find_containers(field, found),
                }
            }
        }
        Value::Array(all) => all.iter().for_each(|one| find_containers(one, found)),
        _ => {}
    }
}
