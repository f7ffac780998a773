//! The metrics in the OpenMetrics text format. The series of policies are created from their statuses at each
//! scrape, so a deleted policy has none. Label values are names of namespaces and policies, or come from
//! closed lists.

mod policy;

use std::fmt;

use prometheus_client::{
    collector::Collector,
    encoding::{DescriptorEncoder, EncodeMetric as _, text::encode},
    metrics::{MetricType, gauge::ConstGauge},
    registry::Registry,
};
use view::overview::Overview;

use crate::{api_metrics::ApiMetrics, reconcile_metrics::ReconcileMetrics};

pub const CONTENT_TYPE: &str = "application/openmetrics-text; version=1.0.0; charset=utf-8";

pub struct Scraped<'a> {
    /// The overviews of all policies; `None` on a replica that does not lead or has not listed the policies.
    pub policies: Option<Vec<Overview>>,
    pub leads: bool,
    pub reconcile_metrics: &'a ReconcileMetrics,
    pub api_metrics: &'a ApiMetrics,
}

/// Returns the body of a response to a scrape.
pub fn text(scraped: Scraped<'_>) -> Result<String, fmt::Error> {
    let Scraped { policies, leads, reconcile_metrics, api_metrics } = scraped;
    let mut registry = Registry::default();
    reconcile_metrics.register(&mut registry);
    api_metrics.register(&mut registry);
    registry.register_collector(Box::new(Operator { leads, policies }));
    let mut text = String::new();
    encode(&mut text, &registry)?;
    Ok(text)
}

#[derive(Debug)]
struct Operator {
    leads: bool,
    policies: Option<Vec<Overview>>,
}

impl Collector for Operator {
    fn encode(&self, mut encoder: DescriptorEncoder<'_>) -> fmt::Result {
        let Self { leads, policies } = self;
        policy::encode(&mut encoder, policies.as_deref().unwrap_or_default())?;
        if let Some(policies) = policies {
            let help = "Number of policies in the cluster; absent on a replica of the operator that is not the leader or has not listed the policies yet.";
            #[expect(clippy::cast_precision_loss, reason = "exact up to more policies than a cluster holds")]
            gauge(&mut encoder, "pgbackup_policies", help, policies.len() as f64)?;
        }
        let help = "1 if this replica of the operator is the leader, 0 if it waits for the Lease.";
        gauge(&mut encoder, "pgbackup_leader", help, f64::from(*leads))?;
        let help = "Always 1; the label version gives the version of the operator.";
        let mut build = encoder.encode_descriptor("pgbackup_build_info", help, None, MetricType::Gauge)?;
        ConstGauge::new(1.0).encode(build.encode_family(&[("version", env!("CARGO_PKG_VERSION"))])?)
    }
}

fn gauge(encoder: &mut DescriptorEncoder<'_>, name: &str, help: &str, value: f64) -> fmt::Result {
    ConstGauge::new(value).encode(encoder.encode_descriptor(name, help, None, MetricType::Gauge)?)
}
