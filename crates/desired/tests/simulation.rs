//! A simulation of one year with a thousand policies, which takes seconds: a cluster with its CronJob
//! controller, a store, runs that fail in every known way, and an operator that stops and starts. Each status
//! is compared with what really happened.
//!
//! One seed determines everything. `PGBACKUP_SIMULATION_SEED` sets it, and `PGBACKUP_SIMULATION_POLICY`
//! simulates only one policy. When an invariant is violated, both are printed together with the last
//! happenings.

#![expect(
    clippy::disallowed_methods,
    reason = "the test reads its seed from the environment; the crate does not read it"
)]

#[path = "simulation/attempt_end.rs"]
mod attempt_end;
#[path = "simulation/cluster.rs"]
mod cluster;
#[path = "simulation/kind.rs"]
mod kind;
#[path = "simulation/operator.rs"]
mod operator;
#[path = "simulation/oracle.rs"]
mod oracle;
#[path = "simulation/random.rs"]
mod random;
#[path = "simulation/store.rs"]
mod store;
#[path = "simulation/time.rs"]
mod time;
#[path = "simulation/world.rs"]
mod world;

use std::{
    any::Any,
    collections::BTreeMap,
    env,
    panic::{AssertUnwindSafe, catch_unwind},
    sync::{
        Mutex,
        atomic::{AtomicU64, Ordering},
    },
    thread,
};

use self::{
    kind::{DAILY, FREQUENT, Kind, MONTHLY, OFTEN, WEEKLY},
    world::{Counts, World},
};

const POLICIES: u64 = 1000;

/// The number of threads: at least as many as the machines of continuous integration have cores.
const THREADS: usize = 2;

/// The default seed, an arbitrary number.
const SEED: u64 = 20_261_123;

/// Returns the kind of the policy with this index. Most have infrequent schedules: a year of such a policy
/// has few runs, so that all policies together take only seconds.
const fn kind(index: u64) -> Kind {
    match index % 1000 {
        0 => FREQUENT,
        1..=2 => OFTEN,
        3..=17 => DAILY,
        18..=99 => WEEKLY,
        _ => MONTHLY,
    }
}

const LOCK: &str = "a world that fails should hold no lock";

/// Returns the message of a failed assertion.
fn words(why: &(dyn Any + Send)) -> String {
    let text = why.downcast_ref::<String>().map(String::as_str).or(why.downcast_ref::<&str>().copied());
    text.unwrap_or("a panic without words").to_owned()
}

#[test]
fn policy_status_is_correct_throughout_a_simulated_year() {
    let number = |name: &str| env::var(name).ok().map(|text| text.parse().expect("it should be a number"));
    let seed = number("PGBACKUP_SIMULATION_SEED").unwrap_or(SEED);
    let alone = number("PGBACKUP_SIMULATION_POLICY");
    let policies = alone.map_or(0..POLICIES, |index| index..index + 1);
    let next = AtomicU64::new(policies.start);
    let (all, failed) = (Mutex::new(Counts::default()), Mutex::new(BTreeMap::new()));
    let work = || {
        loop {
            let index = next.fetch_add(1, Ordering::Relaxed);
            if !policies.contains(&index) {
                break;
            }
            match catch_unwind(AssertUnwindSafe(|| World::new(seed, index, kind(index)).live())) {
                Ok(counts) => all.lock().expect(LOCK).merge(counts),
                Err(why) => drop(failed.lock().expect(LOCK).insert(index, words(&*why))),
            }
        }
    };
    thread::scope(|scope| {
        for _ in 0..THREADS {
            scope.spawn(work);
        }
    });
    let failed = failed.into_inner().expect(LOCK);
    let wrong: String = failed.iter().map(|(index, why)| format!("policy {index}: {why}\n")).collect();
    assert!(
        failed.is_empty(),
        "PGBACKUP_SIMULATION_SEED={seed} shows it again, with PGBACKUP_SIMULATION_POLICY=<index> each alone:\n{wrong}"
    );
    let all = all.into_inner().expect(LOCK);
    let lines: String = all.0.iter().map(|(what, count)| format!("{count:>9} {what}\n")).collect();
    println!("seed {seed}:\n{lines}");
    if alone.is_none() {
        assert!(all.0.len() >= 32, "each kind of trouble comes at least once:\n{lines}");
    }
}
