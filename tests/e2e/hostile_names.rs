//! Database names can be chosen by anybody who may create databases. They reach no command line, no
//! connection string and no path.

use std::collections::BTreeSet;

use anyhow::Result;
use domain::reason::Reason;
use pgbackup_tests::{postgres::identifier, story};

const NAMES: [&str; 11] = [
    "dbname=t host=evil.example user=app",
    "postgresql://evil.example/t",
    "quo\"te'd",
    "../../escaped",
    ".hidden",
    "-rf",
    "*",
    "$(reboot) `reboot` ; reboot",
    "back\\slash",
    "Größe ☃",
    "two\nlines",
];

#[test]
fn databases_with_hostile_names_are_backed_up() -> Result<()> {
    story("hostile-names", async |env| {
        let server = env.postgres(17).await?;
        for (n, name) in NAMES.iter().enumerate() {
            let statements =
                format!("CREATE TABLE {} (n int); INSERT INTO {0} VALUES ({n});", identifier(name));
            server.database(name, &statements).await?;
        }
        let store = env.store().await?;
        let policy = env.policy("shop", |_| ()).await?;
        policy.backup("now").await?;

        let backup = store.only_backup(&policy).await?;
        store.check(&backup).await?;
        let stored: BTreeSet<&str> = backup.manifest.databases().collect();
        let all: BTreeSet<&str> = NAMES.into_iter().chain(["postgres"]).collect();
        assert_eq!(stored, all);
        for name in NAMES {
            assert_eq!(backup.rows(name, name)?, 1, "{name:?}");
            assert_eq!(backup.database(name)?.tables.len(), 1, "{name:?} is not mixed up with another one");
        }
        Ok(())
    })
}

#[test]
fn database_or_table_name_that_is_not_utf8_is_reported() -> Result<()> {
    story("not-utf8", async |env| {
        let server = env.postgres(17).await?;
        server
            .sql("postgres", "CREATE DATABASE bytes ENCODING SQL_ASCII TEMPLATE template0 LOCALE 'C'")
            .await?;
        // In Latin-1 these are "café" and "gruß".
        for statement in ["CREATE DATABASE \"caf\\351\"", "CREATE TABLE \"gru\\337\" (n int)"] {
            let psql = "psql --quiet --username=postgres --set=ON_ERROR_STOP=1 bytes";
            server.sh(&format!("set -o pipefail; printf '{statement};' | {psql}")).await?;
        }
        let store = env.store().await?;
        let policy =
            env.policy("shop", |spec| spec.postgres.databases.exclude = vec!["bytes".to_owned()]).await?;

        policy.backup("without").await?;
        let backup = store.only_backup(&policy).await?;
        assert_eq!(backup.manifest.databases().collect::<Vec<_>>(), ["postgres"]);
        let warnings = backup.manifest.warnings.join("\n");
        assert!(warnings.contains("caf\u{FFFD}") && warnings.contains("UTF-8"), "{warnings}");

        policy.edit(|spec| spec.postgres.databases.exclude.clear()).await?;
        let failure = policy.failure("with", Reason::EncodingNotSupported).await?;
        assert!(failure.message.contains("gru\\337") && failure.message.contains("bytes"), "{failure:?}");
        Ok(())
    })
}
