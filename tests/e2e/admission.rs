//! The API server rejects each mistake in a policy with one message, and accepts valid policies.
//!
//! The cases are in the folder `admission`. `crates/desired/tests/mistakes.rs` checks that the operator's own
//! validation gives the same results.

use std::{fs, path::PathBuf};

use anyhow::{Context, Result, bail, ensure};
use api::{
    BackupPolicy,
    status::{ConditionStatus, ConditionType},
};
use domain::reason::Reason;
use http::Request;
use kube::{Resource, core::Status};
use pgbackup_tests::{Env, story};
use serde::Deserialize;
use serde_json::{Map, Value};

/// A change of `policy.yaml`, and the expected response of the API server.
#[derive(Deserialize)]
struct Case {
    name: String,
    /// The values to set, by path. Null removes the field.
    set: Map<String, Value>,
    /// The expected field and message of the error; empty if the policy is valid.
    #[serde(default)]
    message: String,
}

/// The message that the API server adds if a required field is missing.
const UNCHECKED: &str = "some validation rules were not checked because the object was invalid";

/// The documents that contain policies for people to copy, and the number of policies in each.
const COPIED: [(&str, usize); 5] = [
    ("README.md", 1),
    ("charts/pgbackup/templates/NOTES.txt", 1),
    ("examples/nightly.yaml", 1),
    ("examples/s3.yaml", 1),
    ("examples/demo/policy.yaml", 1),
];

#[test]
fn invalid_policies_are_rejected_at_admission() -> Result<()> {
    story("invalid-policies", async |env| {
        let (mut wrong, mut count) = (Vec::new(), 0);
        for topic in ["schedule", "postgres", "dump", "storage", "retention", "job"] {
            for case in cases(&format!("refused/{topic}.yaml"))? {
                count += 1;
                let messages = match create(&env, &changed(&case)?).await? {
                    Ok(_) => vec!["accepted".to_owned()],
                    Err(error) => errors(*error),
                };
                // Each mistake has exactly one message.
                if messages != [case.message.as_str()] {
                    wrong.push(format!("{topic}: {}: {messages:?} instead of {:?}", case.name, case.message));
                }
            }
        }
        ensure!(wrong.is_empty(), "{}", wrong.join("\n"));
        ensure!(count >= 210, "there are only {count} mistakes");
        Ok(())
    })
}

#[test]
fn valid_policies_are_accepted_at_admission() -> Result<()> {
    story("valid-policies", async |env| {
        let cases = cases("accepted.yaml")?;
        ensure!(cases.len() >= 40, "there are only {} valid policies", cases.len());
        for case in cases {
            is_accepted(&env, &case.name, &changed(&case)?).await?;
        }
        Ok(())
    })
}

#[test]
fn documented_examples_are_accepted_at_admission() -> Result<()> {
    story("examples", async |env| {
        for (file, count) in COPIED {
            let policies = policies_in(&fs::read_to_string(root().join(file)).context(file)?)?;
            ensure!(policies.len() == count, "{file} has {} policies", policies.len());
            for mut policy in policies {
                policy["metadata"]["namespace"] = env.namespace.as_str().into();
                is_accepted(&env, file, &policy).await?;
            }
        }
        Ok(())
    })
}

#[test]
fn invalid_policy_that_passes_admission_is_stalled() -> Result<()> {
    let never = "the schedule matches no date. Write a day of month that at least one of its months has.";
    let cases = [
        ("never", "0 0 30 2 *", "Etc/UTC", format!("spec.schedule: {never}")),
        ("never-either", "0 0 31 4,6,9,11 *", "Etc/UTC", format!("spec.schedule: {never}")),
        (
            "minute",
            "61 * * * *",
            "Etc/UTC",
            "spec.schedule: 61 is out of range in the minute field. Write 0 to 59.".to_owned(),
        ),
        (
            "sunday",
            "0 2 * * 7",
            "Etc/UTC",
            "spec.schedule: 7 is out of range in the day of week field. Write 0 (Sunday) to 6 (Saturday) or sun to sat."
                .to_owned(),
        ),
        (
            "backwards",
            "0 22-4 * * *",
            "Etc/UTC",
            "spec.schedule: the range 22-4 in the hour field ends before it starts. Write 22-23,0-4.".to_owned(),
        ),
        (
            "hashed-day",
            "0 2 H * *",
            "Etc/UTC",
            "spec.schedule: H is allowed only in the minute field and the hour field. Write * or 1 to 31 in the day of month field.".to_owned(),
        ),
        (
            "nowhere",
            "0 2 * * *",
            "Middle/Earth",
            "spec.timeZone: \"Middle/Earth\" is not an IANA time zone. Write an IANA name, for example Europe/Berlin or Etc/UTC."
                .to_owned(),
        ),
    ];
    story("stalled", async |env| {
        for (name, schedule, zone, message) in &cases {
            let policy = env
                .policy(name, |spec| {
                    spec.schedule = (*schedule).to_owned();
                    spec.time_zone = (*zone).to_owned();
                })
                .await?;
            let said = policy
                .condition_is(ConditionType::Ready, ConditionStatus::False, Reason::InvalidSchedule)
                .await?;
            ensure!(said == *message, "{name}: not {message:?}, but {said:?}");
            policy
                .condition_is(ConditionType::Stalled, ConditionStatus::True, Reason::InvalidSchedule)
                .await?;
            ensure!(policy.jobs().await?.is_empty());

            policy
                .edit(|spec| {
                    spec.schedule = "0 2 * * *".to_owned();
                    spec.time_zone = "Etc/UTC".to_owned();
                })
                .await?;
            policy.ready().await?;
        }
        Ok(())
    })
}

/// Fails unless both the API server and the operator accept the policy.
async fn is_accepted(env: &Env, name: &str, policy: &Value) -> Result<()> {
    match create(env, policy).await? {
        Ok(stored) => {
            desired::validate(&stored).map(drop).with_context(|| format!("{name}: the operator rejects it"))
        }
        Err(error) => bail!("{name}: {}", error.message),
    }
}

/// Creates a policy like `kubectl create --dry-run=server`: with strict validation, and without storing it.
async fn create(env: &Env, policy: &Value) -> Result<Result<BackupPolicy, Box<Status>>> {
    // The client supports strict validation only for patches.
    let path = BackupPolicy::url_path(&(), Some(&env.namespace));
    let request = Request::post(format!("{path}?dryRun=All&fieldValidation=Strict"))
        .header("Content-Type", "application/json")
        .body(serde_json::to_vec(policy)?)?;
    match env.client.request(request).await {
        Ok(stored) => Ok(Ok(stored)),
        Err(kube::Error::Api(status)) => Ok(Err(status)),
        Err(error) => Err(error.into()),
    }
}

/// Returns the causes of an error with their fields. An unknown field has no cause, so the error's message is
/// returned.
fn errors(error: Status) -> Vec<String> {
    let mut causes = error.details.map(|details| details.causes).unwrap_or_default();
    causes.retain(|cause| !cause.message.contains(UNCHECKED));
    if causes.is_empty() {
        return vec![error.message];
    }
    causes.iter().map(|cause| format!("{}: {}", cause.field, cause.message)).collect()
}

/// Returns the policies in a document. Each begins at a line `apiVersion` and ends before the next line with
/// a smaller indent.
fn policies_in(text: &str) -> Result<Vec<Value>> {
    let mut policies = Vec::new();
    let lines: Vec<&str> = text.lines().collect();
    for (at, line) in lines.iter().enumerate() {
        let indent = line.len() - line.trim_start().len();
        if line.trim() != "apiVersion: pgbackup.dev/v1alpha1" {
            continue;
        }
        let inside = |line: &&&str| {
            line.trim().is_empty()
                || (line.len() - line.trim_start().len() >= indent
                    && !line.starts_with("```")
                    && !line.starts_with("---"))
        };
        let policy: Vec<&str> = lines[at..]
            .iter()
            .take_while(inside)
            .map(|line| line.get(indent..).unwrap_or_default())
            .collect();
        // Helm replaces this expression.
        let policy = policy.join("\n").replace("{{ .Values.watchNamespace | default \"shop\" }}", "shop");
        policies.push(serde_saphyr::from_str(&policy).with_context(|| policy)?);
    }
    Ok(policies)
}

fn cases(file: &str) -> Result<Vec<Case>> {
    let text = fs::read_to_string(folder().join(file)).with_context(|| file.to_owned())?;
    serde_saphyr::from_str(&text).with_context(|| file.to_owned())
}

/// Returns `policy.yaml` with the changes of a case.
fn changed(case: &Case) -> Result<Value> {
    let mut policy: Value = serde_saphyr::from_str(&fs::read_to_string(folder().join("policy.yaml"))?)?;
    for (path, value) in &case.set {
        let (parent, field) = path.rsplit_once('.').with_context(|| format!("{path} is no path"))?;
        let parent = policy.pointer_mut(&format!("/{}", parent.replace('.', "/")));
        let parent = parent.and_then(Value::as_object_mut).with_context(|| format!("there is no {path}"))?;
        if value.is_null() {
            parent.remove(field);
        } else {
            parent.insert(field.to_owned(), value.clone());
        }
    }
    Ok(policy)
}

fn folder() -> PathBuf {
    root().join("tests/e2e/admission")
}

fn root() -> PathBuf {
    PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("..")
}
