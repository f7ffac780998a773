//! Metrics in the OpenMetrics text format. Those of policies are made from their statuses at each scrape, so that a policy
//! that is gone leaves no series behind; labels are names of namespaces and policies, and words of closed lists.

use std::fmt;

use desired::overview::{Overview, State};
use domain::reason::Reason;
use jiff::Timestamp;
use prometheus_client::{
    collector::Collector,
    encoding::{DescriptorEncoder, EncodeMetric as _, text::encode},
    metrics::{MetricType, gauge::ConstGauge},
    registry::{Registry, Unit},
};

use crate::reconciles::Reconciles;

/// The content type of what is written here.
pub const CONTENT_TYPE: &str = "application/openmetrics-text; version=1.0.0; charset=utf-8";

/// All that a scrape gets.
pub fn text(policies: Vec<Overview>, reconciles: &Reconciles) -> Result<String, fmt::Error> {
    let mut registry = Registry::default();
    reconciles.register(&mut registry);
    registry.register_collector(Box::new(Policies(policies)));
    let mut text = String::new();
    encode(&mut text, &registry)?;
    Ok(text)
}

#[derive(Debug)]
struct Policies(Vec<Overview>);

/// A gauge of each policy that has a value.
struct Gauge {
    name: &'static str,
    help: &'static str,
    unit: Option<Unit>,
    of: fn(&Overview) -> Option<f64>,
}

const GAUGES: [Gauge; 11] = [
    Gauge {
        name: "pgbackup_policy_last_success_timestamp",
        help: "Recovery point of the newest verified copy, as a Unix time",
        unit: Some(Unit::Seconds),
        of: |policy| policy.last_success.as_ref().map(|copy| unix(copy.snapshot_time)),
    },
    Gauge {
        name: "pgbackup_policy_last_success_size",
        help: "Stored bytes of the newest verified copy",
        unit: Some(Unit::Bytes),
        of: |policy| policy.last_success.as_ref()?.size_bytes.map(real),
    },
    Gauge {
        name: "pgbackup_policy_last_success_duration",
        help: "How long the run of the newest verified copy took",
        unit: Some(Unit::Seconds),
        of: |policy| policy.last_success.as_ref()?.duration_seconds,
    },
    Gauge {
        name: "pgbackup_policy_next_schedule_timestamp",
        help: "When the next backup starts, as a Unix time; absent while the policy is suspended or not accepted",
        unit: Some(Unit::Seconds),
        of: |policy| policy.next_schedule_time.map(unix),
    },
    Gauge {
        name: "pgbackup_policy_expected_interval",
        help: "How far apart the next two scheduled backups are",
        unit: Some(Unit::Seconds),
        of: |policy| policy.expected_interval_seconds.map(|seconds| real(seconds.unsigned_abs())),
    },
    Gauge {
        name: "pgbackup_policy_overdue",
        help: "1 if a copy that was due is missing",
        unit: None,
        of: |policy| Some(f64::from(policy.reason == Reason::Overdue.word())),
    },
    Gauge {
        name: "pgbackup_policy_last_run_failed",
        help: "1 if the newest run that ended has failed",
        unit: None,
        of: |policy| Some(f64::from(policy.runs.last()?.result == api::status::RunResult::Failed)),
    },
    Gauge {
        name: "pgbackup_policy_suspended",
        help: "1 if no backups are taken",
        unit: None,
        of: |policy| Some(f64::from(policy.state == State::Suspended)),
    },
    Gauge {
        name: "pgbackup_policy_retained_size",
        help: "Stored bytes of all complete copies",
        unit: Some(Unit::Bytes),
        of: |policy| policy.copies.map(|copies| real(copies.size_bytes)),
    },
    Gauge {
        name: "pgbackup_policy_retention_healthy",
        help: "0 if old copies are not removed as the rules say",
        unit: None,
        of: |policy| policy.retention.as_ref().map(|retention| f64::from(retention.healthy)),
    },
    Gauge {
        name: "pgbackup_policy_repository_owned",
        help: "0 if the store's folder belongs to another policy, so that nothing is removed",
        unit: None,
        of: |policy| {
            Some(f64::from(policy.retention.as_ref()?.reason != Reason::RepositoryOwnedByOther.word()))
        },
    },
];

impl Collector for Policies {
    fn encode(&self, mut encoder: DescriptorEncoder<'_>) -> fmt::Result {
        for Gauge { name, help, unit, of } in GAUGES {
            let mut metric = encoder.encode_descriptor(name, help, unit.as_ref(), MetricType::Gauge)?;
            for policy in &self.0 {
                if let Some(value) = of(policy) {
                    ConstGauge::new(value).encode(metric.encode_family(&labels(policy))?)?;
                }
            }
        }
        self.states(&mut encoder)?;
        self.copies(&mut encoder)?;
        // Always there, so that its absence means that nobody is scraped.
        let help = "1; its label is the version of the operator";
        let mut build = encoder.encode_descriptor("pgbackup_build_info", help, None, MetricType::Gauge)?;
        ConstGauge::new(1.0).encode(build.encode_family(&[("version", env!("CARGO_PKG_VERSION"))])?)
    }
}

impl Policies {
    /// One series of four is 1, so that a state which nobody is in has a series too.
    fn states(&self, encoder: &mut DescriptorEncoder<'_>) -> fmt::Result {
        let help = "1 for the state that the policy is in, 0 for the others";
        let mut metric = encoder.encode_descriptor("pgbackup_policy_state", help, None, MetricType::Gauge)?;
        for policy in &self.0 {
            let [namespace, name] = labels(policy);
            for (state, word) in [
                (State::Healthy, "Healthy"),
                (State::Unhealthy, "Unhealthy"),
                (State::Unknown, "Unknown"),
                (State::Suspended, "Suspended"),
            ] {
                let value = f64::from(policy.state == state);
                ConstGauge::new(value).encode(metric.encode_family(&[
                    namespace,
                    name,
                    ("state", word),
                ])?)?;
            }
        }
        Ok(())
    }

    fn copies(&self, encoder: &mut DescriptorEncoder<'_>) -> fmt::Result {
        let help = "Complete copies in the store, by what their newest check gave";
        let mut metric =
            encoder.encode_descriptor("pgbackup_policy_copies", help, None, MetricType::Gauge)?;
        for policy in &self.0 {
            let (Some(copies), [namespace, name]) = (policy.copies, labels(policy)) else { continue };
            let failed = copies.all.saturating_sub(copies.verified).saturating_sub(copies.suspicious);
            for (state, count) in
                [("verified", copies.verified), ("suspicious", copies.suspicious), ("failed", failed)]
            {
                let labels = [namespace, name, ("state", state)];
                ConstGauge::new(f64::from(count)).encode(metric.encode_family(&labels)?)?;
            }
        }
        Ok(())
    }
}

fn labels(policy: &Overview) -> [(&str, &str); 2] {
    [("namespace", &policy.namespace), ("policy", &policy.name)]
}

fn unix(time: Timestamp) -> f64 {
    real(time.as_second().unsigned_abs())
}

#[expect(clippy::cast_precision_loss, reason = "exact up to nine petabytes")]
fn real(number: u64) -> f64 {
    number as f64
}
