//! Rows that the backup's role cannot read are a failure that names the table, never a smaller backup.

use anyhow::Result;
use domain::reason::Reason;
use pgbackup_tests::story;

#[test]
fn objects_that_the_role_cannot_read_are_listed_by_name() -> Result<()> {
    story("missing-privileges", async |env| {
        let server = env.postgres(17).await?;
        server
            .sql(
                "postgres",
                &format!("CREATE ROLE backup LOGIN PASSWORD '{}' IN ROLE pg_read_all_data", env.password),
            )
            .await?;
        // Row security of a partitioned table applies only to queries of that table; a dump reads its
        // partitions.
        server
            .database(
                "shop",
                "CREATE TABLE sales (year int) PARTITION BY LIST (year);
                 CREATE TABLE sales_2026 PARTITION OF sales FOR VALUES IN (2026);
                 INSERT INTO sales SELECT 2026 FROM generate_series(1, 10);
                 ALTER TABLE sales ENABLE ROW LEVEL SECURITY;",
            )
            .await?;
        let store = env.store().await?;
        let policy = env
            .policy("shop", |spec| {
                spec.postgres.connection.user = Some("backup".to_owned());
                spec.postgres.databases.include = vec!["shop".to_owned()];
            })
            .await?;
        policy.backup("partitioned").await?;
        assert_eq!(store.only_backup(&policy).await?.rows("shop", "sales_2026")?, 10);

        server
            .sql(
                "shop",
                "CREATE SEQUENCE invoice; SELECT lo_from_bytea(4711, 'a large object');
                 REVOKE pg_read_all_data FROM backup;
                 GRANT USAGE ON SCHEMA public TO backup; GRANT SELECT ON ALL TABLES IN SCHEMA public TO backup;",
            )
            .await?;
        let failure = policy.failure("others", Reason::MissingPrivilege).await?;
        assert!(failure.message.contains("public.invoice"), "{failure:?}");
        assert!(failure.message.contains("1 large object"), "{failure:?}");
        server
            .sql(
                "shop",
                "GRANT SELECT ON SEQUENCE invoice TO backup; GRANT SELECT ON LARGE OBJECT 4711 TO backup",
            )
            .await?;
        policy.backup("granted").await?;

        for (token, statement, named) in [
            ("row-security", "ALTER TABLE sales_2026 ENABLE ROW LEVEL SECURITY", "BYPASSRLS"),
            (
                "no-privilege",
                "ALTER TABLE sales_2026 DISABLE ROW LEVEL SECURITY; REVOKE ALL ON sales_2026 FROM backup",
                "SELECT",
            ),
        ] {
            server.sql("shop", statement).await?;
            let failure = policy.failure(token, Reason::MissingPrivilege).await?;
            assert!(failure.message.contains("sales_2026") && failure.message.contains(named), "{failure:?}");
            assert_eq!(failure.stage.as_deref(), Some("hold"), "nothing was dumped");
        }
        assert_eq!(store.backup_folders(&policy).await?.len(), 2);
        Ok(())
    })
}
