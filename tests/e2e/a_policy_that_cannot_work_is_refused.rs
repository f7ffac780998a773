//! What cannot work is refused when it is written, once, with a message that says what to write instead.

use anyhow::{Context, Result, bail};
use api::BackupPolicy;
use domain::reason::Reason;
use kube::api::{DynamicObject, Patch, PatchParams, ValidationDirective};
use pgbackup_tests::{Env, story};
use serde_json::{Value, json};

/// What is wrong: a place in the policy and what stands there (null: nothing does). Then the field that the API
/// server names, and what it says.
type Case = (&'static [(&'static str, &'static str)], &'static str, &'static str);

const REFUSED: &[Case] = &[
    (
        &[("/metadata/name", "\"a-name-of-forty-six-characters-which-is-too-long\"")],
        "<nil>",
        "metadata.name: write at most 45 characters; the policy's CronJob is named <policy>-backup, and Kubernetes allows 52 there",
    ),
    (
        &[("/spec/schedule", "\"@every 6h\"")],
        "spec.schedule",
        "@every counts from the last run, so its times cannot be known; write five cron fields, for example \"0 */6 * * *\"",
    ),
    (
        &[("/spec/schedule", "\"TZ=Europe/Berlin 0 2 * * *\"")],
        "spec.schedule",
        "write the time zone in spec.timeZone, not in the schedule",
    ),
    (
        &[("/spec/schedule", "\"0 0 2 * * *\"")],
        "spec.schedule",
        "write five fields (minute, hour, day of month, month, day of week), for example \"15 2 * * *\"; there is no field for seconds",
    ),
    (&[("/spec/schedule", "\"\"")], "spec.schedule", "should be at least 1 chars long"),
    (
        &[("/spec/timeZone", "\"Local\"")],
        "spec.timeZone",
        "write an IANA name such as Europe/Berlin; Local would be the zone of whatever host the controller runs on",
    ),
    (&[("/spec/timeZone", "\"Europe/ Berlin\"")], "spec.timeZone", "should match"),
    (
        &[("/spec/postgres/image", "\"localhost/postgres:17\"")],
        "spec.postgres",
        "write either version (17) or image (docker.io/library/postgres:17), not both",
    ),
    (
        &[("/spec/postgres/version", "null")],
        "spec.postgres",
        "write either version (17) or image (docker.io/library/postgres:17), not both",
    ),
    (&[("/spec/postgres/version", "9")], "spec.postgres.version", "should be greater than or equal to 13"),
    (&[("/spec/postgres/connection/host", "\"db port=1\"")], "spec.postgres.connection.host", "should match"),
    (
        &[("/spec/postgres/connection/host", "null")],
        "spec.postgres.connection",
        "write either host or uriSecretRef, not both",
    ),
    (
        &[("/spec/postgres/connection/uriSecretRef", "{\"name\": \"shop-app\", \"key\": \"uri\"}")],
        "spec.postgres.connection",
        "write either host or uriSecretRef, not both",
    ),
    (
        &[
            ("/spec/postgres/connection/host", "null"),
            ("/spec/postgres/connection/uriSecretRef", "{\"name\": \"shop-app\", \"key\": \"uri\"}"),
        ],
        "spec.postgres.connection",
        "with uriSecretRef leave out port, user, userSecretRef and passwordSecretRef: the URI has them",
    ),
    (
        &[("/spec/postgres/connection/user", "null")],
        "spec.postgres.connection",
        "write either user or userSecretRef, not both",
    ),
    (
        &[("/spec/postgres/connection/userSecretRef", "{\"name\": \"postgres\", \"key\": \"user\"}")],
        "spec.postgres.connection",
        "write either user or userSecretRef, not both",
    ),
    (
        &[("/spec/postgres/connection/passwordSecretRef", "null")],
        "spec.postgres.connection",
        "write passwordSecretRef, or clientCertificateSecretRef, or both",
    ),
    (
        &[("/spec/postgres/connection/sslMode", "\"verify-full\"")],
        "spec.postgres.connection",
        "sslMode verify-ca and verify-full need caSecretRef: the certificate of the CA that signed the server's",
    ),
    (
        &[("/spec/postgres/connection/caSecretRef", "{\"name\": \"ca\", \"key\": \"ca.crt\"}")],
        "spec.postgres.connection",
        "caSecretRef has a meaning with sslMode verify-ca or verify-full only",
    ),
    (
        &[
            ("/spec/postgres/connection/clientCertificateSecretRef", "{\"name\": \"backup\"}"),
            ("/spec/postgres/connection/sslMode", "\"disable\""),
        ],
        "spec.postgres.connection",
        "a client certificate needs an encrypted connection: write another sslMode than disable",
    ),
    (
        &[("/spec/postgres/connection/sslMode", "\"maybe\"")],
        "spec.postgres.connection.sslMode",
        "Unsupported value: \"maybe\": supported values:",
    ),
    (
        &[("/spec/postgres/databases/include", "[]")],
        "spec.postgres.databases.include",
        "should have at least 1 items",
    ),
    (&[("/spec/storage/volume", "null")], "spec.storage", "write exactly one of volume, s3, gcs and azure"),
    (
        &[("/spec/storage/s3", r#"{"bucket": "backups"}"#)],
        "spec.storage",
        "write exactly one of volume, s3, gcs and azure",
    ),
    (
        &[("/spec/storage", r#"{"s3": {"bucket": "backups", "endpoint": "s3.example.org"}}"#)],
        "spec.storage.s3.endpoint",
        "should match",
    ),
    (
        &[("/spec/storage", r#"{"s3": {"bucket": "backups", "storageClass": "GLACIER"}}"#)],
        "spec.storage.s3.storageClass",
        "copies are read back after they are stored, and this class cannot be read at once: write another one, for example GLACIER_IR",
    ),
    (
        &[(
            "/spec/storage",
            r#"{"s3": {"bucket": "backups", "caSecretRef": {"name": "ca", "key": "ca.crt"}}}"#,
        )],
        "spec.storage.s3",
        "caSecretRef has a meaning with an endpoint that begins with https:// only",
    ),
    (
        &[(
            "/spec/storage",
            r#"{"s3": {"bucket": "backups", "serverSideEncryption": {"algorithm": "AES256", "kmsKeyId": "k"}}}"#,
        )],
        "spec.storage.s3.serverSideEncryption",
        "kmsKeyId has a meaning with the algorithm aws:kms only",
    ),
    (
        &[("/spec/storage", r#"{"azure": {"account": "shop", "container": "backups", "credentials": {}}}"#)],
        "spec.storage.azure.credentials",
        "write either accountKeySecretRef or sasTokenSecretRef, not both",
    ),
    (&[("/spec/storage/volume/subPath", "\"../elsewhere\"")], "spec.storage.volume.subPath", "should match"),
    (
        &[("/spec/retention/keepLast", "0")],
        "spec.retention.keepLast",
        "write how many to keep, or -1 for all; leave a rule out to not have it",
    ),
    (
        &[("/spec/retention/keepYearly", "-2")],
        "spec.retention.keepYearly",
        "should be greater than or equal to -1",
    ),
    (
        &[("/spec/retention/keepWithin", "\"2w\"")],
        "spec.retention.keepWithin",
        "write a length of time such as 14d, 1y6m or 2d12h: years, months, days and hours, each at most once",
    ),
    (
        &[("/spec/retention/keepWithinDaily", "\"1d1d\"")],
        "spec.retention.keepWithinDaily",
        "write a length of time such as 14d, 1y6m or 2d12h: years, months, days and hours, each at most once",
    ),
    (
        &[("/spec/retention/keepWithinYearly", "\"0d\"")],
        "spec.retention.keepWithinYearly",
        "write a length of time such as 14d, 1y6m or 2d12h: years, months, days and hours, each at most once",
    ),
    (
        &[("/spec/dump", "{\"lockTimeout\": \"5m\"}")],
        "spec.dump.lockTimeout",
        "write a time from 1s to 4m, for example 5s",
    ),
    (
        &[("/spec/dump", "{\"maxReplicaLag\": \"soon\"}")],
        "spec.dump.maxReplicaLag",
        "write a time from 1s to 24h, for example 5m",
    ),
    (
        &[("/spec/dump", "{\"excludeTableData\": [\"sessions\"]}")],
        "spec.dump.excludeTableData",
        "write <schema>.<table>, for example public.sessions or audit.*",
    ),
    (
        &[("/spec/dump", "{\"compression\": {\"method\": \"Gzip\", \"level\": 10}}")],
        "spec.dump.compression",
        "level: gzip has 1 to 9",
    ),
    (
        &[("/spec/dump", "{\"compression\": {\"method\": \"None\", \"level\": 1}}")],
        "spec.dump.compression",
        "leave level out: without compression there is none",
    ),
    (&[("/spec/storage/adoptFrom", "\"of shop\"")], "spec.storage.adoptFrom", "should match"),
    (
        &[("/spec/retention/minimumVerified", "0")],
        "spec.retention.minimumVerified",
        "should be greater than or equal to 1",
    ),
    (
        &[("/spec/verification/level", "\"None\"")],
        "spec.verification.level",
        "Unsupported value: \"None\": supported values: \"Checksum\", \"Archive\", \"Counts\"",
    ),
];

/// What the API server adds when a required field is missing.
const UNCHECKED: &str = "some validation rules were not checked because the object was invalid";

const ACCEPTED: &[&[(&str, &str)]] = &[
    &[],
    &[("/spec/schedule", "\"@daily\"")],
    &[("/spec/schedule", "\"H H(1-5) * * *\"")],
    &[("/spec/schedule", "\" 0  2 * * mon-fri\"")],
    &[("/spec/timeZone", "\"America/Argentina/Buenos_Aires\"")],
    &[("/spec/timeZone", "null"), ("/spec/retention", "null"), ("/spec/verification", "null")],
    &[("/spec/postgres/version", "null"), ("/spec/postgres/image", "\"localhost/postgres:17\"")],
    &[
        ("/spec/postgres/connection/user", "null"),
        ("/spec/postgres/connection/userSecretRef", "{\"name\": \"postgres\", \"key\": \"user\"}"),
    ],
    &[("/spec/postgres/connection/host", "\"fd00::1\"")],
    &[
        ("/spec/postgres/connection/host", "null"),
        ("/spec/postgres/connection/user", "null"),
        ("/spec/postgres/connection/passwordSecretRef", "null"),
        ("/spec/postgres/connection/uriSecretRef", "{\"name\": \"shop-app\", \"key\": \"uri\"}"),
    ],
    &[
        ("/spec/postgres/connection/sslMode", "\"verify-full\""),
        ("/spec/postgres/connection/caSecretRef", "{\"name\": \"ca\", \"key\": \"ca.crt\"}"),
        ("/spec/postgres/connection/clientCertificateSecretRef", "{\"name\": \"backup\"}"),
        ("/spec/postgres/connection/passwordSecretRef", "null"),
    ],
    &[("/spec/postgres/databases/include", "[\"shop\", \"web-*\"]")],
    &[("/spec/storage/volume/subPath", "\"databases/main\"")],
    &[("/spec/storage", "{\"s3\": {\"bucket\": \"backups\", \"endpoint\": \"http://minio.minio:9000\"}}")],
    &[("/spec/storage", "{\"gcs\": {\"bucket\": \"backups\", \"prefix\": \"a/b\"}}")],
    &[("/spec/storage", "{\"azure\": {\"account\": \"shop\", \"container\": \"backups\"}}")],
    &[("/spec/retention/keepLast", "-1"), ("/spec/retention/keepWithin", "\"1y6m\"")],
    &[("/spec/retention/keepHourly", "24"), ("/spec/retention/keepWithinMonthly", "\"12h4d\"")],
    &[("/spec/retention/dryRun", "true"), ("/spec/postgres/databases/retired", "[\"legacy\"]")],
    &[("/spec/dump", "{\"lockTimeout\": \"90s\", \"compression\": {\"method\": \"Zstd\", \"level\": 19}}")],
    &[("/spec/storage/adoptFrom", "\"0b7e3a52-6a0e-4f0e-9c55-0d6f6c1f5a01\"")],
    &[("/metadata/name", "\"a-name-of-forty-five-characters-is-allowed-ok\"")],
];

#[test]
fn a_policy_that_cannot_work_is_refused() -> Result<()> {
    story("refused", async |env| {
        for (changes, field, message) in REFUSED {
            let Err(error) = apply(&env, changes).await? else {
                bail!("{changes:?} was accepted");
            };
            let mut causes = error.details.map(|details| details.causes).unwrap_or_default();
            causes.retain(|cause| !cause.message.contains(UNCHECKED));
            let said: Vec<String> =
                causes.iter().map(|cause| format!("{}: {}", cause.field, cause.message)).collect();
            assert_eq!(causes.len(), 1, "{changes:?}: one mistake, one message: {said:?}; {}", error.message);
            assert_eq!(&causes[0].field, field, "{said:?}");
            assert!(said[0].contains(message), "{said:?} should say {message:?}");
        }
        let Err(error) = apply(&env, &[("/spec/retention/keepForever", "true")]).await? else {
            bail!("an unknown field was accepted");
        };
        assert!(error.message.contains("keepForever"), "{error:?}");
        for changes in ACCEPTED {
            if let Err(error) = apply(&env, changes).await? {
                bail!("{changes:?} was refused: {}", error.message);
            }
        }
        Ok(())
    })
}

#[test]
fn what_admission_cannot_see_stalls_the_policy() -> Result<()> {
    story("stalled", async |env| {
        for (name, schedule, zone) in [
            ("never", "0 0 30 2 *", "Etc/UTC"),
            ("nonsense", "61 * * * *", "Etc/UTC"),
            ("nowhere", "0 2 * * *", "Middle/Earth"),
        ] {
            let policy = env
                .policy(name, |spec| {
                    spec.schedule = schedule.to_owned();
                    spec.time_zone = zone.to_owned();
                })
                .await?;
            let message = policy.condition_is("Ready", "False", Reason::InvalidSchedule).await?;
            policy.condition_is("Stalled", "True", Reason::InvalidSchedule).await?;
            assert!(!message.is_empty());
            assert!(policy.jobs().await?.is_empty());

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

/// Applies a policy with these changes, without storing it; returns what the API server has against it.
async fn apply(env: &Env, changes: &[(&str, &str)]) -> Result<Result<(), Box<kube::core::Status>>> {
    let mut policy = serde_json::to_value(BackupPolicy::new("shop", env.spec()))?;
    for (place, value) in changes {
        set(&mut policy, place, serde_json::from_str(value)?)?;
    }
    let name = policy["metadata"]["name"].as_str().context("a name")?.to_owned();
    let params = PatchParams {
        dry_run: true,
        field_manager: Some("e2e".to_owned()),
        field_validation: Some(ValidationDirective::Strict),
        ..PatchParams::default()
    };
    let resource = kube::core::ApiResource::erase::<BackupPolicy>(&());
    let policies = kube::Api::<DynamicObject>::namespaced_with(env.client.clone(), &env.namespace, &resource);
    match policies.patch(&name, &params, &Patch::Apply(policy)).await {
        Ok(_) => Ok(Ok(())),
        Err(kube::Error::Api(status)) => Ok(Err(status)),
        Err(error) => Err(error.into()),
    }
}

/// Puts a value where the JSON pointer says; null takes away what is there.
fn set(object: &mut Value, place: &str, value: Value) -> Result<()> {
    let (parent, key) = place.rsplit_once('/').context("a JSON pointer")?;
    let parent = object.pointer_mut(parent).context(place.to_owned())?;
    let parent = parent.as_object_mut().context(place.to_owned())?;
    if value == json!(null) {
        parent.remove(key);
    } else {
        parent.insert(key.to_owned(), value);
    }
    Ok(())
}
