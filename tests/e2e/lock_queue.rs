//! An ALTER TABLE that arrives between the runner's lock and pg_dump's lock waits for the runner, and pg_dump
//! waits for the ALTER: a cycle that PostgreSQL cannot detect. All readers of the table wait behind it. The
//! runner releases its lock after the lock timeout.

use std::time::{Duration, Instant};

use anyhow::Result;
use pgbackup_tests::{Policy, Postgres, Session, story};

/// The runner's lock timeout, doubled for a busy machine. A read that waits longer fails the test.
const READERS_LIMIT: Duration = Duration::from_secs(10);

#[test]
fn alter_table_waiting_for_a_dump_blocks_queries_briefly() -> Result<()> {
    story("queued-alter", async |env| {
        let server = env.postgres(17).await?;
        server.database("shop", "").await?;
        server.table("shop", "goods", 1000).await?;
        let policy = env.policy("shop", |_| ()).await?;
        let store = env.store().await?;
        let (mut lock, mut alter, mut reader) =
            tokio::try_join!(server.session("shop"), server.session("shop"), server.session("shop"))?;

        queue(&server, &policy, "queued", &mut lock, &mut alter).await?;

        let backup = policy.succeeded("queued");
        let (success, longest) = tokio::try_join!(backup, longest_wait(&mut reader, &mut alter))?;

        println!("the longest wait of a reader was {longest:?}");
        let backup = store.only_backup(&policy).await?;
        assert_eq!(success.backup.as_deref(), Some(backup.manifest.id.as_str()));
        let log = store.sh(&format!("cat '{}/run.log'", backup.path)).await?;
        assert!(log.contains("round 1 of 5 failed"), "the run was in the circle and let go:\n{log}");
        assert!(log.contains("ALTER TABLE goods"), "it says who was in its way:\n{log}");
        let columns = &backup.database("shop")?.tables[0].columns;
        assert!(columns.contains("colour"), "the ALTER went through before the second round: {columns}");
        Ok(())
    })
}

#[test]
fn dump_is_repeated_when_the_session_with_its_locks_ends() -> Result<()> {
    story("hold-retried", async |env| {
        let server = env.postgres(17).await?;
        server.database("shop", "").await?;
        server.table("shop", "goods", 1000).await?;
        let policy =
            env.policy("shop", |spec| spec.postgres.databases.include = vec!["shop".to_owned()]).await?;
        let store = env.store().await?;
        let (mut lock, mut alter) = tokio::try_join!(server.session("shop"), server.session("shop"))?;
        queue(&server, &policy, "lost", &mut lock, &mut alter).await?;

        // The ALTER waits only for the session that holds the table. Ending that session lets the ALTER
        // through, so pg_dump would dump another table than the one that was listed.
        server
            .until(
                "the session that holds the table is ended",
                "SELECT count(pg_terminate_backend(holder.pid)) > 0
                 FROM pg_stat_activity waiting, pg_stat_activity holder
                 WHERE waiting.query LIKE 'ALTER TABLE goods%' AND holder.pid = ANY (pg_blocking_pids(waiting.pid))
                   AND holder.application_name LIKE 'pgbackup/%' AND holder.state = 'idle in transaction'",
            )
            .await?;
        alter.done().await?;
        policy.succeeded("lost").await?;

        let backup = store.only_backup(&policy).await?;
        let log = store.sh(&format!("cat '{}/run.log'", backup.path)).await?;
        assert!(
            log.contains("the session that locks the tables and exports the snapshot ended too early"),
            "{log}"
        );
        let columns = &backup.database("shop")?.tables[0].columns;
        assert!(columns.contains("colour"), "the backup is of the second try: {columns}");
        store.check(&backup).await
    })
}

/// Creates the queue at the table: the test holds the table, the backup's session waits, then the ALTER
/// waits; then the test releases the table.
async fn queue(
    server: &Postgres,
    policy: &Policy,
    job: &str,
    lock: &mut Session,
    alter: &mut Session,
) -> Result<()> {
    lock.run("BEGIN; LOCK TABLE goods IN ACCESS EXCLUSIVE MODE;").await?;
    policy
        .start(job, |run| {
            run.once().arg("--retry-wait=1");
        })
        .await?;
    server.until_a_backup_waits_for_a_lock().await?;
    alter.send("ALTER TABLE goods ADD COLUMN colour text;").await?;
    server
        .until(
            "the ALTER waits behind the backup",
            "SELECT count(*) > 0 FROM pg_stat_activity
             WHERE query LIKE 'ALTER TABLE goods%' AND wait_event_type = 'Lock'",
        )
        .await?;
    lock.run("ROLLBACK;").await.map(drop)
}

/// Reads the table until the ALTER has ended, and returns the longest wait. A read that takes too long ends
/// the session and fails the test.
async fn longest_wait(reader: &mut Session, alter: &mut Session) -> Result<Duration> {
    let limit = READERS_LIMIT.as_millis();
    reader.run(&format!("SET statement_timeout = {limit};")).await?;
    let mut longest = Duration::ZERO;
    let done = alter.done();
    tokio::pin!(done);
    loop {
        let started = Instant::now();
        reader.run("SELECT count(*) FROM goods;").await?;
        longest = longest.max(started.elapsed());
        if let Some(done) = futures::FutureExt::now_or_never(&mut done) {
            return done.map(|_| longest);
        }
    }
}
