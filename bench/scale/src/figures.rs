//! The figures as a table that people read, beside the goals that they were to reach.

use std::fmt::Write as _;

use anyhow::Result;
use bench::{Goal, Marks};
use jiff::Zoned;

use crate::cluster::AT_ONCE;

/// Where `make bench-scale` writes in its document.
pub const MARKS: Marks =
    Marks { begin: "<!-- make bench-scale writes from here -->\n", end: "<!-- to here: scale -->\n" };

/// New policies, and as many bare CronJobs.
#[derive(Clone, Copy, Debug)]
pub struct Round {
    /// Seconds in which one client created the CronJobs, one after the other.
    pub bare: f64,
    /// The same with as many calls in flight as the operator makes.
    pub bare_at_once: f64,
    /// Seconds in which a client created the policies, with as many calls in flight.
    pub created: f64,
    /// Seconds from the first policy's creation until all were ready.
    pub ready: f64,
    /// The operator's CPU time, in seconds.
    pub cpu: f64,
    /// The operator's writes.
    pub writes: u64,
    /// The events among them.
    pub events: u64,
    /// Its reads and lists.
    pub reads: u64,
    /// Writes that were refused.
    pub refused: u64,
}

/// A start of the operator where all is as it should be.
#[derive(Clone, Copy, Debug)]
pub struct Restart {
    /// Seconds until all policies were reconciled.
    pub synced: f64,
    /// What it wrote.
    pub writes: u64,
    /// Its memory after that, in MiB.
    pub resident: f64,
    /// The peak of it.
    pub peak: f64,
    /// Its CPU time, in seconds.
    pub cpu: f64,
}

/// A while in which nothing changed.
#[derive(Clone, Copy, Debug)]
pub struct Rest {
    /// Writes.
    pub writes: u64,
    /// Reads and lists.
    pub reads: u64,
    /// CPU time, in seconds.
    pub cpu_a_minute: f64,
    /// Renewals of the Lease.
    pub renewals_a_minute: f64,
}

/// All of them.
#[derive(Clone, Debug)]
pub struct Figures {
    /// How many policies at first.
    pub policies: usize,
    /// How many in the end.
    pub many: usize,
    /// Memory without any, in MiB.
    pub idle: f64,
    /// New policies.
    pub rounds: Vec<Round>,
    /// A restart with the first.
    pub few: Restart,
    /// Nothing changes.
    pub rest: Rest,
    /// How long after their pods' ends runs were told, sorted, in seconds.
    pub told: Vec<f64>,
    /// A restart with many.
    pub after_many: Restart,
}

impl Figures {
    /// The whole text.
    pub fn text(&self) -> Result<String> {
        let mut text = String::new();
        writeln!(text, "Measured on {}: {}.", Zoned::now().date(), bench::machine()?)?;
        writeln!(
            text,
            "pgbackup {}, {} rounds with {} policies, then {} policies; {} pods ended.\n",
            env!("CARGO_PKG_VERSION"),
            self.rounds.len(),
            self.policies,
            self.many,
            self.told.len()
        )?;
        bench::goals(&mut text, &self.goals())?;
        let Restart { synced, peak, cpu, writes, .. } = self.after_many;
        writeln!(
            text,
            "\nOne client created {} CronJobs in {:.2} s one after the other, and in {:.2} s with {AT_ONCE} calls in flight; \
             with as many in flight the policies were created in {:.2} s, and all were ready after {:.2} s. An operator that \
             starts beside {} policies has looked at all of them after {synced:.2} s, for {cpu:.2} s of CPU, with a peak of \
             {peak:.1} MiB and {writes} writes. Half of the ended pods were told of within {:.0} ms.",
            self.policies,
            self.median(|round| round.bare),
            self.median(|round| round.bare_at_once),
            self.median(|round| round.created),
            self.median(|round| round.ready),
            self.many,
            quantile(&self.told, 0.5) * 1000.0,
        )?;
        Ok(text)
    }

    fn goals(&self) -> [Goal; 16] {
        let goal = |what, measured, wanted, limit, unit| Goal { what, measured, wanted, limit, unit };
        let each = real(self.policies);
        [
            goal("memory, idle", self.idle, 12.0, 20.0, " MiB"),
            goal(
                "memory, 1,000 policies with full status and history",
                self.few.resident,
                25.0,
                40.0,
                " MiB",
            ),
            goal(
                "memory, 10,000 policies with full status and history",
                self.after_many.resident,
                150.0,
                240.0,
                " MiB",
            ),
            goal(
                "API writes for each new policy",
                self.median(|round| integer(round.writes)) / each,
                3.0,
                4.0,
                "",
            ),
            goal("events among them", self.median(|round| integer(round.events)) / each, 1.0, 1.0, ""),
            goal("reads for each new policy", self.median(|round| integer(round.reads)) / each, 0.0, 1.0, ""),
            goal("refused writes", self.median(|round| integer(round.refused)), 0.0, 0.0, ""),
            goal(
                "1,000 new policies until all are ready / bare creation of as many CronJobs",
                self.median(|round| round.ready / round.bare),
                2.5,
                4.0,
                "",
            ),
            goal("the operator's CPU for that", self.median(|round| round.cpu), 0.6, 1.2, " s"),
            goal("steady state, 1,000 policies: writes", integer(self.rest.writes), 0.0, 0.0, ""),
            goal("steady state: reads and lists", integer(self.rest.reads), 0.0, 0.0, ""),
            goal("steady state: CPU a minute", self.rest.cpu_a_minute, 0.05, 0.1, " s"),
            goal("steady state: renewals of the Lease a minute", self.rest.renewals_a_minute, 6.0, 12.0, ""),
            goal("restart at 1,000 policies until all are reconciled", self.few.synced, 1.0, 2.0, " s"),
            goal("restart at 1,000 policies: writes", integer(self.few.writes), 0.0, 0.0, ""),
            goal(
                "pod ended until its status is written, 99th percentile",
                quantile(&self.told, 0.99),
                1.0,
                3.0,
                " s",
            ),
        ]
    }

    fn median(&self, of: impl Fn(&Round) -> f64) -> f64 {
        let mut values: Vec<f64> = self.rounds.iter().map(of).collect();
        values.sort_by(f64::total_cmp);
        quantile(&values, 0.5)
    }
}

/// Of sorted values: the smallest that this share of them does not exceed.
#[expect(clippy::cast_possible_truncation, clippy::cast_sign_loss, reason = "an index")]
fn quantile(sorted: &[f64], share: f64) -> f64 {
    let at = (real(sorted.len()) * share).ceil() as usize;
    sorted.get(at.saturating_sub(1)).copied().unwrap_or(f64::NAN)
}

#[expect(clippy::cast_precision_loss, reason = "nobody reads the fifteenth digit")]
fn integer(number: u64) -> f64 {
    number as f64
}

#[expect(clippy::cast_precision_loss, reason = "nobody reads the fifteenth digit")]
fn real(number: usize) -> f64 {
    number as f64
}
