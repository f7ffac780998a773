//! A table that is rewritten between a dump's snapshot and its lock is empty in that snapshot. `pg_dump`
//! alone stores it empty, with exit status 0. The runner locks the tables before it takes the snapshot.

use std::fmt::Write;

use anyhow::Result;
use pgbackup_tests::{Postgres, story};

const ROWS: u32 = 100_000;
/// The number of rows: few enough to rewrite them quickly, so that the table is locked for about half of the
/// time.
const FEW_ROWS: u32 = 20_000;
/// The number of rewrites, which take about half a minute.
const REWRITES: u32 = 60;

#[test]
fn table_rewritten_at_dump_start_is_dumped_completely() -> Result<()> {
    story("table-rewritten", async |env| {
        let server = env.postgres(17).await?;
        server.database("shop", "").await?;
        server.table("shop", "goods", ROWS).await?;
        assert_eq!(rows_of_a_plain_pg_dump(&server).await?, 0, "the hazard is there");

        let policy = env.policy("shop", |_| ()).await?;
        let store = env.store().await?;
        let mut rewrite = server.session("shop").await?;
        rewrite.run("BEGIN; ALTER TABLE goods ALTER id TYPE int;").await?;
        let job = policy.request("now").await?;
        server.until_a_backup_waits_for_a_lock().await?;
        rewrite.run("COMMIT;").await?;

        policy.succeeded(&job).await?;
        assert_eq!(store.only_backup(&policy).await?.rows("shop", "goods")?, u64::from(ROWS));
        Ok(())
    })
}

/// Returns the number of rows that `pg_dump` alone stores of a table that is rewritten while `pg_dump` waits
/// for the lock.
async fn rows_of_a_plain_pg_dump(server: &Postgres) -> Result<u32> {
    let mut rewrite = server.session("shop").await?;
    rewrite.run("BEGIN; ALTER TABLE goods ALTER id TYPE bigint;").await?;
    let dump = "pg_dump --username=postgres --data-only --table=goods shop |
                awk '/^COPY/ { copy = 1; next } /^\\\\\\./ { copy = 0 } copy { n++ } END { print n + 0 }'";
    let waits = "SELECT count(*) > 0 FROM pg_stat_activity
                 WHERE application_name = 'pg_dump' AND wait_event_type = 'Lock'";
    let (rows, ()) = tokio::try_join!(server.sh(dump), async {
        server.until("pg_dump waits for the lock", waits).await?;
        rewrite.run("COMMIT;").await.map(drop)
    })?;
    Ok(rows.parse()?)
}

#[test]
fn constantly_rewritten_table_is_never_dumped_empty() -> Result<()> {
    story("rewritten-often", async |env| {
        let server = env.postgres(17).await?;
        server.database("shop", "").await?;
        server.table("shop", "goods", FEW_ROWS).await?;
        let all = vec!["shop".to_owned()];
        let policy = env
            .policy("shop", |spec| {
                spec.postgres.databases.include = all;
                spec.dump.lock_timeout = "1s".to_owned();
            })
            .await?;
        let store = env.store().await?;

        let mut rewrites = server.session("shop").await?;
        let mut statements = String::new();
        for n in 0..REWRITES {
            let kind = if n % 2 == 0 { "bigint" } else { "int" };
            writeln!(statements, "ALTER TABLE goods ALTER id TYPE {kind}; SELECT pg_sleep(random() * 0.6);")?;
        }
        rewrites.send(&statements).await?;
        // Runs in one pod, one after the other, each with its own identity. The last one starts after the
        // rewrites, because all earlier ones may have failed at the lock.
        let attempts = "n=0; last=; until [ $last ]; do
             [ ! -e /backup/last ] || last=yes
             n=$((n + 1)); PGBACKUP_JOB=attempt-$n PGBACKUP_JOB_UID=$n \"$@\"
           done; true";
        let job = policy
            .start("attempts", |run| {
                run.once().script(attempts).arg("--retry-wait=1");
            })
            .await?;
        rewrites.done().await?;
        store.sh("touch last").await?;
        job.death().await?;

        let backups = store.backups(&policy).await?;
        println!("{} attempts stored a backup", backups.len());
        assert!(!backups.is_empty(), "the last attempt had the table for itself");
        for backup in backups {
            assert_eq!(backup.rows("shop", "goods")?, u64::from(FEW_ROWS), "{}", backup.path);
        }
        Ok(())
    })
}
