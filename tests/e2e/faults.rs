//! Tests faults during a run, each with a real cause. Each run ends with its reason, and no incomplete
//! backup looks complete.

use anyhow::Result;
use api::policy::{Compression, CompressionMethod};
use api::status::{ConditionStatus, ConditionType};
use domain::reason::Reason;
use kube::ResourceExt;
use pgbackup_tests::{Env, Policy, Postgres, Store, story};

/// The number of rows whose dump takes long enough to be disturbed.
const MANY: u32 = 3_000_000;

/// Selects pg_dump's own session while it reads rows.
const COPYING: &str =
    "FROM pg_stat_activity WHERE application_name LIKE 'pgbackup/%' AND query LIKE 'COPY %'";

async fn shop(env: &Env, rows: u32) -> Result<(Postgres, Store, Policy)> {
    let server = env.postgres(17).await?;
    server.database("shop", "").await?;
    server.table("shop", "goods", rows).await?;
    let store = env.store().await?;
    let policy = env.policy("shop", |spec| spec.postgres.databases.include = vec!["shop".to_owned()]).await?;
    Ok((server, store, policy))
}

#[test]
fn terminated_postgres_backend_fails_with_dump_failed() -> Result<()> {
    story("backend-terminated", async |env| {
        let (server, store, policy) = shop(&env, MANY).await?;
        policy
            .start("terminated", |run| {
                run.once();
            })
            .await?;
        server.until("pg_dump reads rows", &format!("SELECT count(*) > 0 {COPYING}")).await?;
        server.sql("postgres", &format!("SELECT pg_terminate_backend(pid) {COPYING}")).await?;

        let failure = policy.failed("terminated", Reason::DumpFailed).await?;

        assert!(
            failure.message.contains("terminating connection due to administrator command"),
            "{failure:?}"
        );
        assert_eq!(failure.stage.as_deref(), Some("dump"));
        assert!(store.backup_folders(&policy).await?.is_empty());
        Ok(())
    })
}

/// Ends the session that holds the tables each time that it waits for pg_dump, five times.
const END_HOLDERS: &str = "DO $$
  DECLARE ended int[] := '{}';
  BEGIN
    WHILE cardinality(ended) < 5 LOOP
      PERFORM pg_stat_clear_snapshot(), pg_sleep(0.001);
      SELECT ended || coalesce(array_agg(pid) FILTER (WHERE pg_terminate_backend(pid)), '{}') INTO ended
        FROM pg_stat_activity
        WHERE datname = 'shop' AND state = 'idle in transaction' AND query LIKE '%row_security_active%'
          AND pid <> ALL (ended);
    END LOOP;
  END $$;";

#[test]
fn repeatedly_terminated_lock_session_fails_with_hold_lost() -> Result<()> {
    story("hold-lost", async |env| {
        let (server, store, policy) = shop(&env, 1000).await?;
        policy
            .start("lost", |run| {
                run.once().arg("--retry-wait=1");
            })
            .await?;
        server.sql("postgres", END_HOLDERS).await?;

        let failure = policy.failed("lost", Reason::HoldLost).await?;

        assert!(failure.message.contains("the session that "), "{failure:?}");
        let ended = ["ended too early", "ended before pg_dump imported it"];
        assert!(ended.iter().any(|ended| failure.message.contains(ended)), "{failure:?}");
        assert!(store.backup_folders(&policy).await?.is_empty());
        Ok(())
    })
}

#[test]
fn pg_dump_killed_by_sigkill_fails_with_out_of_memory() -> Result<()> {
    story("pg-dump-killed", async |env| {
        let (server, store, policy) = shop(&env, MANY).await?;
        let job = policy
            .start("killed", |run| {
                run.once();
            })
            .await?;
        server.until("pg_dump reads rows", &format!("SELECT count(*) > 0 {COPYING}")).await?;
        let uid = job.running().await?.uid().unwrap_or_default();
        let script = format!(
            "for cgroup in $(grep --files-with-matches {uid} /proc/[0-9]*/cgroup 2> /dev/null); do
               process=${{cgroup%/cgroup}}
               [ \"$(cat $process/comm)\" != pg_dump ] || kill -KILL ${{process#/proc/}}
             done; true"
        );
        env.on_node(&["sh", "-c", &script]).await?;

        let failure = policy.failed("killed", Reason::OutOfMemory).await?;

        assert!(failure.message.contains("pg_dump was killed by signal 9"), "{failure:?}");
        assert!(store.backup_folders(&policy).await?.is_empty());
        Ok(())
    })
}

#[test]
fn pod_killed_for_memory_fails_with_out_of_memory() -> Result<()> {
    story("out-of-memory", async |env| {
        let (_, store, policy) = shop(&env, 1000).await?;
        policy
            .start("greedy", |run| {
                // The limit allows the runner, but not the programs that it starts.
                run.once().memory_limit("8Mi");
            })
            .await?;
        policy.failed("greedy", Reason::OutOfMemory).await?;
        policy
            .condition_is(ConditionType::BackupHealthy, ConditionStatus::False, Reason::OutOfMemory)
            .await?;
        assert!(store.backups(&policy).await?.is_empty());
        Ok(())
    })
}

#[test]
fn run_past_its_deadline_fails_with_deadline_exceeded() -> Result<()> {
    story("deadline", async |env| {
        let (server, store, policy) = shop(&env, 1000).await?;
        let mut lock = server.session("shop").await?;
        lock.run("BEGIN; LOCK TABLE goods IN ACCESS EXCLUSIVE MODE;").await?;
        policy
            .start("late", |run| {
                run.once().deadline(8).arg("--retry-wait=1");
            })
            .await?;
        let failure = policy.failed("late", Reason::DeadlineExceeded).await?;
        assert!(failure.message.contains("during hold"), "{failure:?}");
        assert!(store.backup_folders(&policy).await?.is_empty());
        lock.run("ROLLBACK;").await.map(drop)
    })
}

#[test]
fn backup_folder_deleted_during_a_run_fails_the_run() -> Result<()> {
    story("backup-deleted", async |env| {
        let (server, store, policy) = shop(&env, 1000).await?;
        server.database("zoo", "").await?;
        server.table("zoo", "goods", 1000).await?;
        policy.edit(|spec| spec.postgres.databases.include.push("zoo".to_owned())).await?;
        let mut lock = server.session("zoo").await?;
        lock.run("BEGIN; LOCK TABLE goods IN ACCESS EXCLUSIVE MODE;").await?;
        policy
            .start("robbed", |run| {
                run.once().arg("--retry-wait=1");
            })
            .await?;
        let stored = store.await_file(&policy, "shop.dump").await?;
        store.sh(&format!("rm -r \"$(dirname '{stored}')\"")).await?;
        lock.run("ROLLBACK;").await?;

        let failure = policy.failed("robbed", Reason::StoreFailed).await?;

        assert!(failure.message.contains("zoo.dump"), "{failure:?}");
        assert!(store.backup_folders(&policy).await?.is_empty());
        Ok(())
    })
}

/// A pg_dump whose output lacks its end, with exit status 0.
const LOSSY: &str = r#"mkdir /scratch/bin
cat > /scratch/bin/pg_dump << 'EOF'
#!/bin/bash
if [[ " $* " == *" --version "* ]]; then exec /usr/lib/postgresql/17/bin/pg_dump --version; fi
/usr/lib/postgresql/17/bin/pg_dump "$@" | head --bytes=-2000
EOF
chmod +x /scratch/bin/pg_dump
PATH=/scratch/bin:$PATH exec "$@""#;

#[test]
fn archive_that_pg_restore_cannot_read_is_removed() -> Result<()> {
    story("archive-unreadable", async |env| {
        let (_, store, policy) = shop(&env, 1000).await?;
        policy
            .start("lossy", |run| {
                run.once().script(LOSSY);
            })
            .await?;
        let failure = policy.failed("lossy", Reason::ArchiveUnreadable).await?;
        assert!(failure.message.contains("shop.dump"), "{failure:?}");
        assert!(store.backup_folders(&policy).await?.is_empty());
        Ok(())
    })
}

/// A script whose first pg_restore hangs without reading its input. Every later pg_restore is the real one.
const STUCK: &str = r#"mkdir /scratch/bin
cat > /scratch/bin/pg_restore << 'EOF'
#!/bin/bash
if mkdir /scratch/stuck 2> /dev/null; then exec sleep infinity; fi
exec /usr/lib/postgresql/17/bin/pg_restore "$@"
EOF
chmod +x /scratch/bin/pg_restore
PATH=/scratch/bin:$PATH exec "$@""#;

/// A pg_dump that fails like one that was built without zstd, with the same message.
const WITHOUT_ZSTD: &str = r#"mkdir /scratch/bin
cat > /scratch/bin/pg_dump << 'EOF'
#!/bin/bash
if [[ " $* " == *" --compress=zstd"* ]]; then
  echo "pg_dump: error: this build does not support compression with zstd" >&2
  exit 1
fi
exec /usr/lib/postgresql/17/bin/pg_dump "$@"
EOF
chmod +x /scratch/bin/pg_dump
PATH=/scratch/bin:$PATH exec "$@""#;

#[test]
fn pg_dump_without_zstd_compresses_with_gzip() -> Result<()> {
    story("no-zstd", async |env| {
        let (_, store, policy) = shop(&env, 1000).await?;
        policy
            .start("now", |run| {
                run.once().script(WITHOUT_ZSTD);
            })
            .await?;

        policy.succeeded("now").await?;

        let backup = store.only_backup(&policy).await?;
        assert_eq!(backup.database("shop")?.compression, "gzip:1");
        assert_eq!(backup.rows("shop", "goods")?, 1000);

        let asked = Compression { method: CompressionMethod::Zstd, level: Some(3) };
        policy.edit(|spec| spec.dump.compression = Some(asked)).await?;
        policy.wait_until_observed().await?;
        policy
            .start("asked", |run| {
                run.once().script(WITHOUT_ZSTD);
            })
            .await?;
        let failure = policy.failed("asked", Reason::DumpFailed).await?;
        assert!(failure.message.contains("does not support compression with zstd"), "{}", failure.message);
        Ok(())
    })
}

#[test]
fn stalled_archive_parser_does_not_block_the_dump() -> Result<()> {
    story("parser-stalled", async |env| {
        let (_, store, policy) = shop(&env, 1000).await?;
        policy
            .start("stuck", |run| {
                run.once().script(STUCK);
            })
            .await?;

        policy.succeeded("stuck").await?;

        let backup = store.only_backup(&policy).await?;
        assert_eq!(backup.rows("shop", "goods")?, 1000, "the stored backup was read instead");
        Ok(())
    })
}

#[test]
fn two_overlapping_runs_both_store_verified_backups() -> Result<()> {
    story("overlapping-runs", async |env| {
        let (server, store, policy) = shop(&env, 1000).await?;
        policy
            .edit(|spec| {
                spec.retention.keep_last = Some(10);
                spec.retention.minimum_verified = 1;
            })
            .await?;
        let mut lock = server.session("shop").await?;
        lock.run("BEGIN; LOCK TABLE goods IN ACCESS EXCLUSIVE MODE;").await?;
        for name in ["one", "two"] {
            policy
                .start(name, |run| {
                    run.arg("--retry-wait=1");
                })
                .await?;
        }
        let waiting = "SELECT count(DISTINCT application_name) = 2 FROM pg_stat_activity
                       WHERE application_name LIKE 'pgbackup/%' AND wait_event_type = 'Lock'";
        server.until("both wait for the table", waiting).await?;
        lock.run("ROLLBACK;").await?;
        for name in ["one", "two"] {
            policy.ended(name).await?;
        }
        let backups = store.backups(&policy).await?;
        assert_eq!(backups.len(), 2);
        for backup in &backups {
            store.check(backup).await?;
            assert_eq!(backup.rows("shop", "goods")?, 1000);
        }
        assert_eq!(store.backup_folders(&policy).await?.len(), 2, "neither left anything");
        Ok(())
    })
}
