//! Waiting for a condition.

use std::time::{Duration, Instant};

use anyhow::{Result, bail};

/// How often a condition is looked at: often enough for what takes seconds.
const LOOK: Duration = Duration::from_millis(20);

/// Waits until it holds; a condition that never does ends the benchmark.
pub async fn until(
    what: &str,
    longest: Duration,
    mut holds: impl AsyncFnMut() -> Result<bool>,
) -> Result<()> {
    let end = Instant::now() + longest;
    while !holds().await? {
        if Instant::now() > end {
            bail!("waited {longest:?} in vain until {what}");
        }
        tokio::time::sleep(LOOK).await;
    }
    Ok(())
}
