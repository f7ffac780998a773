//! The clock of the operator. The image that `make chaos` builds contains libfaketime, which reads the time's
//! offset from a file on the node.

use api::status::ConditionType;
use std::time::Duration;

use anyhow::{Context as _, Result};
use pgbackup_tests::{Env, Operator, Policy, cluster::NODE_VOLUMES, wait};

use crate::chance::Chance;

/// The folder in the pod in which the image expects the file `now`.
const IN_THE_POD: &str = "/clock";

/// The offsets of a wrong clock, in hours: a wrong time zone, one and a half days, more than a year (so that
/// New Year has always passed), and back, but not to a time before the node's certificates.
const OFF: [i64; 4] = [3, 36, 24 * 366, -1];

/// The time limit for the operator to notice a change. It compares its clocks every half minute.
const NOTICED: Duration = Duration::from_mins(2);

/// The operator's clock, which tests can set.
pub struct Clock {
    env: Env,
    off: i64,
}

impl Clock {
    /// Mounts the file with the offset into the operator's pods. The clock is right at first.
    pub async fn install(env: &Env, operator: &Operator) -> Result<Self> {
        let mut clock = Self { env: env.clone(), off: 0 };
        env.on_node(&["mkdir", "--parents", &folder()]).await?;
        clock.set(0).await?;
        operator.mount(&folder(), IN_THE_POD).await?;
        Ok(clock)
    }

    /// Sets the clock ahead of the real time by this number of hours.
    pub async fn set(&mut self, hours: i64) -> Result<()> {
        let write = format!("printf '%+dh' {hours} > {0}/new && mv {0}/new {0}/now", folder());
        self.env.on_node(&["sh", "-c", &write]).await?;
        self.off = hours;
        Ok(())
    }

    /// Changes a right clock to a wrong one, and a wrong clock to the right one.
    pub async fn jump(&mut self, chance: &mut Chance) -> Result<()> {
        let hours = if self.off == 0 { *chance.one_of(&OFF) } else { 0 };
        self.set(hours).await
    }

    /// Checks that the operator follows the clock, forward and back: a policy whose backup is due at New Year
    /// becomes overdue when the clock is past New Year, and recovers when the clock is right again.
    pub async fn is_followed(&mut self, policy: &Policy) -> Result<()> {
        let before = health(policy).await?;
        self.set(OFF[2]).await?;
        says(policy, "Overdue").await?;
        self.set(0).await?;
        says(policy, &before).await
    }
}

fn folder() -> String {
    format!("{NODE_VOLUMES}/clock")
}

async fn health(policy: &Policy) -> Result<String> {
    let status = policy.status().await?;
    status
        .condition(ConditionType::BackupHealthy)
        .map(|health| health.reason.clone())
        .context("BackupHealthy should be there")
}

async fn says(policy: &Policy, reason: &str) -> Result<()> {
    wait::until(&format!("{} is {reason}", policy.name), NOTICED, async || {
        Ok((health(policy).await? == reason).then_some(()))
    })
    .await
}
