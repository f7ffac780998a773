//! `validate` rejects what the CRD rejects, because the CRD in a cluster may be older than the operator.

#![expect(clippy::unwrap_used, reason = "helpers of a test")]

use api::BackupPolicy;
use pgbackup_desired::validate;
use serde_json::{Value, json};

fn policy(changes: &[(&str, Value)]) -> BackupPolicy {
    let mut policy = json!({
        "apiVersion": "pgbackup.dev/v1alpha1",
        "kind": "BackupPolicy",
        "metadata": { "namespace": "shop", "name": "shop", "uid": "u-1" },
        "spec": {
            "schedule": "15 2 * * *",
            "postgres": {
                "version": 17,
                "connection": {
                    "host": "db",
                    "user": "backup",
                    "passwordSecretRef": { "name": "db", "key": "password" },
                },
                "databases": {},
            },
            "storage": { "volume": { "claimName": "backups" } },
            "retention": {},
        },
    });
    for (path, value) in changes {
        let (parent, field) = path.rsplit_once('/').unwrap();
        let parent = policy.pointer_mut(parent).unwrap().as_object_mut().unwrap();
        if value.is_null() {
            parent.remove(field);
        } else {
            parent.insert(field.to_owned(), value.clone());
        }
    }
    serde_json::from_value(policy).unwrap()
}

#[test]
fn invalid_policy_value_is_rejected_with_its_field_path() {
    let connection = "/spec/postgres/connection";
    let at = |field: &str| format!("{connection}/{field}");
    let rejected: &[(String, Value, &str)] = &[
        (
            "/metadata/name".into(),
            json!("a".repeat(46)),
            "metadata.name: a policy's name must have at most 45",
        ),
        ("/spec/schedule".into(), json!(""), "spec.schedule: "),
        ("/spec/schedule".into(), json!("@every 6h"), "spec.schedule: "),
        ("/spec/schedule".into(), json!("TZ=Europe/Berlin 0 2 * * *"), "spec.schedule: "),
        ("/spec/schedule".into(), json!("CRON_TZ=Europe/Berlin 0 2 * * *"), "spec.schedule: "),
        ("/spec/schedule".into(), json!("0 0 2 * * *"), "spec.schedule: "),
        ("/spec/schedule".into(), json!("0 2 * *"), "spec.schedule: "),
        ("/spec/schedule".into(), json!("0\t2 * * * *  *"), "spec.schedule: "),
        ("/spec/schedule".into(), json!(format!("0 2 * * {}0", "0,".repeat(60))), "spec.schedule: "),
        ("/spec/timeZone".into(), json!(""), "spec.timeZone: "),
        ("/spec/timeZone".into(), json!("Local"), "spec.timeZone: "),
        ("/spec/timeZone".into(), json!("Europe/ Berlin"), "spec.timeZone: "),
        ("/spec/timeZone".into(), json!("../etc/localtime"), "spec.timeZone: "),
        (
            "/spec/postgres/version".into(),
            Value::Null,
            "spec.postgres: write exactly one of version and image",
        ),
        ("/spec/postgres/version".into(), json!(12), "spec.postgres.version: must be from 13 to 99"),
        ("/spec/postgres/version".into(), json!(100), "spec.postgres.version: must be from 13 to 99"),
        (
            "/spec/postgres/image".into(),
            json!("postgres:17"),
            "spec.postgres: write exactly one of version and image",
        ),
        (at("host"), json!(""), "spec.postgres.connection.host: "),
        (at("host"), json!("db port=1"), "spec.postgres.connection.host: "),
        (at("host"), json!("/run/postgresql"), "spec.postgres.connection.host: "),
        (at("host"), json!("a".repeat(254)), "spec.postgres.connection.host: "),
        (at("port"), json!(0), "spec.postgres.connection.port: "),
        (at("user"), Value::Null, "spec.postgres.connection: write exactly one of user"),
        (at("user"), json!(""), "spec.postgres.connection.user: "),
        (at("user"), json!("u".repeat(64)), "spec.postgres.connection.user: "),
        (
            at("userSecretRef"),
            json!({"name": "db", "key": "user"}),
            "spec.postgres.connection: write exactly one of user",
        ),
        (at("passwordSecretRef"), json!({"name": "", "key": "k"}), "spec.postgres.connection.passwordSecret"),
        (
            at("passwordSecretRef"),
            json!({"name": "Db", "key": "k"}),
            "spec.postgres.connection.passwordSecret",
        ),
        (
            at("passwordSecretRef"),
            json!({"name": "db", "key": ""}),
            "spec.postgres.connection.passwordSecret",
        ),
        (
            at("passwordSecretRef"),
            json!({"name": "db", "key": "k".repeat(254)}),
            "spec.postgres.connection.passwordSecret",
        ),
        ("/spec/postgres/databases/include".into(), json!([]), "spec.postgres.databases.include: "),
        ("/spec/postgres/databases/include".into(), json!([""]), "spec.postgres.databases.include: "),
        (
            "/spec/postgres/databases/exclude".into(),
            json!(vec!["d"; 101]),
            "spec.postgres.databases.exclude: ",
        ),
        ("/spec/storage/volume/claimName".into(), json!("-x"), "spec.storage.volume.claimName: "),
        ("/spec/storage/volume/subPath".into(), json!(""), "spec.storage.volume.subPath: "),
        ("/spec/storage/volume/subPath".into(), json!("../x"), "spec.storage.volume.subPath: "),
        ("/spec/storage/volume/subPath".into(), json!("/x"), "spec.storage.volume.subPath: "),
        ("/spec/retention/keepLast".into(), json!(0), "spec.retention.keepLast: "),
        ("/spec/retention/keepDaily".into(), json!(10_001), "spec.retention.keepDaily: "),
        ("/spec/retention/minimumVerified".into(), json!(0), "spec.retention.minimumVerified: "),
    ];
    all_are_rejected(rejected);
}

/// Asserts that each change is rejected. An entry is a path, the value to set there, and the start of the
/// error.
fn all_are_rejected(rejected: &[(String, Value, &str)]) {
    for (path, value, start) in rejected {
        let result = validate(&policy(&[(path, value.clone())])).map(drop);
        let error = result.expect_err(&format!("{path}: {value} should be rejected")).to_string();
        assert!(error.starts_with(start), "{path}: {value}: {error}");
    }
}

#[test]
fn invalid_storage_value_is_rejected_with_its_field_path() {
    let nameless = json!({"name": "", "key": "k"});
    let keys = json!({"accessKeyIdSecretRef": nameless, "secretAccessKeySecretRef": nameless});
    all_are_rejected(&[
        ("/spec/storage".into(), json!({}), "spec.storage: write exactly one"),
        (
            "/spec/storage/s3".into(),
            json!({"bucket": "backups"}),
            "spec.storage: write exactly one of volume, s3, gcs and azure",
        ),
        s3(&json!({"bucket": ""}), "spec.storage.s3.bucket: "),
        s3(&json!({"bucket": "a b"}), "spec.storage.s3.bucket: "),
        s3(&json!({"bucket": "b", "prefix": "/a"}), "spec.storage.s3.prefix: "),
        s3(
            &json!({"bucket": "b", "endpoint": "s3.example.org"}),
            "spec.storage.s3.endpoint: endpoint must be an http",
        ),
        s3(
            &json!({"bucket": "b", "endpoint": "https://user:x@s3.example.org"}),
            "spec.storage.s3.endpoint: ",
        ),
        s3(&json!({"bucket": "b", "region": "eu central"}), "spec.storage.s3.region: "),
        s3(
            &json!({"bucket": "b", "storageClass": "DEEP_ARCHIVE"}),
            "spec.storage.s3.storageClass: storageClass must not be",
        ),
        s3(
            &json!({"bucket": "b", "caSecretRef": {"name": "ca", "key": "ca.crt"}}),
            "spec.storage.s3: caSecretRef",
        ),
        s3(
            &json!({"bucket": "b", "serverSideEncryption": {"algorithm": "AES256", "kmsKeyId": "k"}}),
            "spec.storage.s3.serverSideEncryption: kmsKeyId",
        ),
        s3(
            &json!({"bucket": "b", "credentials": keys}),
            "spec.storage.s3.credentials.accessKeyIdSecretRef.name: ",
        ),
        ("/spec/storage".into(), json!({"gcs": {"bucket": "B B"}}), "spec.storage.gcs.bucket: "),
        (
            "/spec/storage".into(),
            json!({"azure": {"account": "shop", "container": "a_b"}}),
            "spec.storage.azure.container: ",
        ),
        (
            "/spec/storage".into(),
            json!({"azure": {"account": "shop", "container": "backups", "credentials": {}}}),
            "spec.storage.azure.credentials: write exactly one of accountKeySecretRef",
        ),
    ]);
}

fn s3(s3: &Value, start: &'static str) -> (String, Value, &'static str) {
    ("/spec/storage".to_owned(), json!({"s3": s3}), start)
}

#[test]
fn invalid_postgres_image_is_rejected() {
    for image in [String::new(), "postgres: 17".into(), "i".repeat(513)] {
        let changes = [("/spec/postgres/version", Value::Null), ("/spec/postgres/image", json!(image))];
        let error = validate(&policy(&changes)).map(|_| ()).unwrap_err().to_string();
        assert!(error.starts_with("spec.postgres.image: "), "{image}: {error}");
    }
}

#[test]
fn policy_values_allowed_by_the_crd_pass_validation() {
    for changes in [
        vec![],
        vec![("/metadata/name", json!("a".repeat(45)))],
        vec![
            ("/spec/schedule", json!("@daily")),
            ("/spec/timeZone", json!("America/Argentina/Buenos_Aires")),
        ],
        vec![("/spec/schedule", json!(" H  H(1-5) * * mon-fri"))],
        vec![
            ("/spec/postgres/version", Value::Null),
            ("/spec/postgres/image", json!("localhost:5000/pg@sha256:1")),
        ],
        vec![
            ("/spec/postgres/connection/user", Value::Null),
            ("/spec/postgres/connection/userSecretRef", json!({"name": "db.shop", "key": "USER_name-1"})),
        ],
        vec![("/spec/postgres/connection/host", json!("fd00::1"))],
        vec![("/spec/postgres/databases/exclude", json!([]))],
        vec![("/spec/storage/volume/subPath", json!("databases/main.v1"))],
        vec![("/spec/storage", json!({"s3": {"bucket": "backups"}}))],
        vec![("/spec/storage", json!({"s3": {"bucket": "backups", "endpoint": "http://[fd00::1]:7070"}}))],
        vec![("/spec/storage", json!({"gcs": {"bucket": "backups"}}))],
        vec![("/spec/storage", json!({"azure": {"account": "shop", "container": "backups"}}))],
    ] {
        if let Err(error) = validate(&policy(&changes)) {
            assert_eq!(error.to_string(), "", "{changes:?}");
        }
    }
}
