//! Stops a run at a stage, for the tests that kill it there. Compiled in by the feature `failpoints` only.

use domain::report::BackupStage;

/// Waits for ever when the environment says `PGBACKUP_FAILPOINT=<stage>`.
#[cfg(feature = "failpoints")]
pub async fn reach(stage: BackupStage) {
    if std::env::var("PGBACKUP_FAILPOINT").is_ok_and(|at| at == stage.as_str()) {
        tracing::warn!("failpoint: stopped at {}", stage.as_str());
        std::future::pending::<()>().await;
    }
}

/// Nothing, in what ships.
#[cfg(not(feature = "failpoints"))]
pub fn reach(_: BackupStage) -> std::future::Ready<()> {
    std::future::ready(())
}
