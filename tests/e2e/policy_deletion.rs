//! Deleting a policy deletes its CronJob and keeps all backups. A new policy of the same name does not own
//! these backups until `storage.adoptFrom` takes them over.

use anyhow::Result;
use api::status::{ConditionStatus, ConditionType};
use domain::reason::Reason;
use k8s_openapi::api::batch::v1::{CronJob, Job};
use pgbackup_tests::{
    story,
    wait::{self, DEADLINE},
};

#[test]
fn deleted_policy_keeps_its_backups() -> Result<()> {
    story("policy-deleted", async |env| {
        env.postgres(17).await?;
        let store = env.store().await?;
        let policy = env.policy("shop", |_| ()).await?;
        let job = policy.backup("one").await?.job;
        let backup = store.only_backup(&policy).await?;

        policy.delete().await?;
        let cron_job = policy.cron_job_name();
        let gone = "it is gone";
        wait::object(&env.api::<CronJob>(), &cron_job, gone, DEADLINE, |seen| seen.is_none().then_some(()))
            .await?;
        wait::object(&env.api::<Job>(), &job, gone, DEADLINE, |seen| seen.is_none().then_some(())).await?;
        store.check(&backup).await?;

        let stranger = env
            .policy("shop", |spec| {
                spec.retention.keep_last = Some(1);
                spec.retention.minimum_verified = 1;
            })
            .await?;
        assert_ne!(stranger.uid, policy.uid);
        stranger.backup("two").await?;
        stranger.backup("three").await?;
        let message = stranger
            .condition_is(
                ConditionType::RetentionHealthy,
                ConditionStatus::False,
                Reason::RepositoryOwnedByOther,
            )
            .await?;
        let line = format!("storage.adoptFrom: {}", policy.uid);
        assert!(message.contains(&line), "{message}");
        assert_eq!(store.backups(&stranger).await?.len(), 3, "what belongs to another policy is not removed");
        store.check(&backup).await?;

        stranger.edit(|spec| spec.storage.adopt_from = Some(policy.uid.clone())).await?;
        let newest = stranger.backup("four").await?.backup;
        stranger.condition_is(ConditionType::RetentionHealthy, ConditionStatus::True, Reason::Pruned).await?;
        assert_eq!(
            Some(store.only_backup(&stranger).await?.manifest.id),
            newest,
            "the old ones are its own now"
        );
        stranger.edit(|spec| spec.storage.adopt_from = None).await?;
        stranger.backup("five").await?;
        stranger.condition_is(ConditionType::RetentionHealthy, ConditionStatus::True, Reason::Pruned).await?;
        Ok(())
    })
}
