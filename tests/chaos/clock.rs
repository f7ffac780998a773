//! The clock of the node, as the operator sees it. The image that `make chaos` builds has libfaketime in it, which reads what
//! the time is from a file of the node.

use api::status::ConditionType;
use std::time::Duration;

use anyhow::{Context as _, Result};
use pgbackup_tests::{Env, Operator, Policy, cluster::NODE_VOLUMES, wait};

use crate::chance::Chance;

/// Where the image expects the file `now`.
const IN_THE_POD: &str = "/clock";

/// How far the clock goes wrong, in hours: a wrong zone, one day and a half, a year, after which New Year is past on every
/// day; and back, but not to before the node's certificates.
const OFF: [i64; 4] = [3, 36, 24 * 366, -1];

/// The operator compares its clocks each half minute.
const NOTICED: Duration = Duration::from_mins(2);

/// The clock, which can be set.
pub struct Clock {
    env: Env,
    off: i64,
}

impl Clock {
    /// Gives the operator's pods the clock, which is right.
    pub async fn install(env: &Env, operator: &Operator) -> Result<Self> {
        let mut clock = Self { env: env.clone(), off: 0 };
        env.on_node(&["mkdir", "--parents", &folder()]).await?;
        clock.set(0).await?;
        operator.mount(&folder(), IN_THE_POD).await?;
        Ok(clock)
    }

    /// Sets it so many hours ahead of what is right.
    pub async fn set(&mut self, hours: i64) -> Result<()> {
        let write = format!("printf '%+dh' {hours} > {0}/new && mv {0}/new {0}/now", folder());
        self.env.on_node(&["sh", "-c", &write]).await?;
        self.off = hours;
        Ok(())
    }

    /// It goes wrong, or is set right.
    pub async fn jump(&mut self, chance: &mut Chance) -> Result<()> {
        let hours = if self.off == 0 { *chance.one_of(&OFF) } else { 0 };
        self.set(hours).await
    }

    /// The operator follows it, there and back: a policy that waits for New Year misses its backup by a clock that is past it,
    /// and is as before when the clock is right again.
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
