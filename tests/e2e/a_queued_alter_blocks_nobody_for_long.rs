//! An ALTER TABLE that comes between our lock and `pg_dump`'s waits for us, and `pg_dump` waits for it: a circle that
//! PostgreSQL cannot see, and every reader of the table queues behind it. We let go after the lock timeout.

use std::time::{Duration, Instant};

use anyhow::Result;
use pgbackup_tests::{Session, story};

/// The runner's lock timeout, and as much again for a busy machine. A reader that waits longer fails.
const READERS_LIMIT: Duration = Duration::from_secs(10);

#[test]
fn a_queued_alter_blocks_nobody_for_long() -> Result<()> {
    story("queued-alter", async |env| {
        let server = env.postgres(17).await?;
        server.database("shop", "").await?;
        server.table("shop", "goods", 1000).await?;
        let policy = env.policy("shop", |_| ()).await?;
        let store = env.store().await?;
        let (mut lock, mut alter, mut reader) =
            tokio::try_join!(server.session("shop"), server.session("shop"), server.session("shop"))?;

        // The queue at the table: we hold it, then the backup's holder waits, then the ALTER.
        lock.run("BEGIN; LOCK TABLE goods IN ACCESS EXCLUSIVE MODE;").await?;
        policy
            .start("queued", |run| {
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
        lock.run("ROLLBACK;").await?;

        let backup = policy.succeeded("queued");
        let (success, longest) = tokio::try_join!(backup, longest_wait(&mut reader, &mut alter))?;

        println!("the longest wait of a reader was {longest:?}");
        let set = store.only_set(&policy).await?;
        assert_eq!(success.set.as_deref(), Some(set.manifest.id.as_str()));
        let log = store.sh(&format!("cat '{}/run.log'", set.path)).await?;
        assert!(log.contains("more tries"), "the run was in the circle and let go:\n{log}");
        assert!(log.contains("ALTER TABLE goods"), "it says who was in its way:\n{log}");
        let columns = &set.database("shop")?.tables[0].columns;
        assert!(columns.contains("colour"), "the ALTER went through before the second try: {columns}");
        Ok(())
    })
}

/// Reads the table until the ALTER is done. A read that waits too long ends the session, and so the test.
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
