//! The series of policies.

use std::fmt;

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

/// A gauge of each policy that has a value.
struct Gauge {
    name: &'static str,
    help: &'static str,
    unit: Option<Unit>,
    of: fn(&Overview) -> Option<f64>,
}

const GAUGES: [Gauge; 16] = [
    Gauge {
        name: "pgbackup_policy_last_success_timestamp",
        help: "Recovery point of the newest backup that counts, as a Unix time",
        unit: Some(Unit::Seconds),
        of: |policy| policy.last_success.as_ref().map(|copy| unix(copy.snapshot_time)),
    },
    Gauge {
        name: "pgbackup_policy_last_verified_timestamp",
        help: "Recovery point of the newest backup that was read back and found good, as a Unix time",
        unit: Some(Unit::Seconds),
        of: |policy| policy.last_verified_time.map(unix),
    },
    Gauge {
        name: "pgbackup_policy_last_success_size",
        help: "Stored bytes of the newest backup that counts",
        unit: Some(Unit::Bytes),
        of: |policy| policy.last_success.as_ref()?.size_bytes.map(real),
    },
    Gauge {
        name: "pgbackup_policy_last_success_duration",
        help: "How long the run of the newest backup that counts took",
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
        name: "pgbackup_policy_max_age",
        help: "How old the newest backup may get (objectives.maxAge); absent where nothing is said",
        unit: Some(Unit::Seconds),
        of: |policy| policy.max_age_seconds.map(|seconds| real(seconds.unsigned_abs())),
    },
    Gauge {
        name: "pgbackup_policy_overdue",
        help: "1 if a backup that was due is missing, whatever else is wrong",
        unit: None,
        of: |policy| Some(f64::from(policy.overdue)),
    },
    Gauge {
        name: "pgbackup_policy_overdue_timestamp",
        help: "When the policy becomes, or became, overdue unless a backup that counts comes, as a Unix time; absent while it is suspended",
        unit: Some(Unit::Seconds),
        of: |policy| policy.overdue_time.map(unix),
    },
    Gauge {
        name: "pgbackup_policy_last_run_failed",
        help: "1 if the newest run that ended has failed; a suspicious backup is counted among the backups instead",
        unit: None,
        of: |policy| {
            let newest = policy.runs.last()?;
            let failed = newest.result == api::status::RunResult::Failed;
            Some(f64::from(failed && newest.reason != Reason::Suspicious))
        },
    },
    Gauge {
        name: "pgbackup_policy_suspended",
        help: "1 if no backups are taken",
        unit: None,
        of: |policy| Some(f64::from(policy.state == State::Suspended)),
    },
    Gauge {
        name: "pgbackup_policy_retained_size",
        help: "Stored bytes of all complete backups",
        unit: Some(Unit::Bytes),
        of: |policy| policy.backups.map(|backups| real(backups.size_bytes)),
    },
    Gauge {
        name: "pgbackup_policy_retention_healthy",
        help: "0 if old backups are not removed as the rules say",
        unit: None,
        of: |policy| healthy(policy.retention.as_ref()?.state),
    },
    Gauge {
        name: "pgbackup_policy_repository_owned",
        help: "0 if the store's folder belongs to another policy, so that nothing is removed",
        unit: None,
        of: |policy| {
            Some(f64::from(policy.retention.as_ref()?.reason != Reason::RepositoryOwnedByOther.as_str()))
        },
    },
    Gauge {
        name: "pgbackup_policy_last_scrub_timestamp",
        help: "When the newest scrub that ended started, as a Unix time",
        unit: Some(Unit::Seconds),
        of: |policy| Some(unix(policy.scrub.as_ref()?.last?.start_time)),
    },
    Gauge {
        name: "pgbackup_policy_scrub_healthy",
        help: "0 if stored backups are not read again as they should be, or are not as they were written",
        unit: None,
        of: |policy| healthy(policy.scrub.as_ref()?.state),
    },
];

/// Gauges of each policy, told apart by a label with words of a closed list.
struct Split {
    name: &'static str,
    help: &'static str,
    unit: Option<Unit>,
    label: &'static str,
    of: fn(&Overview) -> Vec<(&'static str, f64)>,
}

const SPLIT: [Split; 4] = [
    // One series of four is 1, so that a state which nobody is in has a series too.
    Split {
        name: "pgbackup_policy_state",
        help: "1 for the state that the policy is in, 0 for the others",
        unit: None,
        label: "state",
        of: |policy| {
            let states = [
                (State::Healthy, "Healthy"),
                (State::Unhealthy, "Unhealthy"),
                (State::Unknown, "Unknown"),
                (State::Suspended, "Suspended"),
            ];
            states.map(|(state, word)| (word, f64::from(policy.state == state))).into()
        },
    },
    Split {
        name: "pgbackup_policy_backups",
        help: "Complete backups in the store, by what their newest check gave",
        unit: None,
        label: "state",
        of: |policy| {
            let Some(backups) = policy.backups else { return Vec::new() };
            vec![
                ("verified", f64::from(backups.verified)),
                ("suspicious", f64::from(backups.suspicious)),
                ("corrupted", f64::from(backups.corrupted())),
            ]
        },
    },
    Split {
        name: "pgbackup_policy_last_success_stage_duration",
        help: "How long each stage of the run of the newest backup that counts took",
        unit: Some(Unit::Seconds),
        label: "stage",
        of: |policy| {
            let Some(copy) = &policy.last_success else { return Vec::new() };
            let took = |stage: BackupStage| Some((stage.as_str(), *copy.stages.get(stage.as_str())?));
            BackupStage::all().filter_map(took).collect()
        },
    },
    Split {
        name: "pgbackup_policy_last_scrub_backups",
        help: "Backups that the newest scrub looked at, by what it found",
        unit: None,
        label: "result",
        of: |policy| {
            let Some(scrub) = policy.scrub.as_ref().and_then(|scrub| scrub.last) else { return Vec::new() };
            vec![
                ("passed", f64::from(scrub.passed)),
                ("corrupted", f64::from(scrub.corrupted)),
                ("unchecked", f64::from(scrub.unchecked)),
            ]
        },
    },
];

/// All series of these policies.
pub fn encode(encoder: &mut DescriptorEncoder<'_>, policies: &[Overview]) -> fmt::Result {
    for Gauge { name, help, unit, of } in GAUGES {
        let mut metric = encoder.encode_descriptor(name, help, unit.as_ref(), MetricType::Gauge)?;
        for policy in policies {
            if let Some(value) = of(policy) {
                ConstGauge::new(value).encode(metric.encode_family(&labels(policy))?)?;
            }
        }
    }
    for Split { name, help, unit, label, of } in SPLIT {
        let mut metric = encoder.encode_descriptor(name, help, unit.as_ref(), MetricType::Gauge)?;
        for policy in policies {
            let [namespace, name] = labels(policy);
            for (word, value) in of(policy) {
                let labels = [namespace, name, (label, word)];
                ConstGauge::new(value).encode(metric.encode_family(&labels)?)?;
            }
        }
    }
    Ok(())
}

fn labels(policy: &Overview) -> [(&str, &str); 2] {
    [("namespace", &policy.namespace), ("policy", &policy.name)]
}

/// Nothing while the condition is Unknown.
fn healthy(state: ConditionState) -> Option<f64> {
    (state != ConditionState::Unknown).then(|| f64::from(state == ConditionState::Healthy))
}

fn unix(time: Timestamp) -> f64 {
    real(time.as_second().unsigned_abs())
}

#[expect(clippy::cast_precision_loss, reason = "exact up to nine petabytes")]
fn real(number: u64) -> f64 {
    number as f64
}
