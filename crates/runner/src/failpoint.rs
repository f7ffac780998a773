//! Stops a run at a stage, for tests that kill it there. Only the feature `failpoints` compiles this in.

use domain::report::BackupStage;

/// Waits forever if `PGBACKUP_FAILPOINT` names this stage.
#[cfg(feature = "failpoints")]
pub async fn reach(stage: BackupStage) {
    if std::env::var("PGBACKUP_FAILPOINT").is_ok_and(|at| at == stage.as_str()) {
        tracing::warn!("failpoint: stopped at {}", stage.as_str());
        std::future::pending::<()>().await;
    }
}

/// Returns at once: released images have no failpoints.
#[cfg(not(feature = "failpoints"))]
pub fn reach(_: BackupStage) -> std::future::Ready<()> {
    std::future::ready(())
}
