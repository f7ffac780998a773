//! Volumes of different kinds: a directory of the node, as in k3s, on which fsGroup has no effect, and a
//! local disk, on which fsGroup has an effect. Also PostgreSQL images of other publishers, whose name service
//! is configured differently.

use anyhow::Result;
use domain::reason::Reason;
use pgbackup_tests::{
    Store,
    cluster::postgres_image,
    env::on_volume,
    manifests::{HOST_PATH_VOLUME, LOCAL_VOLUME},
    story,
};

#[test]
fn host_path_and_local_volumes_store_backups() -> Result<()> {
    story("volume-kinds", async |env| {
        env.postgres(17).await?;
        let kinds = [("host-path", HOST_PATH_VOLUME, "0777"), ("local", LOCAL_VOLUME, "0755")];
        for (claim, kind, mode) in kinds {
            env.node_volume(claim, kind, mode).await?;
            let policy =
                env.policy(claim, |spec| spec.storage = on_volume(claim, Some("databases/main"))).await?;

            policy.backup("now").await?;
            policy.backup("again").await?;

            let store = Store::open(&env, claim).await?;
            store.sh("ls databases/main").await?;
            let store = store.below("databases/main");
            let backups = store.backups(&policy).await?;
            assert_eq!(backups.len(), 2, "{claim}");
            for backup in &backups {
                store.check(backup).await?;
            }
        }
        Ok(())
    })
}

#[test]
fn unwritable_volume_fails_with_store_not_writable() -> Result<()> {
    story("store-not-writable", async |env| {
        env.postgres(17).await?;
        // fsGroup has no effect on a directory of the node: root remains its owner.
        env.node_volume("not-ours", HOST_PATH_VOLUME, "0755").await?;
        let policy = env.policy("shop", |spec| spec.storage = on_volume("not-ours", None)).await?;
        let failure = policy.failure("now", Reason::StoreNotWritable).await?;
        assert!(failure.message.contains("Permission denied"), "{failure:?}");
        assert_eq!(failure.stage.as_deref(), Some("preflight"));
        Ok(())
    })
}

#[test]
fn runner_works_in_image_with_custom_nsswitch_conf() -> Result<()> {
    story("nsswitch", async |env| {
        env.postgres(17).await?;
        let policy = env
            .policy("shop", |spec| {
                spec.postgres.version = None;
                spec.postgres.image = Some(postgres_image("17-foreign-nss"));
            })
            .await?;
        policy.backup("now").await?;
        let store = env.store().await?;
        store.check(&store.only_backup(&policy).await?).await
    })
}
