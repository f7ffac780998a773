//! A lock that is never released ends the run, and the message names the session that holds it. A server
//! whose lock table is too small has another reason than a blocked lock.

use anyhow::Result;
use domain::reason::Reason;
use pgbackup_tests::story;

/// More tables than fit into the lock table of the server below, including its reserve.
const TABLES: u32 = 8000;

#[test]
fn lock_timeout_reports_the_blocking_session() -> Result<()> {
    story("lock-timeout", async |env| {
        let server = env.postgres_with(17, &["max_prepared_transactions=2"]).await?;
        server.database("shop", "").await?;
        server.table("shop", "goods", 10).await?;
        let policy = env.policy("shop", |spec| spec.dump.lock_timeout = "1s".to_owned()).await?;

        let mut lock = server.session("shop").await?;
        lock.run(
            "SET application_name = 'nightly report'; BEGIN; LOCK TABLE goods IN ACCESS EXCLUSIVE MODE;
             SELECT 'card 4111' AS paid, 42 AS cents;",
        )
        .await?;
        for (job, holder) in [("by-a-session", "nightly report"), ("by-a-prepared-one", "forgotten")] {
            policy
                .start(job, |run| {
                    run.once().arg("--retry-wait=1");
                })
                .await?;
            let failure = policy.failed(job, Reason::LockTimeout).await?;
            assert!(failure.message.contains("goods") && failure.message.contains(holder), "{failure:?}");
            assert!(
                !failure.message.contains("4111"),
                "what the application reads is not ours to tell: {failure:?}"
            );
            lock.run("PREPARE TRANSACTION 'forgotten';").await?;
        }
        Ok(())
    })
}

#[test]
fn constant_schema_changes_fail_with_schema_changing() -> Result<()> {
    story("schema-changing", async |env| {
        let server = env.postgres(17).await?;
        let policy = env.policy("shop", |_| ()).await?;
        // At any time there are a few tables, but never the same ones a moment later. A client whose DROP
        // waits for the backup's lock creates no tables meanwhile, so there are four clients. Settings
        // without synchronous commits avoid delays by the disk.
        let churn = "printf '%s\\n' '\\set n :n + 4' '\\set new :n + :client_id' '\\set old :new - 8' 'CREATE TABLE t:new ();' 'DROP TABLE IF EXISTS t:old;' > /tmp/churn
                     export PGOPTIONS='-c synchronous_commit=off -c client_min_messages=error'
                     pgbench --no-vacuum --client=4 --rate=1000 --define=n=100 --time=120 --file=/tmp/churn --username=postgres postgres > /tmp/log 2>&1 &
                     echo $! > /tmp/pid";
        server.sh(churn).await?;
        server.until("tables come", "SELECT count(*) > 1 FROM pg_class WHERE relname ~ '^t[0-9]+$'").await?;
        policy
            .start("churn", |run| {
                run.once();
            })
            .await?;
        let failure = policy.failed("churn", Reason::SchemaChanging).await?;
        assert!(failure.message.contains("created or dropped"), "{failure:?}");

        server.sh("kill $(cat /tmp/pid)").await?;
        policy.backup("quiet").await.map(drop)
    })
}

#[test]
fn too_small_lock_table_is_reported() -> Result<()> {
    story("lock-table", async |env| {
        let settings = [
            "max_locks_per_transaction=10",
            "max_connections=12",
            "max_wal_senders=0",
            "max_worker_processes=1",
        ];
        let server = env.postgres_with(17, &settings).await?;
        server
            .database(
                "shop",
                &format!(
                    "SELECT format('CREATE TABLE t%s ()', n) FROM generate_series(1, {TABLES}) n \\gexec"
                ),
            )
            .await?;
        let policy = env.policy("shop", |_| ()).await?;
        let failure = policy.failure("now", Reason::LockTableTooSmall).await?;
        assert!(
            failure.message.contains("max_locks_per_transaction 10 for each of 12 connections"),
            "{failure:?}"
        );
        Ok(())
    })
}
