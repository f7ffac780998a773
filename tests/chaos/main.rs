//! The chaos test. For some minutes, random faults happen: the operator, its API server and etcd are killed,
//! requests are rejected, the operator's clock is wrong, objects are changed and deleted, and policies are
//! created and deleted. Afterwards the state must be as if nothing had happened.
//!
//! `make chaos` runs it on a node of its own. `CHAOS_SEED` repeats the random choices of a failed run, but
//! not its timing. `CHAOS_SECONDS` sets how long faults happen.

mod chance;
mod clock;
mod faults;
mod invariants;
mod jobs;
mod storms;

use std::{
    env,
    time::{Duration, Instant, SystemTime, UNIX_EPOCH},
};

use anyhow::{Context, Result};
use futures::{StreamExt as _, TryStreamExt as _, stream};
use pgbackup_tests::{Policy, env::NEW_YEAR, serial_story_within};

use crate::{chance::Chance, clock::Clock, faults::Chaos, jobs::SeenJobs};

/// The number of policies. Nearly all of them have a backup only at New Year.
const POLICIES: usize = 200;

/// The number of policies that have a backup every two minutes.
const BUSY: usize = 8;

/// The number of policies that are created concurrently.
const AT_ONCE: usize = 16;

/// The time limit for recovery after the last fault. A reconcile that failed often is retried after five
/// minutes plus up to a third.
const CALM: Duration = Duration::from_mins(9);

#[test]
fn policies_recover_after_random_faults() -> Result<()> {
    let number = |name: &str| env::var(name).ok().map(|text| text.parse::<u64>()).transpose();
    let long = Duration::from_secs(number("CHAOS_SECONDS")?.unwrap_or(180));
    let fresh = SystemTime::now().duration_since(UNIX_EPOCH)?.as_secs();
    let seed = number("CHAOS_SEED")?.unwrap_or(fresh);
    eprintln!("CHAOS_SEED={seed}");
    serial_story_within(2 * (long + CALM), "chaos", async |env, operator| {
        env.postgres(17).await?;
        let names = (0..POLICIES).map(|n| format!("p{n}"));
        let made = stream::iter(names).map(async |name| {
            let busy = name[1..].parse::<usize>()? < BUSY;
            env.policy(&name, |spec| {
                spec.schedule = if busy { "*/2 * * * *" } else { NEW_YEAR }.to_owned();
            })
            .await
        });
        let policies: Vec<Policy> = made.buffered(AT_ONCE).try_collect().await?;
        let jobs = SeenJobs::watch(&env);
        let mut clock = Clock::install(&env, &operator).await?;
        let waits = policies.last().context("no policies")?;
        clock.is_followed(waits).await.context("the operator should follow the node's clock")?;
        let mut chaos = Chaos::new(env.clone(), operator, clock, policies, Chance::new(seed));
        let end = Instant::now() + long;
        while Instant::now() < end {
            chaos.strike().await;
        }
        eprintln!("{}", chaos.summary());
        chaos.calm().await.context("the chaos should end")?;
        invariants::hold(&env, &chaos, &jobs, CALM).await
    })
}
