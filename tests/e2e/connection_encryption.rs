//! `sslMode` is enforced: a connection that must be encrypted is encrypted or fails, and the server's
//! certificate is verified as far as the mode requires.

use api::status::{ConditionStatus, ConditionType};
use std::collections::BTreeMap;

use anyhow::Result;
use api::policy::{SecretKeyRef, SecretRef, SslMode};
use domain::reason::Reason;
use pgbackup_tests::{Postgres, story};
use serde_json::json;

#[test]
fn server_without_tls_is_rejected_when_tls_is_required() -> Result<()> {
    story("server-without-tls", async |env| {
        env.postgres(17).await?;
        let store = env.store().await?;
        let policy = env.policy("shop", |spec| spec.postgres.connection.ssl_mode = SslMode::Require).await?;

        let failure = policy.failure("required", Reason::TlsFailed).await?;

        assert_eq!(failure.stage.as_deref(), Some("preflight"));
        assert!(failure.message.contains("does not support SSL"), "{failure:?}");
        let message = policy
            .condition_is(ConditionType::BackupHealthy, ConditionStatus::False, Reason::TlsFailed)
            .await?;
        assert!(message.contains("SSL was required") && message.contains("sslMode"), "{message}");
        assert!(store.backup_folders(&policy).await?.is_empty());

        policy.edit(|spec| spec.postgres.connection.ssl_mode = SslMode::Prefer).await?;
        policy.backup("preferred").await?;
        Ok(())
    })
}

#[test]
fn server_that_requires_tls_is_backed_up() -> Result<()> {
    story("server-only-tls", async |env| {
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

#[test]
fn ssl_mode_decides_how_the_server_certificate_is_verified() -> Result<()> {
    story("ssl-mode", async |env| {
        let server = env.postgres(17).await?;
        take_only_tls(&server).await?;
        env.create(&secret("ca", &[("ca.crt", &server.sh("cat \"$PGDATA\"/ca.crt").await?)])?).await?;
        let other = server
            .sh("cd /tmp; openssl req -x509 -newkey ec -pkeyopt ec_paramgen_curve:prime256v1 -nodes -days 2 \
                   -subj '/CN=another CA' -keyout other.key -out other.crt 2> /dev/null; cat other.crt")
            .await?;
        env.create(&secret("other", &[("ca.crt", &other)])?).await?;
        let address = server.sh("hostname --ip-address").await?.trim().to_owned();
        let policy = env
            .policy("shop", |spec| {
                spec.postgres.connection.ssl_mode = SslMode::VerifyFull;
                spec.postgres.connection.ca_secret_ref = Some(ca("ca"));
            })
            .await?;
        policy.backup("full").await?;

        for (token, secret, host, named) in [
            ("another-ca", "other", "postgres", "certificate verify failed"),
            ("another-host", "ca", address.as_str(), "does not match host name"),
            ("no-ca", "missing", "postgres", "caSecretRef"),
        ] {
            policy
                .edit(|spec| {
                    spec.postgres.connection.ca_secret_ref = Some(ca(secret));
                    spec.postgres.connection.host = Some(host.to_owned());
                })
                .await?;
            let failure = policy.failure(token, Reason::TlsFailed).await?;
            assert!(failure.message.contains(named), "{failure:?}");
            assert_eq!(failure.stage.as_deref(), Some("preflight"));
        }

        policy
            .edit(|spec| {
                spec.postgres.connection.ssl_mode = SslMode::VerifyCa;
                spec.postgres.connection.ca_secret_ref = Some(ca("ca"));
                spec.postgres.connection.host = Some(address);
            })
            .await?;
        policy.backup("ca, whatever the host").await.map(drop)
    })
}

#[test]
fn client_certificate_replaces_the_password() -> Result<()> {
    story("client-cert", async |env| {
        let server = env.postgres(17).await?;
        take_only_tls(&server).await?;
        server.sh("sed -i '1i hostssl all all all cert' \"$PGDATA\"/pg_hba.conf").await?;
        server.sql("postgres", "SELECT pg_reload_conf()").await?;
        server
            .sh("cd \"$PGDATA\"
                 openssl req -newkey ec -pkeyopt ec_paramgen_curve:prime256v1 -nodes -subj /CN=postgres \
                   -keyout client.key -out client.csr 2> /dev/null
                 openssl x509 -req -in client.csr -CA ca.crt -CAkey ca.key -days 2 -out client.crt 2> /dev/null")
            .await?;
        let (certificate, key) =
            (server.sh("cat \"$PGDATA\"/client.crt").await?, server.sh("cat \"$PGDATA\"/client.key").await?);
        env.create(&secret("ca", &[("ca.crt", &server.sh("cat \"$PGDATA\"/ca.crt").await?)])?).await?;
        env.create(&secret("backup", &[("tls.crt", &certificate), ("tls.key", &key)])?).await?;
        let policy = env
            .policy("shop", |spec| {
                spec.postgres.connection.ssl_mode = SslMode::VerifyFull;
                spec.postgres.connection.ca_secret_ref = Some(ca("ca"));
            })
            .await?;
        let failure = policy.failure("without", Reason::AuthenticationFailed).await?;
        assert!(failure.message.contains("client certificate"), "{failure:?}");

        policy
            .edit(|spec| {
                spec.postgres.connection.password_secret_ref = None;
                spec.postgres.connection.client_certificate_secret_ref =
                    Some(SecretRef { name: "backup".to_owned() });
            })
            .await?;
        policy.backup("with").await.map(drop)
    })
}

fn ca(secret: &str) -> SecretKeyRef {
    SecretKeyRef { name: secret.to_owned(), key: "ca.crt".to_owned() }
}

fn secret(name: &str, values: &[(&str, &str)]) -> Result<String> {
    let data: BTreeMap<&str, &str> = values.iter().copied().collect();
    let metadata = json!({"name": name});
    let secret = json!({"apiVersion": "v1", "kind": "Secret", "metadata": metadata, "stringData": data});
    Ok(serde_json::to_string(&secret)?)
}

/// Gives the server a certificate for its host name, signed by its own certificate authority, and rejects
/// connections without encryption.
async fn take_only_tls(server: &Postgres) -> Result<()> {
    server
        .sh("set -eu; cd \"$PGDATA\"
             key='-newkey ec -pkeyopt ec_paramgen_curve:prime256v1 -nodes'
             openssl req -x509 $key -days 2 -subj '/CN=a CA' -keyout ca.key -out ca.crt 2> /dev/null
             openssl req $key -subj /CN=postgres -addext subjectAltName=DNS:postgres \
               -keyout server.key -out server.csr 2> /dev/null
             openssl x509 -req -in server.csr -copy_extensions copy -CA ca.crt -CAkey ca.key -days 2 \
               -out server.crt 2> /dev/null
             chmod 600 server.key
             sed -i '1i hostnossl all all all reject' pg_hba.conf")
        .await?;
    server.sql("postgres", "ALTER SYSTEM SET ssl = on; ALTER SYSTEM SET ssl_ca_file = 'ca.crt'").await?;
    server.sql("postgres", "SELECT pg_reload_conf()").await?;
    server.until("the server speaks TLS", "SELECT current_setting('ssl')::bool").await
}
