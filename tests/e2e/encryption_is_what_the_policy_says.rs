//! `sslMode` is obeyed: a connection that must be encrypted is, or there is none.

use anyhow::Result;
use api::policy::SslMode;
use domain::reason::Reason;
use pgbackup_tests::{Postgres, story};

#[test]
fn a_server_without_tls_is_refused_where_it_is_required() -> Result<()> {
    story("no-tls", async |env| {
        env.postgres(17).await?;
        let store = env.store().await?;
        let policy = env.policy("shop", |spec| spec.postgres.connection.ssl_mode = SslMode::Require).await?;

        let failure = policy.failure("required", Reason::TlsFailed).await?;

        assert_eq!(failure.stage.as_deref(), Some("preflight"));
        assert!(failure.message.contains("does not support SSL"), "{failure:?}");
        let message = policy.condition_is("BackupHealthy", "False", Reason::TlsFailed).await?;
        assert!(message.contains("SSL was required") && message.contains("sslMode"), "{message}");
        assert!(store.set_folders(&policy).await?.is_empty());

        policy.edit(|spec| spec.postgres.connection.ssl_mode = SslMode::Prefer).await?;
        policy.backup("preferred").await?;
        Ok(())
    })
}

#[test]
fn a_server_that_takes_only_tls_is_backed_up() -> Result<()> {
    story("only-tls", async |env| {
        let server = env.postgres(17).await?;
        take_only_tls(&server).await?;
        let policy = env.policy("shop", |spec| spec.postgres.connection.ssl_mode = SslMode::Disable).await?;
        let failure = policy.failure("disabled", Reason::AuthenticationFailed).await?;
        assert!(
            failure.message.contains("no encryption") && failure.message.contains("sslMode"),
            "{failure:?}"
        );

        for (token, mode) in [("required", SslMode::Require), ("preferred", SslMode::Prefer)] {
            policy.edit(|spec| spec.postgres.connection.ssl_mode = mode).await?;
            policy.backup(token).await?;
        }
        Ok(())
    })
}

/// Gives the server a certificate and lets nobody else's host in without encryption.
async fn take_only_tls(server: &Postgres) -> Result<()> {
    server
        .sh("set -eu; cd \"$PGDATA\"
             openssl req -x509 -newkey ec -pkeyopt ec_paramgen_curve:prime256v1 -nodes -days 2 \
               -subj /CN=postgres -keyout server.key -out server.crt 2> /dev/null
             chmod 600 server.key
             sed -i '1i hostnossl all all all reject' pg_hba.conf")
        .await?;
    server.sql("postgres", "ALTER SYSTEM SET ssl = on").await?;
    server.sql("postgres", "SELECT pg_reload_conf()").await?;
    server.until("the server speaks TLS", "SELECT current_setting('ssl')::bool").await
}
