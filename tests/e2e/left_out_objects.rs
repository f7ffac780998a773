//! Objects that pg_dump leaves out with exit status 0 are a warning in the manifest and in the status, or a
//! failure if the policy requires it.

use anyhow::Result;
use domain::reason::Reason;
use pgbackup_tests::story;

#[test]
fn objects_left_out_by_pg_dump_are_reported() -> Result<()> {
    story("left-out-objects", async |env| {
        let server = env.postgres(17).await?;
        server
            .database(
                "shop",
                "CREATE EXTENSION pgcrypto;
                 CREATE TABLE owned (id int); INSERT INTO owned VALUES (1);
                 CREATE TABLE empty (id int);
                 ALTER EXTENSION pgcrypto ADD TABLE owned;
                 ALTER EXTENSION pgcrypto ADD TABLE empty;
                 CREATE FOREIGN DATA WRAPPER wrapper;
                 CREATE SERVER elsewhere FOREIGN DATA WRAPPER wrapper;
                 CREATE USER MAPPING FOR postgres SERVER elsewhere OPTIONS (password 'secret');",
            )
            .await?;
        server.database("elsewhere", "").await?;
        for (database, name) in [("shop", "\"Feed\""), ("elsewhere", "theirs")] {
            let subscription = format!(
                "CREATE SUBSCRIPTION {name} CONNECTION 'host=nowhere password=secret' PUBLICATION p WITH (connect = false)"
            );
            server.sql(database, &subscription).await?;
        }
        server
            .sql(
                "postgres",
                &format!("CREATE ROLE backup LOGIN PASSWORD '{}' IN ROLE pg_read_all_data", env.password),
            )
            .await?;
        let store = env.store().await?;
        let policy = env
            .policy("shop", |spec| {
                spec.postgres.connection.user = Some("backup".to_owned());
                spec.postgres.databases.include = vec!["shop".to_owned()];
            })
            .await?;
        let success = policy.backup("now").await?;

        let backup = store.only_backup(&policy).await?;
        let warnings = backup.manifest.warnings.join("\n");
        assert!(warnings.contains("public.owned") && warnings.contains("pgcrypto"), "{warnings}");
        assert!(!warnings.contains("public.empty"), "nothing of it is lost: {warnings}");
        assert!(warnings.contains("postgres on elsewhere"), "{warnings}");
        assert!(
            warnings.contains("the backup does not contain subscriptions") && warnings.contains("\"Feed\""),
            "{warnings}"
        );
        assert!(!warnings.contains("theirs"), "it is another database's: {warnings}");
        // pg_dump's own warning, with exit status 0.
        assert!(warnings.contains("pg_dump: warning: subscriptions not dumped"), "{warnings}");
        assert!(!warnings.contains("secret"), "{warnings}");
        assert_eq!(success.warnings, backup.manifest.warnings);

        policy.edit(|spec| spec.dump.strict_extensions = true).await?;
        let failure = policy.failure("strict", Reason::ExtensionDataLeftOut).await?;
        assert!(failure.message.contains("public.owned"), "{failure:?}");
        assert_eq!(store.backup_folders(&policy).await?.len(), 1);
        Ok(())
    })
}
