//! `validate` rejects the same mistakes as the API server, with the same fields and messages, because the CRD
//! in a cluster may be older than the operator. `tests/e2e/admission` checks the same cases on a real API
//! server.

#![expect(clippy::unwrap_used, reason = "helpers of a test")]
#![allow(clippy::disallowed_methods, reason = "a test reads its cases from files")]

use std::{fs, path::PathBuf};

use api::BackupPolicy;
use pgbackup_desired::validate;
use serde::Deserialize;
use serde_json::{Map, Value};

#[derive(Deserialize)]
struct Case {
    name: String,
    set: Map<String, Value>,
    #[serde(default)]
    message: String,
}

#[test]
fn operator_and_crd_reject_policies_with_the_same_message() {
    let (mut wrong, mut checked, mut unreadable) = (Vec::new(), 0, 0);
    for topic in ["schedule", "postgres", "dump", "storage", "retention", "job"] {
        for case in cases(&format!("refused/{topic}.yaml")) {
            // Not checked here: only the API server rejects unknown fields, because an older operator must be
            // able to read a newer policy; and Kubernetes checks the affinity when the CronJob is created.
            if case.message.contains("unknown field") || case.message.starts_with("spec.job.affinity.") {
                continue;
            }
            let Ok(policy) = serde_json::from_value::<BackupPolicy>(changed(&case)) else {
                unreadable += 1;
                continue;
            };
            checked += 1;
            match validate(&policy) {
                Ok(_) => wrong.push(format!("{topic}: {} is accepted", case.name)),
                Err(error) if agree(&case.message, &error.to_string()) => {}
                Err(error) => {
                    wrong.push(format!("{topic}: {}: {error:?} instead of {:?}", case.name, case.message));
                }
            }
        }
    }
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
    assert!(checked >= 130 && unreadable >= 20, "{checked} checked, {unreadable} unreadable");
}

#[test]
fn policies_accepted_by_the_crd_pass_operator_validation() {
    for case in cases("accepted.yaml") {
        let policy: BackupPolicy = serde_json::from_value(changed(&case)).unwrap();
        if let Err(error) = validate(&policy) {
            assert_eq!(error.to_string(), "", "{}", case.name);
        }
    }
}

/// Returns whether two errors agree: the error of `validate` is about the same field or a parent of it, and
/// it has the same message if the message is one of pgbackup's.
fn agree(server: &str, ours: &str) -> bool {
    let server = server.strip_prefix("<nil>: Invalid value: ").unwrap_or(server);
    let (their_field, theirs) = server.split_once(": ").unwrap();
    let (our_field, message) = ours.split_once(": ").unwrap();
    // Not compared: the API server has its own messages for limits in the schema, and the operator has more
    // precise messages for schedules than the CRD.
    let of_schema = theirs.contains(" in body ") || theirs.starts_with("Too ");
    let of_schedule = our_field.ends_with("chedule") || our_field.ends_with("timeZone");
    their_field.starts_with(our_field) && (of_schema || of_schedule || theirs.ends_with(message))
}

fn cases(file: &str) -> Vec<Case> {
    serde_saphyr::from_str(&fs::read_to_string(folder().join(file)).unwrap()).unwrap()
}

/// Returns `policy.yaml` with the changes of a case.
fn changed(case: &Case) -> Value {
    let mut policy: Value =
        serde_saphyr::from_str(&fs::read_to_string(folder().join("policy.yaml")).unwrap()).unwrap();
    for (path, value) in &case.set {
        let (parent, field) = path.rsplit_once('.').unwrap();
        let parent = policy.pointer_mut(&format!("/{}", parent.replace('.', "/"))).unwrap();
        let parent = parent.as_object_mut().unwrap();
        if value.is_null() {
            parent.remove(field);
        } else {
            parent.insert(field.to_owned(), value.clone());
        }
    }
    policy
}

fn folder() -> PathBuf {
    PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("../../tests/e2e/admission")
}
