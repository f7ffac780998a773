//! The mistakes that a real API server refuses (`tests/e2e/admission`) are refused by `validate`
//! too, at the same place and in the same words: the definition in a cluster may be older than the operator.

#![expect(clippy::unwrap_used, reason = "helpers of a test")]
#![allow(clippy::disallowed_methods, reason = "a test reads its cases from files")]

use std::{fs, path::PathBuf};

use api::BackupPolicy;
use pgbackup_desired::validate;
use serde::Deserialize;
use serde_json::{Map, Value};

#[derive(Deserialize)]
struct Case {
    what: String,
    set: Map<String, Value>,
    #[serde(default)]
    says: String,
}

#[test]
fn validate_rejects_what_the_api_server_rejects() {
    let (mut wrong, mut checked, mut unreadable) = (Vec::new(), 0, 0);
    for topic in ["schedule", "postgres", "dump", "storage", "retention", "job"] {
        for case in cases(&format!("refused/{topic}.yaml")) {
            // Fields that do not exist are for the API server to find: older operators read newer objects.
            // And what is Kubernetes' own, it checks when the CronJob is made.
            if case.says.contains("unknown field") || case.says.starts_with("spec.job.affinity.") {
                continue;
            }
            let Ok(policy) = serde_json::from_value::<BackupPolicy>(changed(&case)) else {
                unreadable += 1;
                continue;
            };
            checked += 1;
            match validate(&policy) {
                Ok(_) => wrong.push(format!("{topic}: {} is accepted", case.what)),
                Err(error) if agree(&case.says, &error.to_string()) => {}
                Err(error) => wrong.push(format!("{topic}: {}: {:?}, but {error}", case.what, case.says)),
            }
        }
    }
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
    assert!(checked >= 120 && unreadable >= 20, "{checked} were checked, {unreadable} could not be read");
}

#[test]
fn validate_accepts_what_the_api_server_accepts() {
    for case in cases("accepted.yaml") {
        let policy: BackupPolicy = serde_json::from_value(changed(&case)).unwrap();
        if let Err(error) = validate(&policy) {
            assert_eq!(error.to_string(), "", "{}", case.what);
        }
    }
}

/// The same place, or one around it; and the same words where the rule is one of ours.
fn agree(server: &str, ours: &str) -> bool {
    let server = server.strip_prefix("<nil>: Invalid value: ").unwrap_or(server);
    let (their_place, theirs) = server.split_once(": ").unwrap();
    let (our_place, words) = ours.split_once(": ").unwrap();
    // The schema's own checks name the field in their sentence. Of schedules the operator knows more.
    let of_schema = theirs.contains(" in body ") || theirs.starts_with("Too ");
    let of_schedule = our_place.ends_with("chedule") || our_place.ends_with("timeZone");
    their_place.starts_with(our_place) && (of_schema || of_schedule || theirs.ends_with(words))
}

fn cases(file: &str) -> Vec<Case> {
    serde_saphyr::from_str(&fs::read_to_string(folder().join(file)).unwrap()).unwrap()
}

/// The plain policy with what the case sets.
fn changed(case: &Case) -> Value {
    let mut policy: Value =
        serde_saphyr::from_str(&fs::read_to_string(folder().join("policy.yaml")).unwrap()).unwrap();
    for (place, value) in &case.set {
        let (parent, field) = place.rsplit_once('.').unwrap();
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
