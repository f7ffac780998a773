//! Golden cases: the objects of a policy, and its status after an observation, as YAML that a reviewer can
//! read.
//!
//! A case is a folder in `golden/objects/` or `golden/status/<topic>/`. Its first line describes why it
//! exists.
//!
//! | file | in | contains |
//! | --- | --- | --- |
//! | `policy.yaml` | both | the policy |
//! | `objects.yaml` | objects | the result of `objects` |
//! | `previous.yaml` | status | the status before |
//! | `observed.yaml` | status | what the operator observes, and when |
//! | `status.yaml` | status | the result of `status`: a diff with `previous.yaml` shows the change |
//! | `events.yaml` | status | the events, and when the status will change without an observation |
//!
//! A case without a `policy.yaml` or `previous.yaml` uses the nearest one in a parent folder.
//! `UPDATE_GOLDEN=1` writes the current results: review the diff.

#![expect(clippy::disallowed_methods, reason = "tests read files; the crate does not")]
#![expect(clippy::unwrap_used, clippy::panic, reason = "helpers of a test")]

use std::{
    env, fs,
    path::{Path, PathBuf},
};

use api::{BackupPolicy, BackupPolicyStatus};
use domain::operation::PerOperation;
use jiff::Timestamp;
use pgbackup_desired::{self as desired, EventDraft, Images, Observed, StatusOutcome};
use serde::{Deserialize, Serialize, de::DeserializeOwned};
use serde_json::{Value, json};

/// The content of `observed.yaml`.
#[derive(Deserialize)]
struct Observation {
    now: Timestamp,
    #[serde(flatten)]
    observed: Observed,
}

/// The content of `events.yaml`.
#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct Events {
    next_change: Option<Timestamp>,
    events: Vec<Value>,
}

#[test]
fn kubernetes_objects_match_golden_files() {
    check("objects", "policy.yaml", |case| {
        let objects = objects(&inherited(case, "policy.yaml").expect("a case should have a policy"));
        vec![differs(&case.join("objects.yaml"), &objects)]
    });
}

#[test]
fn policy_statuses_match_golden_files() {
    check("status", "observed.yaml", |case| {
        let observation: Observation =
            read(&case.join("observed.yaml")).expect("a case should have an observation");
        let mut policy: BackupPolicy = inherited(case, "policy.yaml").expect("a case should have a policy");
        policy.status = inherited::<Option<_>>(case, "previous.yaml").flatten();
        rewrite_previous(case);
        let (status, events) = status(case, &policy, &observation);
        vec![differs(&case.join("status.yaml"), &status), differs(&case.join("events.yaml"), &events)]
    });
}

/// Runs `case` for the folder of each file `input` below a folder of `golden/`. Fails with the differences
/// that `case` returns.
fn check(folder: &str, input: &str, case: impl Fn(&Path) -> Vec<Option<String>>) {
    let root = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/golden").join(folder);
    let mut cases = Vec::new();
    find_cases(&root, &["observed.yaml", "objects.yaml", "status.yaml"], &mut cases);
    assert!(cases.len() >= 8, "{cases:?}");
    for case in &cases {
        let text = fs::read_to_string(case.join(input)).unwrap();
        assert!(text.starts_with("# "), "{}/{input} should begin with why the case exists", case.display());
    }
    let wrong: Vec<String> = cases.iter().flat_map(|folder| case(folder)).flatten().collect();
    assert!(wrong.is_empty(), "UPDATE_GOLDEN=1 rewrites these:\n{}", wrong.join("\n"));
}

fn find_cases(folder: &Path, files: &[&str], found: &mut Vec<PathBuf>) {
    let mut children: Vec<PathBuf> = fs::read_dir(folder)
        .unwrap()
        .map(|entry| entry.unwrap().path())
        .filter(|path| path.is_dir())
        .collect();
    children.sort();
    for child in children {
        find_cases(&child, files, found);
    }
    if files.iter().any(|file| folder.join(file).exists()) {
        found.push(folder.to_owned());
    }
}

/// Returns the golden file's name and its wanted content, if the content differs.
fn differs(file: &Path, is: &impl Serialize) -> Option<String> {
    let text = serde_saphyr::to_string(is).unwrap();
    if updates() {
        fs::write(file, text).unwrap();
        return None;
    }
    let wanted: Value = read(file).unwrap_or_default();
    (wanted != json!(is)).then(|| format!("{}\n{text}", file.display()))
}

/// Rewrites `previous.yaml` in the format of `status.yaml`.
fn rewrite_previous(case: &Path) {
    let Some(file) = nearest(case, "previous.yaml").filter(|_| updates()) else { return };
    if let Some(Some(status)) = read::<Option<BackupPolicyStatus>>(&file) {
        fs::write(&file, serde_saphyr::to_string(&status).unwrap()).unwrap();
    }
}

fn updates() -> bool {
    env::var_os("UPDATE_GOLDEN").is_some()
}

fn objects(policy: &BackupPolicy) -> Value {
    let images = Images {
        runner: "ghcr.io/pgbackup/pgbackup:0.1.0".into(),
        postgres_repository: "docker.io/library/postgres".into(),
        pull_policy: "IfNotPresent".into(),
    };
    let valid = desired::validate(policy).expect("a policy should be valid");
    let PerOperation { backup, scrub } = desired::objects(&valid, &images).cron_jobs;
    scrub.map_or_else(|| json!(backup), |scrub| json!([backup, scrub]))
}

fn status(case: &Path, policy: &BackupPolicy, observation: &Observation) -> (BackupPolicyStatus, Events) {
    let status = |policy: &BackupPolicy, observed: &Observed| -> StatusOutcome {
        desired::status(policy, desired::validate(policy).as_ref(), observed, observation.now)
    };
    let outcome = status(policy, &observation.observed);

    let mut again = policy.clone();
    again.status = Some(through_the_api(&outcome.status));
    let case = case.display();
    assert_eq!(status(&again, &observation.observed), outcome, "{case}: a second reconcile changes nothing");
    let mut reversed = observation.observed.clone();
    reversed.operations.values_mut().for_each(|operation| operation.runs.reverse());
    assert_eq!(status(policy, &reversed), outcome, "{case}: the order of the runs does not matter");
    let repeated = desired::events(Some(&outcome.status), &outcome.status);
    assert_eq!(repeated, [], "{case}: an unchanged status gives no events");

    let events = desired::events(policy.status.as_ref(), &outcome.status).iter().map(event).collect();
    (outcome.status, Events { next_change: outcome.next_change, events })
}

fn event(event: &EventDraft) -> Value {
    let EventDraft { warning, reason, action, note, job } = event;
    let kind = if *warning { "Warning" } else { "Normal" };
    json!({ "type": kind, "reason": reason, "action": action, "note": note, "job": job })
}

/// Converts the status to JSON and back, as the API server does.
fn through_the_api(status: &BackupPolicyStatus) -> BackupPolicyStatus {
    serde_json::from_str(&serde_json::to_string(status).unwrap()).unwrap()
}

/// Returns the content of the file with this name in the case's folder or in the nearest parent folder.
fn inherited<T: DeserializeOwned>(case: &Path, name: &str) -> Option<T> {
    read(&nearest(case, name)?)
}

fn nearest(case: &Path, name: &str) -> Option<PathBuf> {
    case.ancestors().map(|folder| folder.join(name)).find(|file| file.exists())
}

fn read<T: DeserializeOwned>(path: &Path) -> Option<T> {
    let text = fs::read_to_string(path).ok()?;
    serde_saphyr::from_str(&text).unwrap_or_else(|error| panic!("{}: {error}", path.display()))
}
