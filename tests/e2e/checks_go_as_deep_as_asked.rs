//! `verification.level`: what is called verified was checked as deep as the policy asks, and what was only stored is not
//! called verified.

use anyhow::Result;
use api::policy::VerificationLevel;
use domain::{manifest::Level, reason::Reason};
use pgbackup_tests::{Policy, story};

/// A pg_dump that forgets its snapshot and puts rows into the table before: the archive is sound, and of another moment.
const FORGETFUL: &str = r#"mkdir /scratch/bin
cat > /scratch/bin/pg_dump << 'EOF'
#!/bin/bash
if [[ " $* " == *" --version "* ]]; then exec /usr/lib/postgresql/17/bin/pg_dump --version; fi
psql --quiet --command "INSERT INTO goods SELECT n FROM generate_series(1001, 1100) n" >&2
arguments=()
for argument; do [[ $argument == --snapshot=* ]] || arguments+=("$argument"); done
exec /usr/lib/postgresql/17/bin/pg_dump "${arguments[@]}"
EOF
chmod +x /scratch/bin/pg_dump
PATH=/scratch/bin:$PATH exec "$@""#;

async fn forgetful(policy: &Policy, name: &str) -> Result<()> {
    policy
        .start(name, |run| {
            run.once().script(FORGETFUL);
        })
        .await
        .map(drop)
}

#[test]
fn checks_go_as_deep_as_asked() -> Result<()> {
    story("levels", async |env| {
        let server = env.postgres(17).await?;
        server.database("shop", "CREATE TABLE goods (id int)").await?;
        server.sql("shop", "INSERT INTO goods SELECT n FROM generate_series(1, 1000) n").await?;
        let store = env.store().await?;
        let policy = env
            .policy("shop", |spec| {
                spec.postgres.databases.include = vec!["shop".to_owned()];
                spec.verification.level = VerificationLevel::Checksum;
            })
            .await?;

        let stored = policy.backup("stored").await?;
        assert_eq!(stored.verification.as_deref(), Some("Stored"));
        let message = policy.condition_is("BackupHealthy", "True", Reason::Stored).await?;
        assert!(message.contains("archives not read"), "{message}");
        let set = store.only_set(&policy).await?;
        assert_eq!(set.manifest.check.level, Level::Checksum);
        assert!(set.database("shop")?.tables.is_empty(), "nothing is said of what was not read");
        store.check(&set).await?;

        policy.edit(|spec| spec.verification.level = VerificationLevel::Counts).await?;
        let counted = policy.backup("counted").await?;
        assert_eq!(counted.verification.as_deref(), Some("Verified"));
        policy.condition_is("BackupHealthy", "True", Reason::Verified).await?;
        let sets = store.sets(&policy).await?;
        assert_eq!(sets[1].manifest.check.level, Level::Counts);
        assert_eq!(sets[1].rows("shop", "goods")?, 1000);

        forgetful(&policy, "forgetful").await?;
        let failure = policy.failed("forgetful", Reason::ContentMismatch).await?;
        assert!(failure.message.contains("rows of public.goods: 1100 of 1000"), "{failure:?}");
        assert_eq!(store.sets(&policy).await?.len(), 2, "it is not kept");
        Ok(())
    })
}
