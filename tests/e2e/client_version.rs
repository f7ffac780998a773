//! Client programs of another major version than the server's are rejected before anything is dumped.

use anyhow::Result;
use domain::reason::Reason;
use pgbackup_tests::{Postgres, story};

#[test]
fn pg_dump_of_another_major_version_is_rejected() -> Result<()> {
    story("client-version", async |env| {
        tokio::try_join!(Postgres::start(&env, "old", 15), Postgres::start(&env, "new", 17))?;
        let store = env.store().await?;
        for (host, version, reason) in [("old", 17, Reason::ClientTooNew), ("new", 15, Reason::ClientTooOld)]
        {
            let policy = env
                .policy(host, |spec| {
                    spec.postgres.connection.host = Some(host.to_owned());
                    spec.postgres.version = Some(version);
                })
                .await?;

            let failure = policy.failure("now", reason).await?;

            assert!(failure.message.contains("15") && failure.message.contains("17"), "{failure:?}");
            assert_eq!(failure.stage.as_deref(), Some("preflight"));
            assert_eq!(store.backup_folders(&policy).await?, [""; 0]);

            if reason == Reason::ClientTooNew {
                policy.edit(|spec| spec.dump.allow_newer_client = true).await?;
                let warnings = policy.backup("at our own risk").await?.warnings.join("\n");
                assert!(warnings.contains("cannot always restore"), "{warnings}");
                let backup = store.only_backup(&policy).await?;
                store.check(&backup).await?;
                continue;
            }
            let right = if version == 17 { 15 } else { 17 };
            policy.edit(|spec| spec.postgres.version = Some(right)).await?;
            policy.backup("with the right client").await?;
            store.check(&store.only_backup(&policy).await?).await?;
        }
        Ok(())
    })
}
