//! The dump options of a policy take effect, and the manifest records them.

use anyhow::Result;
use api::policy::{Compression, CompressionMethod};
use domain::reason::Reason;
use pgbackup_tests::{Postgres, story};

#[test]
fn excluded_table_data_is_listed_in_the_manifest() -> Result<()> {
    story("excluded-tables", async |env| {
        let server = env.postgres(17).await?;
        server.database("shop", "CREATE SCHEMA audit; CREATE SCHEMA \"Odd.Schema\"").await?;
        for table in ["goods", "sessions", "audit.log", "audit.trail", "\"Odd.Schema\".\"$(touch x)\""] {
            server.table("shop", table, 10).await?;
        }
        let store = env.store().await?;
        let policy = env
            .policy("shop", |spec| {
                spec.postgres.databases.include = vec!["shop".to_owned()];
                spec.dump.exclude_table_data =
                    ["audit.*", "public.sess?ons", "Odd.Schema.$(touch x)", "gone.*"]
                        .map(str::to_owned)
                        .into();
            })
            .await?;
        policy.backup("now").await?;

        let backup = store.only_backup(&policy).await?;
        let shop = backup.database("shop")?;
        assert_eq!(
            shop.excluded_table_data,
            ["public.sessions", "audit.log", "audit.trail", "\"Odd.Schema\".\"$(touch x)\""]
        );
        let tables: Vec<&str> = shop.tables.iter().map(|table| table.name.as_str()).collect();
        assert_eq!(tables, ["goods"]);
        assert_eq!(shop.objects.get("TABLE"), Some(&5), "their definitions are there");
        assert_eq!(shop.objects.get("TABLE DATA"), Some(&1), "their rows are not");
        store.check(&backup).await
    })
}

#[test]
fn archive_compression_follows_the_policy() -> Result<()> {
    story("compression", async |env| {
        let (old, new) =
            tokio::try_join!(Postgres::start(&env, "old", 15), Postgres::start(&env, "new", 17))?;
        for server in [&old, &new] {
            server.database("shop", "").await?;
            server.table("shop", "goods", 1000).await?;
        }
        let store = env.store().await?;
        let compression = |method, level| Some(Compression { method, level });
        for (host, version, methods) in [
            (
                "old",
                15,
                [
                    (None, "gzip:1", "gzip"),
                    (compression(CompressionMethod::Gzip, Some(6)), "gzip:6", "gzip"),
                    (compression(CompressionMethod::None, None), "none", "none"),
                ],
            ),
            (
                "new",
                17,
                [
                    (None, "zstd:1", "zstd"),
                    (compression(CompressionMethod::Lz4, Some(3)), "lz4:3", "lz4"),
                    (compression(CompressionMethod::Gzip, None), "gzip:1", "gzip"),
                ],
            ),
        ] {
            let policy = env
                .policy(host, |spec| {
                    spec.postgres.connection.host = Some(host.to_owned());
                    spec.postgres.version = Some(version);
                    spec.postgres.databases.include = vec!["shop".to_owned()];
                })
                .await?;
            for (compression, method, listed) in methods {
                policy.edit(|spec| spec.dump.compression = compression.clone()).await?;
                let id = policy.backup(method).await?.backup.unwrap_or_default();
                let backups = store.backups(&policy).await?;
                let backup = backups
                    .iter()
                    .find(|backup| backup.manifest.id == id)
                    .expect("the backup should be there");
                assert_eq!(backup.database("shop")?.compression, method);
                let header =
                    store.sh(&format!("pg_restore --list '{}/shop.dump' | head -12", backup.path)).await?;
                assert!(header.contains(&format!("Compression: {listed}")), "{method}: {header}");
            }
            if host == "old" {
                policy
                    .edit(|spec| spec.dump.compression = compression(CompressionMethod::Zstd, Some(1)))
                    .await?;
                let failure = policy.failure("too new", Reason::InvalidConfiguration).await?;
                assert!(
                    failure.message.contains("15")
                        && failure.message.contains("Set dump.compression.method to Gzip"),
                    "{failure:?}"
                );
            }
        }
        Ok(())
    })
}
