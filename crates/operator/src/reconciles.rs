//! How reconciles go: how many, how they end, how long they take. For `/metrics`.

use std::time::Duration;

use prometheus_client::{
    metrics::{
        counter::Counter,
        family::Family,
        histogram::{Histogram, exponential_buckets},
    },
    registry::{Registry, Unit},
};

/// Counts. Clones count together.
#[derive(Clone, Debug)]
pub struct Reconciles {
    ended: Family<[(&'static str, &'static str); 1], Counter>,
    duration: Histogram,
}

impl Default for Reconciles {
    fn default() -> Self {
        // From 1 ms, where nothing is written, to 30 s, when a call is given up.
        Self { ended: Family::default(), duration: Histogram::new(exponential_buckets(0.001, 2.0, 16)) }
    }
}

impl Reconciles {
    /// One has ended.
    pub fn note(&self, succeeded: bool, took: Duration) {
        self.ended.get_or_create(&[("result", if succeeded { "success" } else { "error" })]).inc();
        self.duration.observe(took.as_secs_f64());
    }

    /// Puts them among what is scraped.
    pub fn register(&self, registry: &mut Registry) {
        registry.register("pgbackup_reconciles", "Reconciles of policies that ended", self.ended.clone());
        registry.register_with_unit(
            "pgbackup_reconcile_duration",
            "How long reconciles took",
            Unit::Seconds,
            self.duration.clone(),
        );
    }
}
