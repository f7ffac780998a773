use api::{BackupPolicy, meta};
use serde_json::{Value, json};

use super::*;
use crate::validate::validate;

fn policy() -> BackupPolicy {
    serde_json::from_value(json!({
        "apiVersion": "pgbackup.dev/v1alpha1",
        "kind": "BackupPolicy",
        "metadata": { "namespace": "shop", "name": "shop", "uid": "u-1" },
        "spec": {
            "schedule": "15 2 * * *",
            "postgres": { "version": 17, "connection": {
                "host": "db", "user": "backup", "passwordSecretRef": { "name": "db", "key": "password" },
            }},
            "storage": { "volume": { "claimName": "backups" } },
        },
    }))
    .unwrap()
}

fn valid() -> ValidPolicy {
    validate(&policy()).unwrap()
}

fn wanted() -> CronJob {
    let images = Images {
        runner: "runner:1".into(),
        postgres_repository: "postgres".into(),
        pull_policy: "IfNotPresent".into(),
    };
    objects(&valid(), &images).cron_jobs.backup.unwrap()
}

/// Returns the CronJob as the cluster has it, after `change`.
fn observed(change: impl FnOnce(&mut Value)) -> CronJob {
    let mut value = json!(wanted());
    // The fields that the API server adds.
    value["metadata"]["uid"] = json!("c-1");
    value["metadata"]["generation"] = json!(1);
    value["metadata"]["annotations"][meta::APPLIED_GENERATION] = json!("1");
    value["status"] = json!({ "lastScheduleTime": "2026-11-23T02:15:00Z" });
    let job = &mut value["spec"]["jobTemplate"]["spec"];
    job["completionMode"] = json!("NonIndexed");
    let pod = &mut job["template"]["spec"];
    pod["dnsPolicy"] = json!("ClusterFirst");
    pod["containers"][0]["env"][3]["valueFrom"]["secretKeyRef"]["optional"] = json!(false);
    let spec = value["spec"].clone();
    change(&mut value);
    if value["spec"] != spec {
        // The API server increments the generation when the spec changes.
        value["metadata"]["generation"] = json!(2);
    }
    serde_json::from_value(value).unwrap()
}

#[test]
fn cron_job_defaults_from_api_server_are_not_drift() {
    assert!(up_to_date(&wanted(), &observed(|_| ()).metadata));
}

#[test]
fn field_added_to_cron_job_spec_is_drift() {
    let added = observed(|it| {
        it["spec"]["startingDeadlineSeconds"] = json!(1);
    });
    assert!(!up_to_date(&wanted(), &added.metadata));
}

#[test]
fn cron_job_changed_by_admission_is_not_drift() {
    let mut mirrored = observed(|it| {
        it["spec"]["jobTemplate"]["spec"]["template"]["spec"]["containers"][0]["image"] =
            json!("mirror/postgres:17");
    });
    // The operator's own write led to this generation.
    mirrored.metadata.annotations.as_mut().unwrap().insert(meta::APPLIED_GENERATION.into(), "2".into());
    assert!(up_to_date(&wanted(), &mirrored.metadata));
}

#[test]
fn labels_and_annotations_added_to_cron_job_are_not_drift() {
    let labelled = observed(|it| {
        it["metadata"]["labels"]["team"] = json!("shop");
        it["metadata"]["annotations"]["argocd.argoproj.io/tracking-id"] = json!("shop");
    });
    assert!(up_to_date(&wanted(), &labelled.metadata));
}

type Change = Box<dyn FnOnce(&mut Value)>;

#[test]
fn edited_cron_job_field_set_by_the_operator_is_drift() {
    let pod = "/spec/jobTemplate/spec/template/spec";
    let at = move |place: &str| format!("{pod}{place}");
    let set = |place: String, value: Value| -> Change {
        Box::new(move |it| *it.pointer_mut(&place).expect("a place should be there") = value)
    };
    let changes: Vec<(&str, Change)> = vec![
        ("schedule", set("/spec/schedule".into(), json!("15 3 * * *"))),
        ("suspend", set("/spec/suspend".into(), json!(true))),
        ("image", set(at("/containers/0/image"), json!("postgres:16"))),
        ("environment", set(at("/containers/0/env/0/value"), json!("elsewhere"))),
        ("security", set(at("/securityContext/runAsUser"), json!(0))),
        ("owner", set("/metadata/ownerReferences/0/uid".into(), json!("u-2"))),
        (
            "an extra variable",
            Box::new(move |it| {
                let env = it.pointer_mut(&at("/containers/0/env")).unwrap().as_array_mut().unwrap();
                env.push(json!({ "name": "PGOPTIONS", "value": "-c statement_timeout=1" }));
            }),
        ),
        (
            "a missing argument",
            Box::new(move |it| {
                let args =
                    it.pointer_mut(&format!("{pod}/containers/0/args")).unwrap().as_array_mut().unwrap();
                args.pop();
            }),
        ),
        (
            "a missing label",
            Box::new(|it| {
                it["metadata"]["labels"].as_object_mut().unwrap().remove(meta::POLICY_LABEL);
            }),
        ),
        (
            "a label that an older version set",
            Box::new(|it| {
                it["metadata"]["labels"]["pgbackup.dev/old"] = json!("x");
                it["metadata"]["annotations"][meta::APPLIED_HASH] = json!("the hash of what it applied");
            }),
        ),
        (
            "no hash",
            Box::new(|it| {
                it["metadata"]["annotations"].as_object_mut().unwrap().remove(meta::APPLIED_HASH);
            }),
        ),
    ];
    for (what, change) in changes {
        assert!(!up_to_date(&wanted(), &observed(change).metadata), "{what}");
    }
}

#[test]
fn requested_job_copies_cron_job_and_is_named_by_request() {
    let job = requested_job(&valid(), &observed(|_| ()), "before the upgrade");
    let again = requested_job(&valid(), &observed(|_| ()), "before the upgrade");
    assert_eq!(job, again);
    let other = requested_job(&valid(), &observed(|_| ()), "after the upgrade");
    assert_ne!(job.metadata.name, other.metadata.name);
    let owner = &job.metadata.owner_references.as_ref().unwrap()[0];
    assert_eq!(
        (owner.kind.as_str(), owner.name.as_str(), owner.uid.as_str()),
        ("CronJob", "shop-backup", "c-1")
    );
    assert_eq!(job.spec, observed(|_| ()).spec.job_template.spec);
    assert_eq!(job.metadata.labels, wanted().metadata.labels);
}
