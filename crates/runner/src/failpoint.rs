//! Stops a run at the start of a stage, for tests that kill it there. Only debug builds contain failpoints.

use domain::report::BackupStage;

/// Waits for ever if the environment has `PGBACKUP_FAILPOINT=<stage>`.
#[cfg(debug_assertions)]
pub async fn reach(stage: BackupStage) {
    if std::env::var("PGBACKUP_FAILPOINT").is_ok_and(|at| at == stage.as_str()) {
        tracing::warn!("failpoint: stopped at {}", stage.as_str());
        std::future::pending::<()>().await;
    }
}

/// Does nothing in release builds.
#[cfg(not(debug_assertions))]
pub fn reach(_: BackupStage) -> std::future::Ready<()> {
    std::future::ready(())
}
