//! Secrets of other operators that contain a connection URI are sufficient for a connection, and the password
//! appears nowhere.

use anyhow::Result;
use api::policy::{SecretKeyRef, SslMode};
use domain::reason::Reason;
use pgbackup_tests::story;

/// A password that must be encoded in a URI, and that Kubernetes must not expand.
const PASSWORD: &str = "p@ss/w?rd%$(PGHOST)";
const ENCODED: &str = "p%40ss%2Fw%3Frd%25$(PGHOST)";

#[test]
fn connection_uri_replaces_host_user_and_password() -> Result<()> {
    story("connection-uri", async |env| {
        let server = env.postgres(17).await?;
        server.database("shop", "").await?;
        server.table("shop", "goods", 100).await?;
        server
            .sql(
                "postgres",
                &format!("CREATE ROLE app LOGIN PASSWORD '{PASSWORD}' BYPASSRLS IN ROLE pg_read_all_data"),
            )
            .await?;
        let host = format!("postgres.{}.svc", env.namespace);
        for (secret, uri) in [
            ("cluster-app", format!("postgresql://app:{ENCODED}@{host}:5432/elsewhere")),
            ("strict", format!("postgresql://app:{ENCODED}@{host}/?sslmode=require")),
            ("unencoded", format!("postgresql://app:{PASSWORD}@{host}:5432/shop")),
            ("jdbc", format!("jdbc:postgresql://{host}/shop?user=app&password=of-jdbc")),
        ] {
            env.kubectl(&["create", "secret", "generic", secret, &format!("--from-literal=uri={uri}")])?;
        }
        let store = env.store().await?;
        let uri = |secret: &str| Some(SecretKeyRef { name: secret.to_owned(), key: "uri".to_owned() });
        let policy = env
            .policy("shop", |spec| {
                let connection = &mut spec.postgres.connection;
                connection.host = None;
                connection.user = None;
                connection.password_secret_ref = None;
                connection.uri_secret_ref = uri("cluster-app");
                connection.ssl_mode = SslMode::Disable;
                spec.postgres.databases.include = vec!["shop".to_owned()];
            })
            .await?;
        policy.backup("now").await?;
        let backup = store.only_backup(&policy).await?;
        store.check(&backup).await?;
        assert_eq!(backup.rows("shop", "goods")?, 100);
        for secret in [PASSWORD, ENCODED] {
            let found = store.sh(&format!("grep -rcF -e '{secret}' . || true")).await?;
            assert!(found.lines().all(|line| line.ends_with(":0")), "the password is in a file:\n{found}");
        }

        for (secret, reason, named) in [
            ("strict", Reason::TlsFailed, "does not support SSL"),
            ("unencoded", Reason::InvalidConfiguration, "a parameter of the connection URI has no value"),
            ("jdbc", Reason::InvalidConfiguration, "postgresql://"),
        ] {
            policy.edit(|spec| spec.postgres.connection.uri_secret_ref = uri(secret)).await?;
            let failure = policy.failure(secret, reason).await?;
            assert!(failure.message.contains(named), "{failure:?}");
            let shown =
                ["w?rd", "of-jdbc", "p@ss"].into_iter().find(|secret| failure.message.contains(secret));
            assert_eq!(shown, None, "{failure:?}");
        }
        Ok(())
    })
}
