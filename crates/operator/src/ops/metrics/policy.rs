//! The metrics of policies.

use std::fmt;

use api::status::ConditionType;
use domain::{reason::Reason, report::BackupStage};
use jiff::Timestamp;
use prometheus_client::{
    encoding::{DescriptorEncoder, EncodeMetric as _},
    metrics::{MetricType, gauge::ConstGauge},
    registry::Unit,
};
use view::{
    overview::Overview,
    state::{ConditionState, State},
};

/// A gauge with at most one value per policy. The unit is appended to its name.
struct Gauge {
    name: &'static str,
    help: &'static str,
    unit: Option<Unit>,
    value: fn(&Overview) -> Option<f64>,
}

const GAUGES: [Gauge; 13] = [
    Gauge {
        name: "pgbackup_policy_last_success_timestamp",
        help: "Unix timestamp of the snapshot of the policy's newest successful backup: verified, acknowledged, or stored with verification.level: Checksum.",
        unit: Some(Unit::Seconds),
        value: |policy| policy.last_success.as_ref().map(|backup| unix(backup.snapshot_time)),
    },
    Gauge {
        name: "pgbackup_policy_last_verified_timestamp",
        help: "Unix timestamp of the snapshot of the policy's newest verified or acknowledged backup.",
        unit: Some(Unit::Seconds),
        value: |policy| policy.last_verified_time.map(unix),
    },
    Gauge {
        name: "pgbackup_policy_last_success_size",
        help: "Stored size of the policy's newest successful backup, in bytes.",
        unit: Some(Unit::Bytes),
        value: |policy| policy.last_success.as_ref()?.size_bytes.map(real),
    },
    Gauge {
        name: "pgbackup_policy_last_success_duration",
        help: "Duration of the run that stored the policy's newest successful backup, in seconds.",
        unit: Some(Unit::Seconds),
        value: |policy| policy.last_success.as_ref()?.duration_seconds,
    },
    Gauge {
        name: "pgbackup_policy_next_schedule_timestamp",
        help: "Unix timestamp at which the policy's next scheduled backup starts; absent if the policy is suspended or invalid, or if its CronJob does not exist.",
        unit: Some(Unit::Seconds),
        value: |policy| policy.next_schedule_time.map(unix),
    },
    Gauge {
        name: "pgbackup_policy_expected_interval",
        help: "Time between the starts of the policy's next two scheduled backups, in seconds; absent if the schedule is invalid or has no two starts within five years.",
        unit: Some(Unit::Seconds),
        value: |policy| policy.expected_interval_seconds.map(|seconds| real(seconds.unsigned_abs())),
    },
    Gauge {
        name: "pgbackup_policy_max_age",
        help: "Maximum age of the policy's newest successful backup (objectives.maxAge), in seconds; absent if it is not set.",
        unit: Some(Unit::Seconds),
        value: |policy| policy.max_age_seconds.map(|seconds| real(seconds.unsigned_abs())),
    },
    Gauge {
        name: "pgbackup_policy_overdue",
        help: "1 if a backup of the policy is overdue by its schedule or by objectives.maxAge, else 0.",
        unit: None,
        value: |policy| Some(f64::from(policy.overdue)),
    },
    Gauge {
        name: "pgbackup_policy_overdue_timestamp",
        help: "Unix timestamp at which the policy becomes overdue unless a successful backup is stored before; in the past if the policy is overdue now; absent if the policy is suspended or was never valid, or if nothing is due within five years and objectives.maxAge is not set.",
        unit: Some(Unit::Seconds),
        value: |policy| policy.overdue_time.map(unix),
    },
    Gauge {
        name: "pgbackup_policy_last_run_failed",
        help: "1 if the policy's newest completed backup run failed, 0 if it succeeded, stored a suspicious backup or left no report; absent before the first completed run.",
        unit: None,
        value: |policy| {
            let newest = policy.runs.last()?;
            let failed = newest.result == api::status::RunResult::Failed;
            Some(f64::from(failed && newest.reason != Reason::Suspicious))
        },
    },
    Gauge {
        name: "pgbackup_policy_suspended",
        help: "1 if the policy is suspended and no scheduled backups start, else 0.",
        unit: None,
        value: |policy| Some(f64::from(policy.state == State::Suspended)),
    },
    Gauge {
        name: "pgbackup_policy_retained_size",
        help: "Stored size of all complete backups in the policy's repository together, in bytes.",
        unit: Some(Unit::Bytes),
        value: |policy| policy.backups.map(|backups| real(backups.size_bytes)),
    },
    Gauge {
        name: "pgbackup_policy_repository_owned",
        help: "0 if the newest pruning found that the repository belongs to another policy or that its owner is unknown, and therefore removed nothing, else 1.",
        unit: None,
        value: |policy| {
            Some(f64::from(policy.retention.as_ref()?.reason != Reason::RepositoryOwnedByOther.as_str()))
        },
    },
];

/// A gauge with one value for each policy and each value of a label.
struct LabelledGauge {
    name: &'static str,
    help: &'static str,
    unit: Option<Unit>,
    label: &'static str,
    values: fn(&Overview) -> Vec<(&'static str, f64)>,
}

const LABELLED_GAUGES: [LabelledGauge; 4] = [
    // Each policy has a series for each state, so that a query for a state without policies returns 0 instead
    // of nothing.
    LabelledGauge {
        name: "pgbackup_policy_state",
        help: "1 if the policy is in the state that the label state gives, else 0.",
        unit: None,
        label: "state",
        values: |policy| State::ALL.map(|state| (state.as_str(), f64::from(policy.state == state))).into(),
    },
    LabelledGauge {
        name: "pgbackup_policy_backups",
        help: "Number of complete backups in the policy's repository, by state: verified (the newest check passed), suspicious (not acknowledged) or corrupted (the newest check failed); absent until a run has counted the backups.",
        unit: None,
        label: "state",
        values: |policy| {
            let Some(backups) = policy.backups else { return Vec::new() };
            vec![
                ("verified", f64::from(backups.verified)),
                ("suspicious", f64::from(backups.suspicious)),
                ("corrupted", f64::from(backups.corrupted())),
            ]
        },
    },
    LabelledGauge {
        name: "pgbackup_policy_last_success_stage_duration",
        help: "Duration of each stage of the run that stored the policy's newest successful backup, in seconds.",
        unit: Some(Unit::Seconds),
        label: "stage",
        values: |policy| {
            let Some(backup) = &policy.last_success else { return Vec::new() };
            let duration = |stage: BackupStage| Some((stage.as_str(), *backup.stages.get(stage.as_str())?));
            BackupStage::all().filter_map(duration).collect()
        },
    },
    LabelledGauge {
        name: "pgbackup_policy_last_scrub_backups",
        help: "Number of backups that the policy's newest completed scrub processed, by result: passed, corrupted (20 means 20 or more) or unchecked (the check had no result).",
        unit: None,
        label: "result",
        values: |policy| {
            let Some(scrub) = policy.scrub.as_ref().and_then(|scrub| scrub.last) else { return Vec::new() };
            vec![
                ("passed", f64::from(scrub.passed)),
                ("corrupted", f64::from(scrub.corrupted)),
                ("unchecked", f64::from(scrub.unchecked)),
            ]
        },
    },
];

/// The help texts of the metrics of a check. `<subject>` is `retention` or `scrub`.
struct CheckGauges {
    /// The help text of `pgbackup_policy_<subject>_healthy`.
    healthy: &'static str,
    /// The help text of `pgbackup_policy_last_<subject>_timestamp_seconds`; `None` if the check is not about
    /// runs.
    last: Option<&'static str>,
}

/// Returns the help texts of the metrics of a condition's check; `None` if the condition decides the policy's
/// state.
const fn check_gauges(condition: ConditionType) -> Option<CheckGauges> {
    match condition {
        ConditionType::Ready
        | ConditionType::Reconciling
        | ConditionType::Stalled
        | ConditionType::BackupHealthy => None,
        ConditionType::RetentionHealthy => Some(CheckGauges {
            healthy: "1 if retention of the policy works, 0 if expired backups cannot be removed or the repository belongs to another policy; absent while unknown.",
            last: None,
        }),
        ConditionType::ScrubHealthy => Some(CheckGauges {
            healthy: "1 if the policy's scrubs run on time and find no corrupted backup, else 0; absent while unknown, and without verification.scrub.",
            last: Some(
                "Unix timestamp at which the policy's newest completed scrub started; absent if none has completed.",
            ),
        }),
    }
}

/// Encodes all series of these policies.
pub fn encode(encoder: &mut DescriptorEncoder<'_>, policies: &[Overview]) -> fmt::Result {
    for Gauge { name, help, unit, value } in GAUGES {
        gauge(encoder, policies, (name, help, unit), value)?;
    }
    for condition in ConditionType::all() {
        let Some(CheckGauges { healthy, last }) = check_gauges(condition) else { continue };
        let subject = condition.subject().to_lowercase();
        let name = format!("pgbackup_policy_{subject}_healthy");
        let is_healthy = |policy: &Overview| is_healthy(policy.check(condition)?.state).map(f64::from);
        gauge(encoder, policies, (&name, healthy, None), is_healthy)?;
        if let Some(help) = last {
            let name = format!("pgbackup_policy_last_{subject}_timestamp");
            let start = |policy: &Overview| policy.last_start(condition).map(unix);
            gauge(encoder, policies, (&name, help, Some(Unit::Seconds)), start)?;
        }
    }
    for LabelledGauge { name, help, unit, label, values } in LABELLED_GAUGES {
        let mut metric = encoder.encode_descriptor(name, help, unit.as_ref(), MetricType::Gauge)?;
        for policy in policies {
            let [namespace, name] = labels(policy);
            for (label_value, value) in values(policy) {
                let labels = [namespace, name, (label, label_value)];
                ConstGauge::new(value).encode(metric.encode_family(&labels)?)?;
            }
        }
    }
    Ok(())
}

fn gauge(
    encoder: &mut DescriptorEncoder<'_>,
    policies: &[Overview],
    (name, help, unit): (&str, &str, Option<Unit>),
    value: impl Fn(&Overview) -> Option<f64>,
) -> fmt::Result {
    let mut metric = encoder.encode_descriptor(name, help, unit.as_ref(), MetricType::Gauge)?;
    for policy in policies {
        if let Some(value) = value(policy) {
            ConstGauge::new(value).encode(metric.encode_family(&labels(policy))?)?;
        }
    }
    Ok(())
}

fn labels(policy: &Overview) -> [(&str, &str); 2] {
    [("namespace", &policy.namespace), ("policy", &policy.name)]
}

const fn is_healthy(state: ConditionState) -> Option<bool> {
    match state {
        ConditionState::Healthy => Some(true),
        ConditionState::Unhealthy => Some(false),
        ConditionState::Unknown => None,
    }
}

fn unix(time: Timestamp) -> f64 {
    real(time.as_second().unsigned_abs())
}

#[expect(clippy::cast_precision_loss, reason = "exact up to nine petabytes")]
fn real(number: u64) -> f64 {
    number as f64
}
