//! The pod of a backup cannot start: the status says why within a minute.

use std::time::{Duration, Instant};

use anyhow::Result;
use api::{BackupPolicySpec, policy::SecretKeyRef};
use domain::reason::Reason;
use pgbackup_tests::{condition, env::on_volume, story};

/// The promise.
const A_MINUTE: Duration = Duration::from_mins(1);

/// What is wrong, what that is called, and what the message must name.
type Case = (&'static str, fn(&mut BackupPolicySpec), Reason, &'static str);

const CASES: [Case; 4] = [
    (
        "image",
        |spec| {
            spec.postgres.version = None;
            spec.postgres.image = Some("localhost/no-such-image:17".to_owned());
        },
        Reason::ImagePullFailed,
        "localhost/no-such-image:17",
    ),
    (
        "secret",
        |spec| spec.postgres.connection.password_secret_ref = Some(key("no-such-secret", "password")),
        Reason::SecretNotFound,
        "no-such-secret",
    ),
    (
        "key",
        |spec| spec.postgres.connection.password_secret_ref = Some(key("postgres", "no-such-key")),
        Reason::SecretNotFound,
        "no-such-key",
    ),
    ("claim", |spec| spec.storage = on_volume("no-such-claim", None), Reason::Unschedulable, "no-such-claim"),
];

#[test]
fn pods_that_cannot_start_are_explained() -> Result<()> {
    story("cannot-start", async |env| {
        let mut policies = Vec::new();
        for (name, spoil, reason, named) in CASES {
            let policy = env.policy(name, spoil).await?;
            policy.ready().await?;
            policy.request("now").await?;
            policies.push((policy, Instant::now(), reason, named));
        }
        for (policy, since, reason, named) in policies {
            let left = A_MINUTE.saturating_sub(since.elapsed());
            let message = policy
                .status_with(&format!("BackupHealthy=False, reason {reason}"), left, |status| {
                    let healthy = condition(status, "BackupHealthy")?;
                    (healthy.status == "False" && healthy.reason == reason.word())
                        .then(|| healthy.message.clone())
                })
                .await?;
            assert!(message.contains(named), "{message}");
        }
        Ok(())
    })
}

fn key(secret: &str, key: &str) -> SecretKeyRef {
    SecretKeyRef { name: secret.to_owned(), key: key.to_owned() }
}

#[test]
fn a_secret_that_comes_later_is_enough() -> Result<()> {
    story("late-secret", async |env| {
        env.postgres(17).await?;
        let policy = env
            .policy("shop", |spec| {
                spec.postgres.connection.password_secret_ref = Some(key("late", "password"));
            })
            .await?;
        let job = policy.request("now").await?;
        policy.condition_is("BackupHealthy", "False", Reason::SecretNotFound).await?;

        let secret = ["create", "secret", "generic", "late"];
        env.kubectl(&[&secret[..], &[&format!("--from-literal=password={}", env.password)]].concat())?;

        policy.succeeded(&job).await?;
        policy.condition_is("BackupHealthy", "True", Reason::Verified).await?;
        Ok(())
    })
}
