//! Backups in buckets follow the same rules as on volumes: they are stored completely or not at all, read
//! back, and expired by the rules. Failures of a bucket have specific reasons. versitygw stores objects as
//! files, so a shell beside it can read them.

use anyhow::{Context, Result};
use api::policy::{S3Credentials, S3Storage, SecretKeyRef};
use api::status::{ConditionStatus, ConditionType};
use domain::{
    reason::Reason,
    report::{BackupStage, Outcome},
};
use pgbackup_tests::{Bucket, Env, Policy, Signal, bucket::BUCKET, cluster::postgres_image, story};

/// Creates a policy that stores the database `shop` in the bucket.
async fn policy(env: &Env, bucket: &Bucket) -> Result<Policy> {
    env.policy("shop", |spec| {
        spec.postgres.databases.include = vec!["shop".to_owned()];
        spec.storage = bucket.storage();
    })
    .await
}

async fn edit_s3(policy: &Policy, change: impl FnOnce(&mut S3Storage)) -> Result<()> {
    policy.edit(|spec| change(spec.storage.s3.as_mut().expect("the policy should store in a bucket"))).await
}

#[test]
fn s3_bucket_with_private_ca_stores_and_prunes_backups() -> Result<()> {
    story("bucket-tls", async |env| {
        let server = env.postgres(17).await?;
        server.database("shop", "").await?;
        server.table("shop", "goods", 1000).await?;
        let bucket = Bucket::start_with_tls(&env, "s3").await?;
        let ca = bucket.sh("cat /backup/tls/ca.crt").await?;
        env.kubectl(&["create", "secret", "generic", "s3-ca", &format!("--from-literal=ca.crt={ca}")])?;
        let policy = env
            .policy("shop", |spec| {
                spec.postgres.databases.include = vec!["shop".to_owned()];
                spec.storage = bucket.storage();
                if let Some(s3) = &mut spec.storage.s3 {
                    s3.prefix = Some("clusters/main".to_owned());
                    s3.ca_secret_ref = Some(SecretKeyRef { name: "s3-ca".into(), key: "ca.crt".into() });
                }
                spec.retention.keep_last = Some(2);
                spec.retention.minimum_verified = 1;
            })
            .await?;
        let store = bucket.store_below("clusters/main");

        let mut last = None;
        for token in ["one", "two", "three"] {
            last = Some(policy.backup(token).await?);
        }

        let last = last.context("three were taken")?;
        let backups = store.backups(&policy).await?;
        assert_eq!(backups.len(), 2, "the rules keep two");
        for backup in &backups {
            store.check(backup).await?;
            assert_eq!(backup.rows("shop", "goods")?, 1000);
        }
        let id = last.backup.clone().unwrap_or_default();
        let location = format!("s3://{BUCKET}/clusters/main/{}/shop/{id}", env.namespace);
        assert_eq!(last.location.as_deref(), Some(location.as_str()));
        let record = store.record(&policy, &last.job).await?;
        assert!(record.message.text().contains("read back from the store"), "{record:?}");
        policy.condition_is(ConditionType::BackupHealthy, ConditionStatus::True, Reason::Verified).await?;
        policy.condition_is(ConditionType::RetentionHealthy, ConditionStatus::True, Reason::Pruned).await?;

        let shown = env.kubectl(&["get", "cronjobs,jobs,pods,backuppolicies,events", "--output=yaml"])?;
        assert!(!shown.contains(&bucket.secret_key()), "the secret key is shown");
        let kept = store.sh(&format!("grep -rcF -e '{}' . || true", bucket.secret_key())).await?;
        assert!(kept.lines().all(|line| line.ends_with(":0")), "the secret key is in a file:\n{kept}");

        edit_s3(&policy, |s3| s3.ca_secret_ref = None).await?;
        let failure = policy.failure("another-authority", Reason::TlsFailed).await?;
        assert!(failure.message.contains("an unknown certificate authority signed"), "{failure:?}");
        Ok(())
    })
}

#[test]
fn each_bucket_error_has_its_own_reason() -> Result<()> {
    story("bucket-errors", async |env| {
        env.postgres(17).await?.database("shop", "").await?;
        let bucket = Bucket::start(&env, "s3").await?;
        env.kubectl(&[
            "create",
            "secret",
            "generic",
            "other",
            "--from-literal=id=pgbackup",
            "--from-literal=secret=x",
        ])?;
        let policy = policy(&env, &bucket).await?;
        policy.backup("good").await?;

        edit_s3(&policy, |s3| s3.bucket = "elsewhere".to_owned()).await?;
        let failure = policy.failure("no-bucket", Reason::BucketNotFound).await?;
        assert!(failure.message.contains("s3://elsewhere"), "{failure:?}");

        edit_s3(&policy, |s3| {
            s3.bucket = BUCKET.to_owned();
            s3.credentials = Some(S3Credentials {
                access_key_id_secret_ref: SecretKeyRef { name: "other".into(), key: "id".into() },
                secret_access_key_secret_ref: SecretKeyRef { name: "other".into(), key: "secret".into() },
            });
        })
        .await?;
        let failure = policy.failure("wrong-key", Reason::StoreAccessDenied).await?;
        assert!(failure.message.contains("SignatureDoesNotMatch"), "{failure:?}");
        assert!(!failure.message.contains("StringToSign"), "{failure:?}");

        edit_s3(&policy, |s3| {
            *s3 = bucket.storage().s3.unwrap_or_default();
            s3.endpoint = Some("http://nowhere:7070".to_owned());
        })
        .await?;
        let failure = policy.failure("no-host", Reason::StoreUnreachable).await?;
        assert_eq!(failure.stage.as_deref(), Some("preflight"));
        assert!(failure.message.contains("cannot resolve the name \"nowhere\""), "{failure:?}");
        Ok(())
    })
}

#[test]
fn flipped_bit_in_an_archive_in_a_bucket_is_reported() -> Result<()> {
    story("bucket-bit-flip", async |env| {
        let server = env.postgres(17).await?;
        for database in ["a", "b"] {
            server.database(database, "").await?;
            server.table(database, "goods", 1000).await?;
        }
        let bucket = Bucket::start(&env, "s3").await?;
        let policy = env
            .policy("shop", |spec| {
                spec.postgres.databases.include = ["a", "b"].map(str::to_owned).to_vec();
                spec.storage = bucket.storage();
            })
            .await?;

        let mut lock = server.session("b").await?;
        lock.run("BEGIN; LOCK TABLE goods IN ACCESS EXCLUSIVE MODE;").await?;
        policy
            .start("corrupted", |run| {
                run.once().arg("--retry-wait=1");
            })
            .await?;
        let stored = bucket.store.await_file(&policy, "a.dump").await?;
        bucket.store.flip_bit(&stored).await?;
        lock.run("ROLLBACK;").await?;

        let failure = policy.failed("corrupted", Reason::ChecksumMismatch).await?;
        assert!(failure.message.contains("a.dump"), "{failure:?}");
        assert!(bucket.store.backup_folders(&policy).await?.is_empty(), "the corrupted backup is gone");
        Ok(())
    })
}

#[test]
fn bucket_outage_during_a_run_fails_only_that_run() -> Result<()> {
    story("bucket-outage", async |env| {
        let server = env.postgres(17).await?;
        server.database("shop", "").await?;
        server.table("shop", "goods", 1000).await?;
        let bucket = Bucket::start(&env, "s3").await?;
        let policy = policy(&env, &bucket).await?;

        let mut lock = server.session("shop").await?;
        lock.run("BEGIN; LOCK TABLE goods IN ACCESS EXCLUSIVE MODE;").await?;
        policy
            .start("cut-off", |run| {
                run.once().arg("--retry-wait=1");
            })
            .await?;
        server.until_a_backup_waits_for_a_lock().await?;
        bucket.kill().await?;
        lock.run("ROLLBACK;").await?;

        let failure = policy.failed("cut-off", Reason::StoreUnreachable).await?;
        assert!(failure.message.contains("s3://backups/"), "{failure:?}");
        assert_eq!(policy.status().await?.last_success.map(|last| last.job), None);
        let leftovers = "SELECT count(*) = 0 FROM pg_stat_activity WHERE application_name LIKE 'pgbackup/%'";
        server.until("no session of the run stays", leftovers).await
    })
}

#[test]
fn killed_run_leaves_no_complete_backup_in_a_bucket() -> Result<()> {
    story("bucket-killed-run", async |env| {
        let server = env.postgres(17).await?;
        server.database("shop", "").await?;
        server.table("shop", "goods", 100_000).await?;
        let bucket = Bucket::start(&env, "s3").await?;
        let store = &bucket.store;
        let policy = policy(&env, &bucket).await?;

        let mut complete = 0;
        for (stage, signal) in [
            (BackupStage::Dump, Signal::Term),
            (BackupStage::Dump, Signal::Kill),
            (BackupStage::Upload, Signal::Term),
            (BackupStage::Upload, Signal::Kill),
            (BackupStage::Verify, Signal::Kill),
            (BackupStage::Manifest, Signal::Term),
            (BackupStage::Manifest, Signal::Kill),
            (BackupStage::Prune, Signal::Kill),
        ] {
            let name =
                format!("{}-{}", stage.as_str(), if signal == Signal::Kill { "killed" } else { "stopped" });
            let job = policy
                .start(&name, |run| {
                    run.stop_at(stage);
                })
                .await?;
            let pod = job.stopped_at(stage).await?;
            job.signal(&pod, signal).await?;
            let death = job.death().await?;

            assert_eq!(death.report.details.stage(), stage.into(), "{death:?}");
            assert_eq!(death.report.outcome == Outcome::Running, signal == Signal::Kill, "{death:?}");
            complete += usize::from(stage > BackupStage::Manifest);
            assert_eq!(store.backups(&policy).await?.len(), complete, "{name}");
        }
        let dead = store.backup_folders(&policy).await?.len();
        assert!(dead > complete, "SIGKILL leaves something behind");

        policy.backup("young").await?;
        assert_eq!(store.backup_folders(&policy).await?.len(), dead + 1, "what may be alive is left alone");
        policy
            .start("old", |run| {
                run.arg("--leftover-age=0");
            })
            .await?;
        policy.succeeded("old").await?;
        assert_eq!(store.backup_folders(&policy).await?.len(), complete + 2, "what is dead goes");
        for backup in store.backups(&policy).await? {
            store.check(&backup).await?;
        }
        Ok(())
    })
}

/// The C library's resolver would load the modules that this image's nsswitch.conf lists, and crash.
#[test]
fn bucket_host_is_resolved_despite_image_nsswitch_conf() -> Result<()> {
    story("bucket-nsswitch", async |env| {
        env.postgres(17).await?.database("shop", "").await?;
        let bucket = Bucket::start(&env, "s3").await?;
        let policy = env
            .policy("shop", |spec| {
                spec.postgres.version = None;
                spec.postgres.image = Some(postgres_image("17-foreign-nss"));
                spec.postgres.databases.include = vec!["shop".to_owned()];
                spec.storage = bucket.storage();
            })
            .await?;
        policy.backup("now").await?;
        let backup = bucket.store.only_backup(&policy).await?;
        bucket.store.check(&backup).await
    })
}
