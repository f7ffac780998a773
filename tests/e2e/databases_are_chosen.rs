//! Names and patterns choose the databases; a name that cannot be had, or no match at all, is a failure.

use anyhow::Result;
use domain::reason::Reason;
use pgbackup_tests::story;

type Names = &'static [&'static str];

#[test]
fn databases_are_chosen() -> Result<()> {
    story("databases", async |env| {
        let server = env.postgres(17).await?;
        for name in ["shop", "shop_test", "crm", "closed"] {
            server.database(name, "").await?;
        }
        server.sql("postgres", "ALTER DATABASE closed ALLOW_CONNECTIONS false").await?;
        let store = env.store().await?;
        let policy = env.policy("main", |_| ()).await?;

        let chosen: [(&str, Names, Names, Names); 4] = [
            ("all", &["*"], &[], &["crm", "postgres", "shop", "shop_test"]),
            ("less some", &["*"], &["*_test", "postgres"], &["crm", "shop"]),
            ("some", &["shop*"], &[], &["shop", "shop_test"]),
            ("by name and pattern", &["crm", "sho?"], &[], &["crm", "shop"]),
        ];
        for (token, include, exclude, expected) in chosen {
            policy
                .edit(|spec| {
                    spec.postgres.databases.include = owned(include);
                    spec.postgres.databases.exclude = owned(exclude);
                })
                .await?;
            let success = policy.backup(token).await?;
            let sets = store.sets(&policy).await?;
            let set = sets.iter().find(|set| Some(&set.manifest.id) == success.set.as_ref());
            let stored: Option<Vec<&str>> = set.map(|set| set.manifest.databases().collect());
            assert_eq!(stored.as_deref(), Some(expected), "{token}");
        }

        let refused: [(&str, Names, Reason, &str); 3] = [
            ("missing", &["crm", "missing"], Reason::DatabaseUnavailable, "missing"),
            ("closed", &["crm", "closed"], Reason::DatabaseUnavailable, "closed"),
            ("no match", &["web*"], Reason::NoDatabases, "web*"),
        ];
        for (token, include, reason, named) in refused {
            policy
                .edit(|spec| {
                    spec.postgres.databases.include = owned(include);
                    spec.postgres.databases.exclude = Vec::new();
                })
                .await?;
            let failure = policy.failure(token, reason).await?;
            assert!(failure.message.contains(named), "{failure:?}");
        }
        assert_eq!(store.set_folders(&policy).await?.len(), chosen.len());
        Ok(())
    })
}

fn owned(names: Names) -> Vec<String> {
    names.iter().map(|name| (*name).to_owned()).collect()
}
