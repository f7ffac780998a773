//! Waits for conditions.

use std::time::{Duration, Instant};

use anyhow::{Result, bail};

/// The pause between two checks of a condition. It is short compared with the measured times of seconds.
const PAUSE: Duration = Duration::from_millis(20);

/// Waits until `holds` returns true. Fails after `longest`. `what` describes the condition in the error.
pub async fn until(
    what: &str,
    longest: Duration,
    mut holds: impl AsyncFnMut() -> Result<bool>,
) -> Result<()> {
    let end = Instant::now() + longest;
    while !holds().await? {
        if Instant::now() > end {
            bail!("timed out after {longest:?} waiting until {what}");
        }
        tokio::time::sleep(PAUSE).await;
    }
    Ok(())
}
