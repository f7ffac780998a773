//! A backup can be checked and restored without pgbackup, with `sha256sum`, `psql` and `pg_restore`, as
//! described in `docs/restore.md`.

use anyhow::Result;
use pgbackup_tests::{Postgres, manifests::fill, story};

/// The commands of `docs/restore.md`, on an empty server.
const BY_HAND: &str = "export PGHOST=empty PGUSER=postgres PGPASSWORD='${PASSWORD}'
    cd '${SET}'
    sha256sum -c SHA256SUMS
    psql -d postgres -f globals.sql
    psql -d postgres -c 'CREATE DATABASE shop OWNER shop_owner'
    pg_restore -d shop --exit-on-error -j 4 shop.dump";

/// A query that returns owners, privileges and settings, so that two servers can be compared.
const RIGHTS: &str = "SELECT (SELECT string_agg(format('%s %s', relname, relowner::regrole), ', ' ORDER BY relname)
              FROM pg_class WHERE relnamespace = 'public'::regnamespace),
        (SELECT relacl FROM pg_class WHERE relname = 'goods'),
        (SELECT rolconfig FROM pg_roles WHERE rolname = 'clerk'), pg_has_role('clerk', 'shop_owner', 'member'),
        (SELECT datdba::regrole FROM pg_database WHERE datname = 'shop')";

#[test]
fn backup_is_restored_without_pgbackup() -> Result<()> {
    story("restore", async |env| {
        let (server, empty) = tokio::try_join!(env.postgres(17), Postgres::start(&env, "empty", 17))?;
        server
            .sql(
                "postgres",
                "CREATE ROLE shop_owner; CREATE ROLE clerk LOGIN IN ROLE shop_owner; ALTER ROLE clerk SET work_mem = '5MB'",
            )
            .await?;
        server.database("shop", "ALTER DATABASE shop OWNER TO shop_owner").await?;
        server.table("shop", "goods", 5000).await?;
        server
            .sql(
                "shop",
                "CREATE TABLE orders (id int PRIMARY KEY, good int REFERENCES goods, at timestamptz DEFAULT now());
                 INSERT INTO orders SELECT n, n % 5000 + 1 FROM generate_series(1, 7000) n;
                 CREATE TABLE nothing_at_all ();
                 INSERT INTO nothing_at_all SELECT FROM generate_series(1, 3);
                 CREATE VIEW cheap AS SELECT * FROM goods WHERE price < 100;
                 CREATE MATERIALIZED VIEW totals AS SELECT count(*) FROM orders;
                 CREATE INDEX ON orders (good);
                 SELECT lo_from_bytea(4711, 'a large object');
                 ALTER TABLE goods OWNER TO shop_owner; GRANT SELECT ON goods TO clerk;",
            )
            .await?;
        let store = env.store().await?;
        let policy = env.policy("shop", |_| ()).await?;
        policy.backup("now").await?;
        let backup = store.only_backup(&policy).await?;
        store.check(&backup).await?;

        store.sh(&fill(BY_HAND, &[("PASSWORD", &env.password), ("SET", &backup.path)])).await?;

        for table in ["goods", "orders", "nothing_at_all", "cheap", "totals", "pg_largeobject"] {
            let (there, here) =
                (server.fingerprint("shop", table).await?, empty.fingerprint("shop", table).await?);
            assert_eq!(there, here, "{table}");
        }
        let rights = server.sql("shop", RIGHTS).await?;
        assert!(rights.contains("goods shop_owner") && rights.contains("work_mem=5MB"), "{rights}");
        assert_eq!(empty.sql("shop", RIGHTS).await?, rights);
        for (table, rows) in [("goods", 5000), ("orders", 7000), ("nothing_at_all", 3)] {
            assert_eq!(backup.rows("shop", table)?, rows, "{table}");
        }
        Ok(())
    })
}
