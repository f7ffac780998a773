//! What cannot work is refused when it is written, once, with a message that says what to write instead.

use anyhow::{Context, Result, bail};
use api::BackupPolicy;
use domain::reason::Reason;
use kube::api::{DynamicObject, Patch, PatchParams, ValidationDirective};
use pgbackup_tests::{Env, story};
use serde_json::{Value, json};

/// What is wrong: a place in the policy and what stands there (null: nothing does). Then the field that the API
/// server names (none where a value has the wrong type), and what it says.
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
    // The schedule.
    (&[("/spec/schedule", "null")], "spec.schedule", "Required value"),
    (&[("/spec/schedule", "5")], "", ".spec.schedule: expected string"),
    (
        &[("/spec/schedule", "\"0 2 * *\"")],
        "spec.schedule",
        "write five fields (minute, hour, day of month, month, day of week), for example \"15 2 * * *\"; there is no field for seconds",
    ),
    (
        &[("/spec/schedule", "\"CRON_TZ=UTC 0 2 * * *\"")],
        "spec.schedule",
        "write the time zone in spec.timeZone, not in the schedule",
    ),
    (
        &[(
            "/spec/schedule",
            "\"0,0,0,0,0,0,0,0,0,0,0,0,0,0,0,0,0,0,0,0,0,0,0,0,0,0,0,0,0,0,0,0,0,0,0,0,0,0,0,0,0,0,0,0,0,0,0,0 * * * *\"",
        )],
        "spec.schedule",
        "may not be more than 100 bytes",
    ),
    (&[("/spec/timeZone", "3")], "", ".spec.timeZone: expected string"),
    (&[("/spec/suspend", "\"yes\"")], "", ".spec.suspend: expected boolean"),
    (&[("/spec/catchUp", "\"no\"")], "", ".spec.catchUp: expected boolean"),
    // The server.
    (&[("/spec/postgres", "null")], "spec.postgres", "Required value"),
    (&[("/spec/postgres/version", "100")], "spec.postgres.version", "should be less than or equal to 99"),
    (&[("/spec/postgres/version", "\"17\"")], "", ".spec.postgres.version: expected numeric (int or float)"),
    (&[("/spec/postgres/connection", "null")], "spec.postgres.connection", "Required value"),
    (
        &[("/spec/postgres/connection/port", "0")],
        "spec.postgres.connection.port",
        "should be greater than or equal to 1",
    ),
    (
        &[("/spec/postgres/connection/port", "65536")],
        "spec.postgres.connection.port",
        "should be less than or equal to 65535",
    ),
    (
        &[("/spec/postgres/connection/user", "\"\"")],
        "spec.postgres.connection.user",
        "should be at least 1 chars long",
    ),
    (
        &[("/spec/postgres/connection/passwordSecretRef", "{\"name\": \"postgres\"}")],
        "spec.postgres.connection.passwordSecretRef.key",
        "Required value",
    ),
    (
        &[("/spec/postgres/connection/passwordSecretRef", "{\"name\": \"Postgres\", \"key\": \"password\"}")],
        "spec.postgres.connection.passwordSecretRef.name",
        "should match",
    ),
    (
        &[(
            "/spec/postgres/connection/passwordSecretRef",
            "{\"name\": \"postgres\", \"key\": \"pass word\"}",
        )],
        "spec.postgres.connection.passwordSecretRef.key",
        "should match",
    ),
    (
        &[("/spec/postgres/databases/include", "[\"\"]")],
        "spec.postgres.databases.include[0]",
        "should be at least 1 chars long",
    ),
    (
        &[(
            "/spec/postgres/databases/exclude",
            "[\"a-name-of-sixty-four-characters-that-postgresql-would-cut-off-xxx\"]",
        )],
        "spec.postgres.databases.exclude[0]",
        "may not be more than 63 bytes",
    ),
    (
        &[("/spec/postgres/globals", "\"All\"")],
        "spec.postgres.globals",
        "Unsupported value: \"All\": supported values: \"WithoutPasswords\", \"WithPasswords\", \"None\"",
    ),
    // How it is dumped.
    (
        &[("/spec/dump", "{\"compression\": {\"method\": \"Brotli\"}}")],
        "spec.dump.compression.method",
        "Unsupported value: \"Brotli\": supported values:",
    ),
    (
        &[("/spec/dump", "{\"compression\": {\"level\": 1}}")],
        "spec.dump.compression.method",
        "Required value",
    ),
    (
        &[("/spec/dump", "{\"compression\": {\"method\": \"Zstd\", \"level\": 23}}")],
        "spec.dump.compression.level",
        "should be less than or equal to 22",
    ),
    (
        &[("/spec/dump", "{\"compression\": {\"method\": \"Lz4\", \"level\": 13}}")],
        "spec.dump.compression",
        "level: lz4 has 1 to 12",
    ),
    (
        &[("/spec/dump", "{\"lockTimeout\": \"0s\"}")],
        "spec.dump.lockTimeout",
        "write a time from 1s to 4m, for example 5s",
    ),
    (
        &[("/spec/dump", "{\"lockTimeout\": \"5\"}")],
        "spec.dump.lockTimeout",
        "write a time from 1s to 4m, for example 5s",
    ),
    (
        &[("/spec/dump", "{\"maxReplicaLag\": \"25h\"}")],
        "spec.dump.maxReplicaLag",
        "write a time from 1s to 24h, for example 5m",
    ),
    (&[("/spec/dump", "{\"strictExtensions\": 1}")], "", ".spec.dump.strictExtensions: expected boolean"),
    (
        &[("/spec/dump", "{\"allowNewerClient\": \"true\"}")],
        "",
        ".spec.dump.allowNewerClient: expected boolean",
    ),
    (
        &[("/spec/dump", "{\"excludeTableData\": [\"\"]}")],
        "spec.dump.excludeTableData[0]",
        "should be at least 1 chars long",
    ),
    // The store.
    (&[("/spec/storage", "null")], "spec.storage", "Required value"),
    (&[("/spec/storage", "{\"volume\": {}}")], "spec.storage.volume.claimName", "Required value"),
    (
        &[("/spec/storage", "{\"volume\": {\"claimName\": \"Backups\"}}")],
        "spec.storage.volume.claimName",
        "should match",
    ),
    (&[("/spec/storage/volume/subPath", "\"/absolute\"")], "spec.storage.volume.subPath", "should match"),
    (&[("/spec/storage", "{\"s3\": {}}")], "spec.storage.s3.bucket", "Required value"),
    (&[("/spec/storage", "{\"s3\": {\"bucket\": \"back ups\"}}")], "spec.storage.s3.bucket", "should match"),
    (
        &[("/spec/storage", "{\"s3\": {\"bucket\": \"backups\", \"prefix\": \"/a\"}}")],
        "spec.storage.s3.prefix",
        "should match",
    ),
    (
        &[("/spec/storage", "{\"s3\": {\"bucket\": \"backups\", \"checksumAlgorithm\": \"MD5\"}}")],
        "spec.storage.s3.checksumAlgorithm",
        "Unsupported value: \"MD5\": supported values:",
    ),
    (
        &[(
            "/spec/storage",
            "{\"s3\": {\"bucket\": \"backups\", \"serverSideEncryption\": {\"algorithm\": \"RSA\"}}}",
        )],
        "spec.storage.s3.serverSideEncryption.algorithm",
        "Unsupported value: \"RSA\": supported values:",
    ),
    (
        &[(
            "/spec/storage",
            "{\"s3\": {\"bucket\": \"backups\", \"credentials\": {\"accessKeyIdSecretRef\": {\"name\": \"s3\", \"key\": \"id\"}}}}",
        )],
        "spec.storage.s3.credentials.secretAccessKeySecretRef",
        "Required value",
    ),
    (
        &[("/spec/storage", "{\"gcs\": {\"bucket\": \"Back ups\"}}")],
        "spec.storage.gcs.bucket",
        "should match",
    ),
    (
        &[("/spec/storage", "{\"azure\": {\"account\": \"shop\"}}")],
        "spec.storage.azure.container",
        "Required value",
    ),
    (
        &[("/spec/storage", "{\"azure\": {\"account\": \"Shop\", \"container\": \"backups\"}}")],
        "spec.storage.azure.account",
        "should match",
    ),
    // What is kept, and how it is checked.
    (
        &[("/spec/retention/keepDaily", "10001")],
        "spec.retention.keepDaily",
        "should be less than or equal to 10000",
    ),
    (
        &[("/spec/retention/keepMonthly", "\"7\"")],
        "",
        ".spec.retention.keepMonthly: expected numeric (int or float)",
    ),
    (
        &[("/spec/retention/keepWithinHourly", "\"\"")],
        "spec.retention.keepWithinHourly",
        "write a length of time such as 14d, 1y6m or 2d12h: years, months, days and hours, each at most once",
    ),
    (
        &[("/spec/retention/minimumVerified", "1001")],
        "spec.retention.minimumVerified",
        "should be less than or equal to 1000",
    ),
    (&[("/spec/retention/dryRun", "\"maybe\"")], "", ".spec.retention.dryRun: expected boolean"),
    (
        &[("/spec/verification/maxShrink", "0")],
        "spec.verification.maxShrink",
        "should be greater than or equal to 1",
    ),
    (
        &[("/spec/verification/maxShrink", "101")],
        "spec.verification.maxShrink",
        "should be less than or equal to 100",
    ),
    (
        &[("/spec/verification/scrub", "{\"schedule\": \"@every 6h\"}")],
        "spec.verification.scrub.schedule",
        "@every counts from the last run, so its times cannot be known; write five cron fields, for example \"0 */6 * * *\"",
    ),
    (
        &[("/spec/verification/scrub", "{\"schedule\": \"0 4 * * 0\", \"share\": 0}")],
        "spec.verification.scrub.share",
        "should be greater than or equal to 1",
    ),
    (
        &[("/spec/verification/scrub", "{\"share\": 10}")],
        "spec.verification.scrub.schedule",
        "Required value",
    ),
    // What must hold.
    (
        &[("/spec/objectives/maxAge", "\"1w\"")],
        "spec.objectives.maxAge",
        "write a length of time such as 26h, 90m or 8d",
    ),
    (
        &[("/spec/objectives/maxAge", "\"0h\"")],
        "spec.objectives.maxAge",
        "write a length of time such as 26h, 90m or 8d",
    ),
    (
        &[("/spec/objectives/maxAge", "\"26\"")],
        "spec.objectives.maxAge",
        "write a length of time such as 26h, 90m or 8d",
    ),
    (
        &[("/spec/objectives/maxAge", "\"999d\"")],
        "spec.objectives.maxAge",
        "write a length of time such as 26h, 90m or 8d",
    ),
    // How Jobs and pods run.
    (
        &[("/spec/job/activeDeadlineSeconds", "59")],
        "spec.job.activeDeadlineSeconds",
        "should be greater than or equal to 60",
    ),
    (
        &[("/spec/job/activeDeadlineSeconds", "604801")],
        "spec.job.activeDeadlineSeconds",
        "should be less than or equal to 604800",
    ),
    (&[("/spec/job/backoffLimit", "11")], "spec.job.backoffLimit", "should be less than or equal to 10"),
    (
        &[("/spec/job/failedJobsHistoryLimit", "0")],
        "spec.job.failedJobsHistoryLimit",
        "should be greater than or equal to 1",
    ),
    (
        &[("/spec/job/podLabels", "{\"pgbackup.dev/policy\": \"other\"}")],
        "spec.job.podLabels",
        "labels under pgbackup.dev/ and app.kubernetes.io/managed-by are pgbackup's own; choose other keys",
    ),
    (
        &[("/spec/job/podLabels", "{\"app.kubernetes.io/managed-by\": \"other\"}")],
        "spec.job.podLabels",
        "labels under pgbackup.dev/ and app.kubernetes.io/managed-by are pgbackup's own; choose other keys",
    ),
    (
        &[("/spec/job/podAnnotations", "{\"pgbackup.dev/applied-hash\": \"x\"}")],
        "spec.job.podAnnotations",
        "annotations under pgbackup.dev/ are pgbackup's own; choose other keys",
    ),
    (&[("/spec/job/nodeSelector", "{\"disk\": 1}")], "", ".spec.job.nodeSelector.disk: expected string"),
    (
        &[("/spec/job/resources", "{\"limits\": {\"memory\": true}}")],
        "spec.job.resources.limits.memory",
        "must be of type integer,string",
    ),
    (
        &[("/spec/job/serviceAccountName", "\"\"")],
        "spec.job.serviceAccountName",
        "should be at least 1 chars long",
    ),
    (
        &[("/spec/job/imagePullSecrets", "[{\"name\": \"Registry\"}]")],
        "spec.job.imagePullSecrets[0].name",
        "should match",
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
    &[("/spec/catchUp", "false"), ("/spec/objectives/maxAge", "\"26h\"")],
    &[("/spec/objectives/maxAge", "\"366d\"")],
    &[(
        "/spec/job/resources",
        "{\"requests\": {\"cpu\": 1, \"memory\": \"256Mi\"}, \"limits\": {\"memory\": \"1Gi\"}}",
    )],
    &[(
        "/spec/job/tolerations",
        "[{\"key\": \"backup\", \"operator\": \"Exists\", \"effect\": \"NoSchedule\"}]",
    )],
    &[
        ("/spec/job/podLabels", "{\"azure.workload.identity/use\": \"true\"}"),
        ("/spec/job/serviceAccountName", "\"backup\""),
        ("/spec/job/imagePullSecrets", "[{\"name\": \"registry\"}]"),
        ("/spec/job/priorityClassName", "\"low\""),
    ],
    &[(
        "/spec/job/affinity",
        "{\"nodeAffinity\": {\"requiredDuringSchedulingIgnoredDuringExecution\": {\"nodeSelectorTerms\": [{\"matchExpressions\": [{\"key\": \"disk\", \"operator\": \"In\", \"values\": [\"ssd\"]}]}]}}}",
    )],
    &[("/spec/job/nodeSelector", "{\"disk\": \"ssd\"}"), ("/spec/job/successfulJobsHistoryLimit", "0")],
    &[("/spec/postgres/globals", "\"None\""), ("/spec/verification/level", "\"Counts\"")],
    &[("/metadata/name", "\"a-name-of-forty-five-characters-is-allowed-ok\"")],
];

#[test]
fn a_policy_that_cannot_work_is_refused() -> Result<()> {
    story("refused", async |env| {
        let mut wrong = Vec::new();
        for (changes, field, message) in REFUSED {
            let Err(error) = apply(&env, changes).await? else {
                wrong.push(format!("{changes:?} was accepted"));
                continue;
            };
            let mut causes = error.details.map(|details| details.causes).unwrap_or_default();
            causes.retain(|cause| !cause.message.contains(UNCHECKED));
            let said: Vec<String> =
                causes.iter().map(|cause| format!("{}: {}", cause.field, cause.message)).collect();
            // One mistake, one message. A server-side apply tells of a wrong type before there are causes.
            let as_wanted = match causes.as_slice() {
                [] => field.is_empty() && error.message.contains(message),
                [cause] => cause.field == *field && said[0].contains(message),
                _ => false,
            };
            if !as_wanted {
                wrong.push(format!(
                    "{changes:?} should say {field}: {message}, and says {said:?}; {}",
                    error.message
                ));
            }
        }
        assert!(wrong.is_empty(), "{}", wrong.join("\n"));
        assert!(REFUSED.len() >= 80 && ACCEPTED.len() >= 30, "{} and {}", REFUSED.len(), ACCEPTED.len());
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
