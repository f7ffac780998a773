//! Through a pooler in transaction mode, pg_dump leaves its settings in sessions that the application uses
//! next. Poolers are rejected before anything is dumped, whether they reject the runner's settings or
//! silently drop them.

use anyhow::Result;
use domain::reason::Reason;
use pgbackup_tests::story;

#[test]
fn connection_pooler_is_rejected() -> Result<()> {
    story("poolers", async |env| {
        env.postgres(17).await?;
        let store = env.store().await?;
        let policy = env.policy("shop", |_| ()).await?;
        let poolers = [("strict", ""), ("lenient", "ignore_startup_parameters = options")];
        for (pooler, settings) in poolers {
            env.pgbouncer(pooler, settings).await?;
            policy.edit(|spec| spec.postgres.connection.host = Some(pooler.to_owned())).await?;

            let failure = policy.failure(pooler, Reason::PoolerNotSupported).await?;

            assert!(failure.message.contains("the address of the server itself"), "{failure:?}");
            assert_eq!(failure.stage.as_deref(), Some("preflight"));
        }
        assert_eq!(store.backup_folders(&policy).await?, Vec::<String>::new());

        policy.edit(|spec| spec.postgres.connection.host = Some("postgres".to_owned())).await?;
        policy.backup("the-server-itself").await.map(drop)
    })
}
