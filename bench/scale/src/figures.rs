//! Formats the measured figures as a table with their goals.

use std::fmt::Write as _;

use anyhow::Result;
use bench::{Goal, Marks};
use jiff::Zoned;

use crate::cluster::AT_ONCE;

/// The lines of the document between which `make bench-scale` writes.
pub const MARKS: Marks =
    Marks { begin: "<!-- make bench-scale writes from here -->\n", end: "<!-- to here: scale -->\n" };

/// The figures of one round: creating policies with an operator, and the same number of CronJobs without one.
#[derive(Clone, Copy, Debug)]
pub struct Round {
    /// The time in which one client created the CronJobs one after the other, in seconds.
    pub bare: f64,
    /// The time in which one client created the CronJobs with [`AT_ONCE`] concurrent calls, in seconds.
    pub bare_at_once: f64,
    /// The time in which one client created the policies with [`AT_ONCE`] concurrent calls, in seconds.
    pub created: f64,
    /// The time from the creation of the first policy until all were ready, in seconds.
    pub ready: f64,
    /// The operator's CPU time, in seconds.
    pub cpu: f64,
    /// The number of the operator's writes, including events.
    pub writes: u64,
    pub events: u64,
    /// The number of the operator's reads and lists.
    pub reads: u64,
    /// The number of the operator's writes that the API server rejected.
    pub rejected: u64,
}

/// The figures of an operator that restarts when there is nothing to change.
#[derive(Clone, Copy, Debug)]
pub struct Restart {
    /// The time until all policies were reconciled, in seconds.
    pub synced: f64,
    pub writes: u64,
    /// The resident memory once all policies were reconciled, in MiB.
    pub resident: f64,
    /// The peak of the operator's resident memory, in MiB.
    pub peak: f64,
    /// The operator's CPU time during the restart, in seconds.
    pub cpu: f64,
}

/// The figures of a running operator while nothing changed.
#[derive(Clone, Copy, Debug)]
pub struct SteadyState {
    pub writes: u64,
    /// The number of the operator's reads and lists.
    pub reads: u64,
    /// The operator's CPU time per minute, in seconds.
    pub cpu_per_minute: f64,
    /// The number of renewals of the Lease per minute.
    pub renewals_per_minute: f64,
}

#[derive(Clone, Debug)]
pub struct Figures {
    /// The number of policies in the first part of the benchmark, which measures creation, restart and steady
    /// state.
    pub policies: usize,
    /// The number of policies in the second part of the benchmark, which measures a restart.
    pub many: usize,
    /// The operator's resident memory without policies, in MiB.
    pub idle: f64,
    pub rounds: Vec<Round>,
    /// The restart with [`Self::policies`] policies.
    pub restart: Restart,
    pub steady_state: SteadyState,
    /// The times from the end of a pod until its status was written, in seconds, sorted.
    pub report_delays: Vec<f64>,
    /// The restart with [`Self::many`] policies.
    pub restart_with_many: Restart,
}

impl Figures {
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
            self.report_delays.len()
        )?;
        bench::goals(&mut text, &self.goals())?;
        let Restart { synced, peak, cpu, writes, .. } = self.restart_with_many;
        writeln!(
            text,
            "\nWithout an operator, one client created {} CronJobs in {:.2} s one after the other, and in {:.2} s with \
             {AT_ONCE} calls in flight. With {AT_ONCE} calls in flight it created as many policies in {:.2} s; all were ready \
             after {:.2} s. An operator that starts with {} policies has reconciled all of them after {synced:.2} s. It takes \
             {cpu:.2} s of CPU, {peak:.1} MiB at the peak, and {writes} writes. For half of the ended pods, the status was \
             written within {:.0} ms.",
            self.policies,
            self.median(|round| round.bare),
            self.median(|round| round.bare_at_once),
            self.median(|round| round.created),
            self.median(|round| round.ready),
            self.many,
            quantile(&self.report_delays, 0.5) * 1000.0,
        )?;
        Ok(text)
    }

    fn goals(&self) -> [Goal; 16] {
        let goal = |what, measured, wanted, limit, unit| Goal { what, measured, wanted, limit, unit };
        let each = real(self.policies);
        [
            goal("memory without policies", self.idle, 12.0, 20.0, " MiB"),
            goal(
                "memory, 1,000 policies with full status and history",
                self.restart.resident,
                25.0,
                40.0,
                " MiB",
            ),
            goal(
                "memory, 10,000 policies with full status and history",
                self.restart_with_many.resident,
                150.0,
                240.0,
                " MiB",
            ),
            goal(
                "API writes per new policy",
                self.median(|round| integer(round.writes)) / each,
                3.0,
                4.0,
                "",
            ),
            goal(
                "events among these writes, per new policy",
                self.median(|round| integer(round.events)) / each,
                1.0,
                1.0,
                "",
            ),
            goal("API reads per new policy", self.median(|round| integer(round.reads)) / each, 0.0, 1.0, ""),
            goal("rejected writes", self.median(|round| integer(round.rejected)), 0.0, 0.0, ""),
            goal(
                "time until 1,000 new policies are ready / time to create 1,000 CronJobs without an operator",
                self.median(|round| round.ready / round.bare),
                2.5,
                4.0,
                "",
            ),
            goal(
                "operator CPU until 1,000 new policies are ready",
                self.median(|round| round.cpu),
                0.6,
                1.2,
                " s",
            ),
            goal(
                "steady state with 1,000 policies: API writes",
                integer(self.steady_state.writes),
                0.0,
                0.0,
                "",
            ),
            goal(
                "steady state with 1,000 policies: API reads and lists",
                integer(self.steady_state.reads),
                0.0,
                0.0,
                "",
            ),
            goal(
                "steady state with 1,000 policies: CPU per minute",
                self.steady_state.cpu_per_minute,
                0.05,
                0.1,
                " s",
            ),
            goal(
                "steady state: renewals of the Lease per minute",
                self.steady_state.renewals_per_minute,
                6.0,
                12.0,
                "",
            ),
            goal(
                "restart with 1,000 policies: time until all are reconciled",
                self.restart.synced,
                1.0,
                2.0,
                " s",
            ),
            goal("restart with 1,000 policies: API writes", integer(self.restart.writes), 0.0, 0.0, ""),
            goal(
                "time from the end of a pod to its status, 99th percentile",
                quantile(&self.report_delays, 0.99),
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

/// Returns the smallest of the sorted values that at least this share of the values does not exceed.
#[expect(clippy::cast_possible_truncation, clippy::cast_sign_loss, reason = "an index")]
fn quantile(sorted: &[f64], share: f64) -> f64 {
    let at = (real(sorted.len()) * share).ceil() as usize;
    sorted.get(at.saturating_sub(1)).copied().unwrap_or(f64::NAN)
}

#[expect(clippy::cast_precision_loss, reason = "exact to 15 digits, of which few are printed")]
fn integer(number: u64) -> f64 {
    number as f64
}

#[expect(clippy::cast_precision_loss, reason = "exact to 15 digits, of which few are printed")]
fn real(number: usize) -> f64 {
    number as f64
}
