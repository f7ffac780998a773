//! Sessions that a killed run left on the server are reported. Other sessions with similar application names
//! have no effect.

use anyhow::Result;
use pgbackup_tests::story;

#[test]
fn database_sessions_left_by_killed_runs_are_reported() -> Result<()> {
    story("leftover-sessions", async |env| {
        let server = env.postgres(17).await?;
        let role = format!("CREATE ROLE backup LOGIN PASSWORD '{}' IN ROLE pg_read_all_data", env.password);
        server.sql("postgres", &role).await?;
        // Of this session the backup's role can see only the name.
        let mut stranger = server.session("postgres").await?;
        stranger.run("SET application_name = 'pgbackup/shop/stranger';").await?;
        let mut dead = server.session("postgres").await?;
        dead.run("\\connect postgres backup\nSET application_name = 'pgbackup/shop/dead';").await?;
        let mut other = server.session("postgres").await?;
        other.run("\\connect postgres backup\nSET application_name = 'pgbackup/else/alive';").await?;
        let policy =
            env.policy("shop", |spec| spec.postgres.connection.user = Some("backup".to_owned())).await?;

        let warnings = policy.backup("now").await?.warnings.join("\n");

        assert!(warnings.contains("pgbackup/shop/dead"), "{warnings}");
        assert!(warnings.contains("pg_terminate_backend("), "{warnings}");
        assert!(!warnings.contains("stranger") && !warnings.contains("alive"), "{warnings}");
        Ok(())
    })
}
