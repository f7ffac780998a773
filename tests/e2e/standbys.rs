//! A standby that follows its primary can be backed up; one that does not is rejected.

use anyhow::Result;
use domain::reason::Reason;
use pgbackup_tests::{Postgres, story, wait};

#[test]
fn standby_is_backed_up_within_max_replica_lag() -> Result<()> {
    story("standby", async |env| {
        let server = env.postgres(17).await?;
        server.database("shop", "CREATE UNLOGGED TABLE cache (id int); INSERT INTO cache VALUES (1)").await?;
        // The standby runs beside its primary, in the same pod.
        server
            .sh("pg_basebackup --username=postgres --pgdata=/data/standby --write-recovery-conf --checkpoint=fast
                 pg_ctl --pgdata=/data/standby --log=/data/standby.log --wait start \
                    --options='-c port=5433 -c unix_socket_directories=/data -c listen_addresses=*'")
            .await?;
        server.table("shop", "goods", 100).await?;
        let address = server.sh("hostname --ip-address").await?.trim().to_owned();
        let store = env.store().await?;
        let policy = env
            .policy("shop", |spec| {
                spec.postgres.connection.host = Some(address);
                spec.postgres.connection.port = 5433;
                spec.postgres.databases.include = vec!["shop".to_owned()];
                spec.dump.max_replica_lag = "2s".to_owned();
            })
            .await?;
        nothing_new(&server).await?;
        policy.backup("following").await?;
        let backup = store.only_backup(&policy).await?;
        assert!(backup.manifest.server.in_recovery);
        assert_eq!(backup.rows("shop", "goods")?, 100);
        let warnings = backup.manifest.warnings.join("\n");
        assert!(warnings.contains("unlogged") && warnings.contains("public.cache"), "{warnings}");

        on_standby(&server, "SELECT pg_wal_replay_pause()").await?;
        server.sql("shop", "INSERT INTO goods SELECT n, n FROM generate_series(101, 200) n").await?;
        server.until("the standby is behind", "SELECT replay_lag > '3 s' FROM pg_stat_replication").await?;
        let failure = policy.failure("paused", Reason::ReplicaStale).await?;
        assert!(failure.message.contains("paused"), "{failure:?}");
        assert_eq!(store.backup_folders(&policy).await?.len(), 1, "older rows are no newer backup");

        on_standby(&server, "SELECT pg_wal_replay_resume()").await?;
        server
            .until("the standby follows", "SELECT replay_lsn = pg_current_wal_lsn() FROM pg_stat_replication")
            .await?;
        let id = policy.backup("again").await?.backup.unwrap_or_default();
        let backups = store.backups(&policy).await?;
        let newest =
            backups.iter().find(|backup| backup.manifest.id == id).expect("the backup should be there");
        assert_eq!(newest.rows("shop", "goods")?, 200);

        // A role without permission to see the primary's position: for an old transaction it is unknown
        // whether it is the newest.
        let role = format!("CREATE ROLE backup LOGIN PASSWORD '{}' IN ROLE pg_read_all_data", env.password);
        server.sql("postgres", &role).await?;
        policy.edit(|spec| spec.postgres.connection.user = Some("backup".to_owned())).await?;
        nothing_new(&server).await?;
        let failure = policy.failure("blind", Reason::ReplicaStale).await?;
        assert!(failure.message.contains("pg_read_all_stats"), "{failure:?}");
        server.sql("postgres", "GRANT pg_read_all_stats TO backup").await?;
        nothing_new(&server).await?;
        policy.backup("seeing").await?;
        Ok(())
    })
}

/// Waits until the standby has replayed everything, and has had nothing to replay for longer than the policy
/// allows.
async fn nothing_new(server: &Postgres) -> Result<()> {
    let followed = "SELECT replay_lsn = pg_current_wal_lsn() FROM pg_stat_replication";
    server.until("the standby follows", followed).await?;
    let old = "SELECT clock_timestamp() - pg_last_xact_replay_timestamp() > interval $$3 s$$";
    wait::until("the standby has had nothing to replay", wait::DEADLINE, async || {
        Ok((on_standby(server, old).await? == "t").then_some(()))
    })
    .await
}

async fn on_standby(server: &Postgres, query: &str) -> Result<String> {
    server
        .sh(&format!("psql --no-psqlrc --no-align --tuples-only --quiet --host=/data --port=5433 --username=postgres --command='{query}'"))
        .await
        .map(|answer| answer.trim().to_owned())
}
