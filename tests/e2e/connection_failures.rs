//! A wrong password, an unknown host and a port without a server each have their reason in the status. The
//! run stores nothing, and earlier backups are unaffected.

use anyhow::Result;
use api::status::{ConditionStatus, ConditionType};
use api::{BackupPolicySpec, policy::SecretKeyRef};
use domain::reason::Reason;
use pgbackup_tests::{
    manifests::{SECRET, fill},
    story,
};

/// The name of the case, the wrong setting, the expected reason, and a part of the expected message.
type Case = (&'static str, fn(&mut BackupPolicySpec), Reason, &'static str);

const CASES: [Case; 3] = [
    (
        "wrong-password",
        |spec| spec.postgres.connection.password_secret_ref = Some(key("wrong")),
        Reason::AuthenticationFailed,
        "postgres",
    ),
    (
        "unknown-host",
        |spec| spec.postgres.connection.host = Some("no-such-server".into()),
        Reason::NameNotResolved,
        "no-such-server",
    ),
    (
        "nobody-listens",
        |spec| spec.postgres.connection.host = Some("127.0.0.1".into()),
        Reason::Unreachable,
        "127.0.0.1",
    ),
];

fn key(secret: &str) -> SecretKeyRef {
    SecretKeyRef { name: secret.to_owned(), key: "password".to_owned() }
}

#[test]
fn too_many_connections_is_reported_as_retriable() -> Result<()> {
    story("too-many-conns", async |env| {
        let server = env.postgres(17).await?;
        let role = format!("CREATE ROLE crowded LOGIN PASSWORD '{}' CONNECTION LIMIT 0", env.password);
        server.sql("postgres", &role).await?;
        let policy =
            env.policy("shop", |spec| spec.postgres.connection.user = Some("crowded".to_owned())).await?;
        let job = policy
            .start("crowded", |run| {
                run.once();
            })
            .await?;
        let failure = policy.failed("crowded", Reason::ServerNotReady).await?;
        assert!(failure.message.contains("too many connections"), "{failure:?}");
        let exit_code = job.death().await?.exit_code;
        assert_eq!(Some(exit_code), Reason::ServerNotReady.exit_code().map(i32::from));
        Ok(())
    })
}

#[test]
fn each_connection_failure_has_its_own_reason() -> Result<()> {
    story("connection-errors", async |env| {
        env.postgres(17).await?;
        let wrong =
            fill(SECRET, &[("PASSWORD", "not-the-password")]).replace("name: postgres", "name: wrong");
        env.create(&wrong).await?;
        let policy = env.policy("shop", |_| ()).await?;
        let store = env.store().await?;
        let good = policy.backup("good").await?;

        for (token, spoil, reason, named) in CASES {
            policy
                .edit(|spec| {
                    *spec = env.spec();
                    spoil(spec);
                })
                .await?;
            let failure = policy.failure(token, reason).await?;

            assert!(failure.message.contains(named), "{failure:?}");
            assert!(!failure.message.contains("not-the-password"), "{failure:?}");
            assert_eq!(failure.stage.as_deref(), Some("preflight"));
            let message =
                policy.condition_is(ConditionType::BackupHealthy, ConditionStatus::False, reason).await?;
            assert!(message.contains(named), "{message}");
            let status = policy.status().await?;
            assert_eq!(status.last_success.map(|last| last.job), Some(good.job.clone()), "{token}");
            assert_eq!(store.backup_folders(&policy).await?.len(), 1, "{token} stored nothing");
            store.check(&store.only_backup(&policy).await?).await?;
        }

        policy.edit(|spec| *spec = env.spec()).await?;
        policy.backup("good-again").await?;
        policy.condition_is(ConditionType::BackupHealthy, ConditionStatus::True, Reason::Verified).await?;
        Ok(())
    })
}
