//! `verification.level`: a verified backup was checked at the policy's level, and a backup that was only
//! stored is not reported as verified.

use anyhow::Result;
use api::policy::VerificationLevel;
use api::status::{ConditionStatus, ConditionType, Verification};
use domain::{manifest::Level, reason::Reason};
use pgbackup_tests::{Policy, Postgres, story};

/// A pg_dump that ignores its snapshot and inserts rows before it dumps: the archive is valid, but of another
/// moment.
const FORGETFUL: &str = r#"mkdir /scratch/bin
cat > /scratch/bin/pg_dump << 'EOF'
#!/bin/bash
if [[ " $* " == *" --version "* ]]; then exec /usr/lib/postgresql/17/bin/pg_dump --version; fi
psql --quiet --command "INSERT INTO goods SELECT n FROM generate_series(1001, 1100) n" \
  --command "INSERT INTO settings VALUES (6, true), (7, false)" >&2
arguments=()
for argument; do [[ $argument == --snapshot=* ]] || arguments+=("$argument"); done
exec /usr/lib/postgresql/17/bin/pg_dump "${arguments[@]}"
EOF
chmod +x /scratch/bin/pg_dump
PATH=/scratch/bin:$PATH exec "$@""#;

/// A table of an extension that marks it as configuration, and some of its rows as the user's.
const SETTINGS: &str = "CREATE EXTENSION pgcrypto;
    CREATE TABLE settings (id int, own bool);
    ALTER EXTENSION pgcrypto ADD TABLE settings;
    UPDATE pg_extension SET extconfig = ARRAY['settings'::regclass::oid], extcondition = ARRAY['WHERE own']
      WHERE extname = 'pgcrypto';
    INSERT INTO settings SELECT n, n <= 3 FROM generate_series(1, 5) n;";

async fn forgetful(policy: &Policy, name: &str) -> Result<()> {
    policy
        .start(name, |run| {
            run.once().script(FORGETFUL);
        })
        .await
        .map(drop)
}

#[test]
fn each_verification_level_makes_its_checks() -> Result<()> {
    story("verification-levels", async |env| {
        let server = env.postgres(17).await?;
        server.database("shop", "CREATE TABLE goods (id int)").await?;
        server.sql("shop", "INSERT INTO goods SELECT n FROM generate_series(1, 1000) n").await?;
        server.sql("shop", SETTINGS).await?;
        let store = env.store().await?;
        let policy = env
            .policy("shop", |spec| {
                spec.postgres.databases.include = vec!["shop".to_owned()];
                spec.verification.level = VerificationLevel::Checksum;
            })
            .await?;

        let stored = policy.backup("stored").await?;
        assert_eq!(stored.verification, Some(Verification::Stored));
        let message =
            policy.condition_is(ConditionType::BackupHealthy, ConditionStatus::True, Reason::Stored).await?;
        assert!(message.contains("newest stored backup, not verified"), "{message}");
        let backup = store.only_backup(&policy).await?;
        assert_eq!(backup.manifest.check.level, Level::Checksum);
        assert!(backup.database("shop")?.tables.is_empty(), "nothing is said of what was not read");
        store.check(&backup).await?;

        policy.edit(|spec| spec.verification.level = VerificationLevel::Counts).await?;
        let counted = policy.backup("counted").await?;
        assert_eq!(counted.verification, Some(Verification::Verified));
        policy.condition_is(ConditionType::BackupHealthy, ConditionStatus::True, Reason::Verified).await?;
        let backups = store.backups(&policy).await?;
        assert_eq!(backups[1].manifest.check.level, Level::Counts);
        assert_eq!(backups[1].rows("shop", "goods")?, 1000);
        assert_eq!(backups[1].rows("shop", "settings")?, 3, "the user's of the extension's rows");
        assert_eq!(backups[1].manifest.warnings, Vec::<String>::new(), "nothing of them is left out");

        forgetful(&policy, "forgetful").await?;
        let failure = policy.failed("forgetful", Reason::ContentMismatch).await?;
        assert!(
            failure.message.contains("rows of public.goods (archive: 1100, database: 1000)"),
            "{failure:?}"
        );
        assert!(failure.message.contains("rows of public.settings (archive: 4, database: 3)"), "{failure:?}");
        assert_eq!(store.backups(&policy).await?.len(), 2, "it is not kept");
        Ok(())
    })
}

/// Returns a pg_dump that leaves something out, with exit status 0.
fn lacking(arguments: &str) -> String {
    format!(
        r#"mkdir /scratch/bin
cat > /scratch/bin/pg_dump << 'EOF'
#!/bin/bash
exec /usr/lib/postgresql/17/bin/pg_dump "$@" {arguments}
EOF
chmod +x /scratch/bin/pg_dump
PATH=/scratch/bin:$PATH exec "$@""#
    )
}

/// One object of each kind that is compared.
const ONE_OF_EACH: &str = "CREATE TABLE goods (id int PRIMARY KEY, price int);
    CREATE TABLE orders (id int, good int, CONSTRAINT ordered FOREIGN KEY (good) REFERENCES goods);
    CREATE INDEX by_good ON orders (good);
    CREATE POLICY mine ON orders USING (true);
    CREATE FUNCTION log() RETURNS trigger LANGUAGE plpgsql AS 'BEGIN RETURN new; END';
    CREATE TRIGGER logged BEFORE INSERT ON orders FOR EACH ROW EXECUTE FUNCTION log();
    INSERT INTO goods VALUES (1, 2);
    SELECT lo_from_bytea(0, 'one'), lo_from_bytea(0, 'two');
    CREATE SCHEMA other;
    CREATE TYPE other.colour AS ENUM ('red');
    CREATE SEQUENCE other.counter;
    CREATE FUNCTION other.f() RETURNS int LANGUAGE sql AS 'SELECT 1';
    CREATE VIEW other.cheap AS SELECT 1 AS one;
    CREATE MATERIALIZED VIEW other.total AS SELECT 2 AS two;";

#[test]
fn missing_objects_in_an_archive_are_reported() -> Result<()> {
    story("missing-objects", async |env| {
        let server = env.postgres(17).await?;
        server.database("shop", ONE_OF_EACH).await?;
        let store = env.store().await?;
        let policy =
            env.policy("shop", |spec| spec.postgres.databases.include = vec!["shop".to_owned()]).await?;
        let cases: [(&str, &str, &[&str]); 5] = [
            (
                "rows",
                "--exclude-table-data=public.goods",
                &["TABLE DATA public.goods", "rows of public.goods"],
            ),
            (
                "table",
                "--exclude-table=public.orders",
                &[
                    "TABLE public.orders",
                    "TABLE DATA public.orders",
                    "INDEX public.by_good",
                    "FK CONSTRAINT ordered",
                    "and 2 more",
                ],
            ),
            ("large-objects", "--no-large-objects", &["large objects (archive: 0, database: 2)"]),
            (
                "after-the-rows",
                "--section=pre-data --section=data",
                &[
                    "INDEX public.by_good",
                    "CONSTRAINT goods_pkey on public.goods",
                    "FK CONSTRAINT ordered on public.orders",
                    "TRIGGER logged on public.orders",
                    "POLICY mine on public.orders",
                ],
            ),
            (
                "schema",
                "--exclude-schema=other",
                &[
                    "VIEW other.cheap",
                    "MATERIALIZED VIEW other.total",
                    "SEQUENCE other.counter",
                    "FUNCTION other.f",
                    "TYPE other.colour",
                ],
            ),
        ];
        for (job, arguments, named) in cases {
            policy
                .start(job, |run| {
                    run.once().script(&lacking(arguments));
                })
                .await?;
            let failure = policy.failed(job, Reason::ContentMismatch).await?;
            for what in named {
                assert!(failure.message.contains(what), "{job}: {what} is not in {failure:?}");
            }
        }
        assert!(store.backup_folders(&policy).await?.is_empty(), "none of them is kept");
        policy.backup("whole").await.map(drop)
    })
}

/// A pg_dump that has all its locks, but the first time writes its first output only when an ALTER waits for
/// a table.
const HESITANT: &str = r#"mkdir /scratch/bin
cat > /scratch/bin/pg_dump << 'EOF'
#!/bin/bash
real=/usr/lib/postgresql/17/bin/pg_dump
if [[ " $* " == *" --version "* ]] || ! mkdir /scratch/hesitated 2> /dev/null; then exec $real "$@"; fi
set -o pipefail
waits="SELECT count(*) FROM pg_stat_activity WHERE query LIKE 'ALTER TABLE goods%' AND wait_event_type = 'Lock'"
$real "$@" | { head --bytes=5 > /scratch/first; until [ "$(psql --no-psqlrc --tuples-only --no-align --command "$waits")" = 1 ]; do :; done; cat /scratch/first -; }
EOF
chmod +x /scratch/bin/pg_dump
PATH=/scratch/bin:$PATH exec "$@""#;

#[test]
fn row_count_never_waits_for_a_lock() -> Result<()> {
    story("row-count-lock", async |env| {
        let server = env.postgres(17).await?;
        server.database("shop", "CREATE TABLE goods (id int)").await?;
        server.sql("shop", "INSERT INTO goods SELECT n FROM generate_series(1, 1000) n").await?;
        let store = env.store().await?;
        let policy = env
            .policy("shop", |spec| {
                spec.postgres.databases.include = vec!["shop".to_owned()];
                spec.verification.level = VerificationLevel::Counts;
            })
            .await?;
        policy
            .start("counting", |run| {
                run.once().arg("--retry-wait=1").script(HESITANT);
            })
            .await?;
        until_pg_dump_has_its_locks(&server).await?;

        // The ALTER waits for the session that holds the table. A count that waited behind the ALTER would
        // wait forever.
        let mut alter = server.session("shop").await?;
        alter.run("ALTER TABLE goods ADD COLUMN colour text;").await?;
        policy.succeeded("counting").await?;

        let backup = store.only_backup(&policy).await?;
        let log = store.sh(&format!("cat '{}/run.log'", backup.path)).await?;
        assert!(log.contains("cannot lock public.goods within 0 s"), "{log}");
        assert_eq!(backup.rows("shop", "goods")?, 1000);
        let columns = &backup.database("shop")?.tables[0].columns;
        assert!(columns.contains("colour"), "the backup is of the second round: {columns}");
        Ok(())
    })
}

/// Waits until pg_dump has its locks. Two sessions then hold the table; pg_dump may have ended already, with
/// its output buffered.
async fn until_pg_dump_has_its_locks(server: &Postgres) -> Result<()> {
    let holds = "SELECT count(*) > 0 FROM pg_stat_activity
                 WHERE application_name LIKE 'pgbackup/%' AND datname = 'shop' AND query LIKE '%pg_stat_activity%'";
    server.until("pg_dump hesitates", holds).await
}
