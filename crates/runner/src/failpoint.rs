//! Failpoints: stop a run at the start of a stage, for tests that kill it there. Only debug builds have them.

use domain::report::BackupStage;

/// Waits forever if the environment variable `PGBACKUP_FAILPOINT` names this stage.
#[cfg(debug_assertions)]
pub async fn reach(stage: BackupStage) {
    if std::env::var("PGBACKUP_FAILPOINT").is_ok_and(|at| at == stage.as_str()) {
        tracing::warn!("failpoint: stopped at {}", stage.as_str());
        std::future::pending::<()>().await;
    }
}

/// Does nothing, because this is a release build.
#[cfg(not(debug_assertions))]
pub fn reach(_: BackupStage) -> std::future::Ready<()> {
    std::future::ready(())
}
