//! Metrics in the OpenMetrics text format. Those of policies are made from their statuses at each scrape, so that a policy
//! that is gone leaves no series behind; labels are names of namespaces and policies, and words of closed lists.

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

/// The content type of what is written here.
pub const CONTENT_TYPE: &str = "application/openmetrics-text; version=1.0.0; charset=utf-8";

/// What a scrape tells of.
pub struct Scraped<'a> {
    /// All policies; `None` where they are not known, and of a replica that does not lead.
    pub policies: Option<Vec<Overview>>,
    /// Whether this replica does the work.
    pub leads: bool,
    /// How reconciles go.
    pub reconciles: &'a ReconcileMetrics,
    /// How requests to the API server go.
    pub requests: &'a ApiMetrics,
}

/// All that a scrape gets.
pub fn text(scraped: Scraped<'_>) -> Result<String, fmt::Error> {
    let Scraped { policies, leads, reconciles, requests } = scraped;
    let mut registry = Registry::default();
    reconciles.register(&mut registry);
    requests.register(&mut registry);
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
            let help = "How many policies there are; absent where a replica waits, or does not know";
            #[expect(clippy::cast_precision_loss, reason = "exact up to more policies than a cluster holds")]
            gauge(&mut encoder, "pgbackup_policies", help, policies.len() as f64)?;
        }
        let help = "1 if this replica does the work, 0 if it waits to take over";
        gauge(&mut encoder, "pgbackup_leader", help, f64::from(*leads))?;
        let help = "1; its label is the version of the operator";
        let mut build = encoder.encode_descriptor("pgbackup_build_info", help, None, MetricType::Gauge)?;
        ConstGauge::new(1.0).encode(build.encode_family(&[("version", env!("CARGO_PKG_VERSION"))])?)
    }
}

fn gauge(encoder: &mut DescriptorEncoder<'_>, name: &str, help: &str, value: f64) -> fmt::Result {
    ConstGauge::new(value).encode(encoder.encode_descriptor(name, help, None, MetricType::Gauge)?)
}
