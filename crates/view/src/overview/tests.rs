use serde_json::{Value, json};

use super::*;

/// Returns a policy with these conditions (type, status, reason), which becomes overdue at six o'clock.
fn policy(suspend: bool, conditions: &[(&str, &str, &str)]) -> BackupPolicy {
    let conditions: Vec<Value> = conditions
        .iter()
        .map(|(kind, status, reason)| {
            json!({
                "type": kind, "status": status, "reason": reason, "message": format!("message of {kind}"),
                "lastTransitionTime": "2026-11-20T12:00:00Z"
            })
        })
        .collect();
    serde_json::from_value(json!({
        "metadata": {"name": "shop", "namespace": "n"},
        "spec": {
            "schedule": "15 2 * * *",
            "suspend": suspend,
            "postgres": {"version": 17, "connection": {"host": "h", "user": "u", "passwordSecretRef": {"name": "s", "key": "k"}}},
            "storage": {"volume": {"claimName": "c"}}
        },
        "status": {"overdueTime": "2026-11-23T06:00:00Z", "conditions": conditions}
    }))
    .unwrap()
}

fn at(time: &str, policy: &BackupPolicy) -> Overview {
    overview(policy, time.parse().unwrap())
}

#[test]
fn policy_is_shown_overdue_before_its_status_is_written() {
    let healthy = policy(false, &[("Ready", "True", "Accepted"), ("BackupHealthy", "True", "Verified")]);
    let before = at("2026-11-23T05:59:59Z", &healthy);
    assert_eq!((before.state, before.reason.as_str(), before.overdue), (State::Healthy, "Verified", false));
    let after = at("2026-11-23T06:00:00Z", &healthy);
    assert_eq!((after.state, after.reason.as_str(), after.overdue), (State::Unhealthy, "Overdue", true));
    assert_eq!(
        after.message,
        "a backup has been overdue since 2026-11-23 06:00 UTC, but the operator has not updated the status. Check the \
         policy's Jobs and events, then the operator's log."
    );
    for unknown in [policy(false, &[("BackupHealthy", "Unknown", "ReportLost")]), policy(false, &[])] {
        assert_eq!(at("2026-11-23T07:00:00Z", &unknown).reason, "Overdue");
    }
}

#[test]
fn failure_or_suspension_in_status_outranks_overdue() {
    for (suspend, condition, state) in [
        (false, ("BackupHealthy", "False", "DatabaseUnavailable"), State::Unhealthy),
        (false, ("Ready", "False", "InvalidSpec"), State::Unhealthy),
        (false, ("BackupHealthy", "Unknown", "Suspended"), State::Suspended),
        (true, ("BackupHealthy", "True", "Verified"), State::Healthy),
    ] {
        let seen = at("2026-11-23T07:00:00Z", &policy(suspend, &[condition]));
        assert_eq!((seen.state, seen.reason.as_str()), (state, condition.2));
        assert_eq!(seen.message, format!("message of {}", condition.0));
    }
}

#[test]
fn unknown_condition_is_not_shown_as_healthy() {
    for (status, state) in [
        ("True", ConditionState::Healthy),
        ("False", ConditionState::Unhealthy),
        ("Unknown", ConditionState::Unknown),
    ] {
        let conditions = [
            ("RetentionHealthy", status, "AwaitingFirstBackup"),
            ("ScrubHealthy", status, "AwaitingFirstScrub"),
        ];
        let seen = at("2026-11-23T05:00:00Z", &policy(false, &conditions));
        assert_eq!(
            (seen.retention.unwrap().state, seen.scrub.unwrap().check.state),
            (state, state),
            "{status}"
        );
    }
    let seen = at("2026-11-23T05:00:00Z", &policy(false, &[]));
    assert_eq!((seen.retention, seen.scrub), (None, None));
}

#[test]
fn corrupted_count_excludes_verified_and_suspicious() {
    let backups = BackupCounts { all: 5, verified: 2, suspicious: 1, size_bytes: 0 };
    assert_eq!(backups.corrupted(), 2);
    assert_eq!(BackupCounts { all: 1, ..backups }.corrupted(), 0);
}
