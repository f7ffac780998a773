//! The role's name can come from a Secret, and the role need not be a superuser.

use anyhow::Result;
use api::policy::SecretKeyRef;
use api::status::{ConditionStatus, ConditionType};
use domain::reason::Reason;
use pgbackup_tests::{postgres::identifier, story};

/// A name that Kubernetes would change if it were written into the pod's environment directly.
const ROLE: &str = "night $(PGHOST) \"backup\"";

#[test]
fn database_user_name_is_read_from_a_secret() -> Result<()> {
    story("user-secret", async |env| {
        let server = env.postgres(17).await?;
        server.table("postgres", "goods", 100).await?;
        let role = identifier(ROLE);
        let create =
            format!("CREATE ROLE {role} LOGIN PASSWORD 'of-the-role' BYPASSRLS IN ROLE pg_read_all_data");
        server.sql("postgres", &create).await?;
        let secret = ["create", "secret", "generic", "role", "--from-literal=password=of-the-role"];
        env.kubectl(&[&secret[..], &[&format!("--from-literal=name={ROLE}")]].concat())?;
        let key = |key: &str| SecretKeyRef { name: "role".to_owned(), key: key.to_owned() };

        let policy = env
            .policy("shop", |spec| {
                let connection = &mut spec.postgres.connection;
                connection.user = None;
                connection.user_secret_ref = Some(key("name"));
                connection.password_secret_ref = Some(key("password"));
            })
            .await?;
        policy.backup("now").await?;

        let store = env.store().await?;
        let backup = store.only_backup(&policy).await?;
        store.check(&backup).await?;
        assert_eq!(backup.rows("postgres", "goods")?, 100);

        policy.edit(|spec| spec.postgres.connection.user_secret_ref = Some(key("no-such-key"))).await?;
        policy.request("no-such-key").await?;
        let message = policy
            .condition_is(ConditionType::BackupHealthy, ConditionStatus::False, Reason::SecretNotFound)
            .await?;
        assert!(message.contains("no-such-key"), "{message}");
        Ok(())
    })
}
