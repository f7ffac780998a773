//! `globals.sql` restores the roles and contains no passwords.

use anyhow::{Context, Result};
use api::policy::{Globals, SecretKeyRef};
use domain::manifest::Content;
use pgbackup_tests::story;

#[test]
fn globals_contain_no_passwords_by_default() -> Result<()> {
    story("globals", async |env| {
        let server = env.postgres(17).await?;
        server.sql("postgres", "CREATE ROLE clerk LOGIN PASSWORD 'till' CREATEDB").await?;
        server.sql("postgres", "ALTER ROLE clerk SET work_mem = '5MB'").await?;
        let store = env.store().await?;
        let policy = env.policy("shop", |_| ()).await?;
        policy.backup("with").await?;

        let backup = store.only_backup(&policy).await?;
        let text = store.sh(&format!("cat '{}/globals.sql'", backup.path)).await?;
        assert!(text.contains("CREATE ROLE clerk") && text.contains("work_mem"), "{text}");
        let lower = text.to_lowercase();
        assert!(!lower.contains("scram") && !lower.contains("password '"), "{text}");
        let files = store.files(&policy).await?;
        let (_, mode) = files
            .get(&format!("{}/globals.sql", backup.manifest.id))
            .context("globals.sql is among the files")?;
        assert_eq!(mode, "600");
        let other: Vec<_> =
            files.iter().filter(|(_, (_, mode))| mode.ends_with(['4', '5', '6', '7'])).collect();
        assert!(other.is_empty(), "nobody else reads backups: {other:?}");
        assert!(backup.manifest.server.roles.contains(&"clerk".to_owned()));
        let everything = store.sh(&format!("grep -rc -e '{}' . || true", env.password)).await?;
        assert!(
            everything.lines().all(|line| line.ends_with(":0")),
            "the password is in a file:\n{everything}"
        );

        policy.edit(|spec| spec.postgres.globals = Globals::None).await?;
        policy.backup("without").await?;
        let newest = store.backups(&policy).await?.pop().context("a second backup")?;
        let globals =
            |artifact: &&domain::manifest::Artifact| matches!(artifact.content, Content::Globals { .. });
        assert_eq!(newest.manifest.artifacts.iter().find(globals), None);
        Ok(())
    })
}

#[test]
fn globals_are_dumped_if_the_postgres_database_is_closed() -> Result<()> {
    story("globals-closed-db", async |env| {
        let server = env.postgres(17).await?;
        server.database("it's shut", "CREATE ROLE clerk").await?;
        for usual in ["postgres", "template1"] {
            server.sql("it's shut", &format!("ALTER DATABASE {usual} ALLOW_CONNECTIONS false")).await?;
        }
        let store = env.store().await?;
        let policy =
            env.policy("shop", |spec| spec.postgres.databases.include = vec!["it's shut".to_owned()]).await?;
        policy.backup("now").await?;

        let backup = store.only_backup(&policy).await?;
        let text = store.sh(&format!("cat '{}/globals.sql'", backup.path)).await?;
        assert!(text.contains("CREATE ROLE clerk"), "{text}");
        assert_eq!(backup.manifest.warnings, Vec::<String>::new());
        Ok(())
    })
}

#[test]
fn globals_with_passwords_contain_password_hashes() -> Result<()> {
    story("globals-passwords", async |env| {
        let server = env.postgres(17).await?;
        server.sql("postgres", "CREATE ROLE clerk LOGIN PASSWORD 'till' CREATEDB").await?;
        server.sql("postgres", "CREATE ROLE reader LOGIN PASSWORD 'reads'").await?;
        let store = env.store().await?;
        let policy = env.policy("shop", |spec| spec.postgres.globals = Globals::WithPasswords).await?;

        let newest = policy.backup("with").await?;

        assert!(newest.password_hashes, "the status shows it");
        let backup = store.only_backup(&policy).await?;
        let text = store.sh(&format!("cat '{}/globals.sql'", backup.path)).await?;
        assert!(text.contains("clerk") && text.contains("PASSWORD 'SCRAM-SHA-256$"), "{text}");
        assert!(!text.contains("'till'"), "{text}");

        env.kubectl(&["create", "secret", "generic", "reader", "--from-literal=password=reads"])?;
        policy
            .edit(|spec| {
                spec.postgres.connection.user = Some("reader".to_owned());
                spec.postgres.connection.password_secret_ref =
                    Some(SecretKeyRef { name: "reader".to_owned(), key: "password".to_owned() });
                spec.postgres.databases.include = vec!["postgres".to_owned()];
            })
            .await?;
        let newest = policy.backup("without the right").await?;
        assert!(!newest.password_hashes, "it may not read them");
        // The runner checks this before pg_dumpall, whose error the server would translate.
        let said = "password hashes are not in this backup: the role has no permission to read pg_authid";
        assert!(newest.warnings.iter().any(|line| line == said), "{newest:?}");
        Ok(())
    })
}
