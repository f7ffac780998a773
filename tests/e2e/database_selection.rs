//! Names and patterns choose the databases. A name that cannot be backed up, or patterns without a match, are
//! a failure.

use anyhow::Result;
use domain::reason::Reason;
use pgbackup_tests::story;

type Names = &'static [&'static str];

#[test]
fn databases_are_selected_by_patterns() -> Result<()> {
    story("database-patterns", async |env| {
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
            let backups = store.backups(&policy).await?;
            let backup = backups.iter().find(|backup| Some(&backup.manifest.id) == success.backup.as_ref());
            let stored: Option<Vec<&str>> = backup.map(|backup| backup.manifest.databases().collect());
            assert_eq!(stored.as_deref(), Some(expected), "{token}");
            let warnings = backup.map(|backup| backup.manifest.warnings.join("\n")).unwrap_or_default();
            let closed_is_missed = include.contains(&"*");
            assert_eq!(
                warnings.contains("\"closed\" is not in this backup"),
                closed_is_missed,
                "{token}: {warnings}"
            );
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
        assert_eq!(store.backup_folders(&policy).await?.len(), chosen.len());
        Ok(())
    })
}

#[test]
fn database_dropped_during_a_run_is_reported() -> Result<()> {
    story("database-dropped", async |env| {
        let server = env.postgres(17).await?;
        for name in ["a", "b"] {
            server.database(name, "").await?;
            server.table(name, "goods", 10).await?;
        }
        let store = env.store().await?;
        let policy = env.policy("main", |_| ()).await?;

        let mut lock = server.session("a").await?;
        lock.run("BEGIN; LOCK TABLE goods IN ACCESS EXCLUSIVE MODE;").await?;
        policy
            .start("dropped", |run| {
                run.once().arg("--retry-wait=1");
            })
            .await?;
        server.until_a_backup_waits_for_a_lock().await?;
        server.sql("postgres", "DROP DATABASE b").await?;
        lock.run("ROLLBACK;").await?;
        policy.succeeded("dropped").await?;

        let backup = store.only_backup(&policy).await?;
        assert_eq!(backup.manifest.databases().collect::<Vec<_>>(), ["a", "postgres"]);
        let warnings = backup.manifest.warnings.join("\n");
        assert!(warnings.contains("\"b\"") && warnings.contains("dropped"), "{warnings}");
        store.check(&backup).await?;

        policy.edit(|spec| spec.postgres.databases.include = vec!["a".to_owned(), "b".to_owned()]).await?;
        let failure = policy.failure("named", Reason::DatabaseUnavailable).await?;
        assert!(failure.message.contains("\"b\""), "{failure:?}");
        Ok(())
    })
}

fn owned(names: Names) -> Vec<String> {
    names.iter().map(|name| (*name).to_owned()).collect()
}
