//! Golden files: what a policy becomes, and what is said of it, as YAML that a reviewer can read.
//!
//! A case is a folder of `golden/`. Its policy is `policy.yaml`, or the shared one beside the folders.
//! With `observed.yaml` (what is seen, and when) and perhaps `previous.yaml` (the status before), `status.yaml` is
//! what comes of it; without, `objects.yaml` is. `UPDATE_GOLDEN=1` writes what the code says: read the difference.

#![expect(clippy::disallowed_methods, reason = "tests read files; the crate does not")]
#![expect(clippy::unwrap_used, clippy::panic, reason = "helpers of a test")]

use std::{
    env, fs,
    path::{Path, PathBuf},
};

use api::{BackupPolicy, BackupPolicyStatus};
use domain::operation::PerOperation;
use jiff::Timestamp;
use pgbackup_desired::{self as desired, Images, Observed, StatusOutcome};
use serde::{Deserialize, de::DeserializeOwned};
use serde_json::{Value, json};

#[derive(Deserialize)]
struct Seen {
    now: Timestamp,
    #[serde(flatten)]
    observed: Observed,
}

#[test]
fn every_case_is_as_its_golden_files_say() {
    let root = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/golden");
    let mut cases: Vec<PathBuf> = fs::read_dir(&root)
        .unwrap()
        .map(|entry| entry.unwrap().path())
        .filter(|path| path.is_dir())
        .collect();
    cases.sort();
    let wrong: Vec<String> = cases.iter().filter_map(|case| check(&root, case)).collect();
    assert!(wrong.is_empty(), "UPDATE_GOLDEN=1 rewrites these:\n{}", wrong.join("\n"));
}

/// What differs, if anything does.
fn check(root: &Path, case: &Path) -> Option<String> {
    let own = case.join("policy.yaml");
    let mut policy: BackupPolicy = read(&if own.exists() { own } else { root.join("policy.yaml") })
        .expect("a case should have a policy");
    policy.status = read(&case.join("previous.yaml"));
    let (name, is) = match read::<Seen>(&case.join("observed.yaml")) {
        Some(seen) => ("status.yaml", status(case, &policy, &seen)),
        None => ("objects.yaml", objects(&policy)),
    };
    let golden = case.join(name);
    if env::var_os("UPDATE_GOLDEN").is_some() {
        fs::write(&golden, serde_saphyr::to_string(&is).unwrap()).unwrap();
        return None;
    }
    let wanted: Value = read(&golden).unwrap_or_default();
    (wanted != is).then(|| format!("{}\n{}", golden.display(), serde_saphyr::to_string(&is).unwrap()))
}

fn objects(policy: &BackupPolicy) -> Value {
    let images = Images {
        runner: "ghcr.io/pgbackup/pgbackup:0.1.0".into(),
        postgres_repository: "docker.io/library/postgres".into(),
        pull_policy: "IfNotPresent".into(),
    };
    match desired::validate(policy) {
        Ok(valid) => {
            let PerOperation { backup, scrub } = desired::objects(&valid, &images).cron_jobs;
            scrub.map_or_else(|| json!(backup), |scrub| json!([backup, scrub]))
        }
        Err(invalid) => json!({ "reason": invalid.reason(), "message": invalid.to_string() }),
    }
}

fn status(case: &Path, policy: &BackupPolicy, seen: &Seen) -> Value {
    let look = |policy: &BackupPolicy, observed: &Observed| -> StatusOutcome {
        desired::status(policy, desired::validate(policy).as_ref(), observed, seen.now)
    };
    let outcome = look(policy, &seen.observed);

    let mut again = policy.clone();
    again.status = Some(through_the_api(&outcome.status));
    assert_eq!(look(&again, &seen.observed), outcome, "{}: a second look changes nothing", case.display());
    let mut reversed = seen.observed.clone();
    reversed.operations.values_mut().for_each(|operation| operation.runs.reverse());
    assert_eq!(look(policy, &reversed), outcome, "{}: the order does not matter", case.display());
    let repeated = desired::events(Some(&outcome.status), &outcome.status);
    assert_eq!(repeated, [], "{}: nothing is said twice", case.display());

    let events: Vec<Value> = desired::events(policy.status.as_ref(), &outcome.status)
        .into_iter()
        .map(|event| {
            let kind = if event.warning { "Warning" } else { "Normal" };
            let (reason, action) = (event.reason, event.action);
            json!({ "type": kind, "reason": reason, "action": action, "note": event.note, "job": event.job })
        })
        .collect();
    json!({ "status": outcome.status, "nextChange": outcome.next_change, "events": events })
}

/// As it comes back from the cluster.
fn through_the_api(status: &BackupPolicyStatus) -> BackupPolicyStatus {
    serde_json::from_str(&serde_json::to_string(status).unwrap()).unwrap()
}

fn read<T: DeserializeOwned>(path: &Path) -> Option<T> {
    let text = fs::read_to_string(path).ok()?;
    Some(serde_saphyr::from_str(&text).unwrap_or_else(|error| panic!("{}: {error}", path.display())))
}
