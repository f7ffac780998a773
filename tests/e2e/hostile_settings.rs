//! Settings of a role or a database that would break a dump have no effect.

use anyhow::Result;
use pgbackup_tests::story;

const SETTINGS: [&str; 14] = [
    "statement_timeout = '1ms'",
    "lock_timeout = '1ms'",
    "idle_in_transaction_session_timeout = '1ms'",
    "transaction_timeout = '1ms'",
    "default_transaction_read_only = on",
    "default_transaction_isolation = 'serializable'",
    "default_transaction_deferrable = on",
    "row_security = on",
    "search_path = 'nowhere'",
    "client_encoding = 'LATIN1'",
    "standard_conforming_strings = off",
    "bytea_output = 'escape'",
    "datestyle = 'German, DMY'",
    "client_min_messages = 'debug1'",
];

#[test]
fn role_and_database_settings_do_not_affect_the_dump() -> Result<()> {
    story("role-settings", async |env| {
        let server = env.postgres(17).await?;
        server.database("shop", "").await?;
        server.table("shop", "goods", 1000).await?;
        server
            .sql(
                "shop",
                "CREATE TABLE secrets (owner text, what bytea);
                 INSERT INTO secrets SELECT 'somebody ' || n, decode(md5(n::text), 'hex') FROM generate_series(1, 10) n;
                 ALTER TABLE secrets ENABLE ROW LEVEL SECURITY;
                 CREATE POLICY own ON secrets USING (owner = current_user);",
            )
            .await?;
        // Neither text can be converted to LATIN1.
        server.sql("shop", "CREATE TABLE weather AS SELECT '☃' AS tomorrow").await?;
        server.sql("postgres", "CREATE ROLE \"☃\"").await?;
        server
            .sql(
                "postgres",
                &format!(
                    "CREATE ROLE backup LOGIN PASSWORD '{}' BYPASSRLS IN ROLE pg_read_all_data",
                    env.password
                ),
            )
            .await?;
        for setting in SETTINGS {
            server.sql("postgres", &format!("ALTER ROLE backup SET {setting}")).await?;
            server.sql("postgres", &format!("ALTER DATABASE shop SET {setting}")).await?;
        }
        let store = env.store().await?;
        let policy = env
            .policy("shop", |spec| {
                spec.postgres.connection.user = Some("backup".to_owned());
                spec.postgres.databases.include = vec!["shop".to_owned()];
            })
            .await?;

        policy.backup("now").await?;

        let backup = store.only_backup(&policy).await?;
        assert_eq!(backup.rows("shop", "goods")?, 1000);
        assert_eq!(backup.rows("shop", "secrets")?, 10, "row security hides nothing");
        assert_eq!(backup.rows("shop", "weather")?, 1);
        let globals = store.sh(&format!("cat '{}/globals.sql'", backup.path)).await?;
        assert!(globals.contains("CREATE ROLE \"☃\""), "{globals}");
        let settings = &backup.database("shop")?.definition.settings;
        assert!(settings.values().flatten().any(|line| line.contains("statement_timeout")), "{settings:?}");
        println!("warnings: {:?}", backup.manifest.warnings);
        Ok(())
    })
}
