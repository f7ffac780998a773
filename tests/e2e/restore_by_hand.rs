//! A copy can be checked and restored without us: `sha256sum` and `pg_restore` are enough.

use anyhow::Result;
use pgbackup_tests::story;

#[test]
fn a_set_can_be_restored_by_hand() -> Result<()> {
    story("restore", async |env| {
        let server = env.postgres(17).await?;
        server.database("shop", "").await?;
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
                 SELECT lo_from_bytea(4711, 'a large object');",
            )
            .await?;
        let store = env.store().await?;
        let policy = env.policy("shop", |_| ()).await?;
        policy.backup("now").await?;
        let set = store.only_set(&policy).await?;
        store.check(&set).await?;

        server.sql("postgres", "CREATE DATABASE again").await?;
        let restore = format!(
            "export PGHOST=postgres PGUSER=postgres PGPASSWORD='{}'
             pg_restore --exit-on-error --dbname=again '{}/shop.dump'",
            env.password, set.path
        );
        store.sh(&restore).await?;

        for table in ["goods", "orders", "nothing_at_all", "cheap", "totals", "pg_largeobject"] {
            let (there, here) =
                (server.fingerprint("shop", table).await?, server.fingerprint("again", table).await?);
            assert_eq!(there, here, "{table}");
        }
        for (table, rows) in [("goods", 5000), ("orders", 7000), ("nothing_at_all", 3)] {
            assert_eq!(set.rows("shop", table)?, rows, "{table}");
        }
        Ok(())
    })
}
