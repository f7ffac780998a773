//! Metrics of reconciles: their number by result, and their duration.

use std::time::Duration;

use prometheus_client::{
    metrics::{
        counter::Counter,
        family::Family,
        histogram::{Histogram, exponential_buckets},
    },
    registry::{Registry, Unit},
};

/// Counters and durations of reconciles. Clones share them.
#[derive(Clone, Debug)]
pub struct ReconcileMetrics {
    ended: Family<[(&'static str, &'static str); 1], Counter>,
    duration: Histogram,
}

impl Default for ReconcileMetrics {
    fn default() -> Self {
        // From 1 ms (nothing is written) to 33 s (a call times out after 30 s).
        Self { ended: Family::default(), duration: Histogram::new(exponential_buckets(0.001, 2.0, 16)) }
    }
}

impl ReconcileMetrics {
    /// Counts a reconcile that has ended.
    pub fn record(&self, succeeded: bool, took: Duration) {
        self.ended.get_or_create(&[("result", if succeeded { "success" } else { "error" })]).inc();
        self.duration.observe(took.as_secs_f64());
    }

    pub fn register(&self, registry: &mut Registry) {
        registry.register(
            "pgbackup_reconciles",
            "Number of completed reconciles of policies, by result",
            self.ended.clone(),
        );
        registry.register_with_unit(
            "pgbackup_reconcile_duration",
            "Duration of reconciles of policies, in seconds",
            Unit::Seconds,
            self.duration.clone(),
        );
    }
}
