//! Names of databases are anybody's who may create one. They reach no command line, no connection string and no path.

use std::collections::BTreeSet;

use anyhow::Result;
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
fn hostile_names_are_backed_up() -> Result<()> {
    story("names", async |env| {
        let server = env.postgres(17).await?;
        for (n, name) in NAMES.iter().enumerate() {
            let statements =
                format!("CREATE TABLE {} (n int); INSERT INTO {0} VALUES ({n});", identifier(name));
            server.database(name, &statements).await?;
        }
        let store = env.store().await?;
        let policy = env.policy("shop", |_| ()).await?;
        policy.backup("now").await?;

        let set = store.only_set(&policy).await?;
        store.check(&set).await?;
        let stored: BTreeSet<&str> = set.manifest.databases().collect();
        let all: BTreeSet<&str> = NAMES.into_iter().chain(["postgres"]).collect();
        assert_eq!(stored, all);
        for name in NAMES {
            assert_eq!(set.rows(name, name)?, 1, "{name:?}");
            assert_eq!(set.database(name)?.tables.len(), 1, "{name:?} is not mixed up with another one");
        }
        Ok(())
    })
}
