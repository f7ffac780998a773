use serde_json::{Value, json};

use super::*;

/// A policy that is overdue from six o'clock on, with these conditions: type, status, reason.
fn policy(suspend: bool, conditions: &[(&str, &str, &str)]) -> BackupPolicy {
    let conditions: Vec<Value> = conditions
        .iter()
        .map(|(kind, status, reason)| {
            json!({
                "type": kind, "status": status, "reason": reason, "message": format!("{kind} says why"),
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
fn a_policy_is_unhealthy_from_the_moment_it_is_overdue_though_nobody_writes_that_down() {
    let good = policy(false, &[("Ready", "True", "Accepted"), ("BackupHealthy", "True", "Verified")]);
    let before = at("2026-11-23T05:59:59Z", &good);
    assert_eq!((before.state, before.reason.as_str(), before.overdue), (State::Healthy, "Verified", false));
    let after = at("2026-11-23T06:00:00Z", &good);
    assert_eq!((after.state, after.reason.as_str(), after.overdue), (State::Unhealthy, "Overdue", true));
    assert!(!after.state.is_good());
    assert!(after.message.contains("since 2026-11-23 06:00 UTC a backup is missing"), "{}", after.message);
    // Not known is not known to be well.
    for unknown in [policy(false, &[("BackupHealthy", "Unknown", "ReportLost")]), policy(false, &[])] {
        assert_eq!(at("2026-11-23T07:00:00Z", &unknown).reason, "Overdue");
    }
}

#[test]
fn what_else_is_wrong_is_said_first_and_a_policy_that_rests_is_not_overdue() {
    for (suspend, condition, state) in [
        (false, ("BackupHealthy", "False", "DatabaseUnavailable"), State::Unhealthy),
        (false, ("Ready", "False", "InvalidSpec"), State::Unhealthy),
        (false, ("BackupHealthy", "Unknown", "Suspended"), State::Suspended),
        (true, ("BackupHealthy", "True", "Verified"), State::Healthy),
    ] {
        let seen = at("2026-11-23T07:00:00Z", &policy(suspend, &[condition]));
        assert_eq!((seen.state, seen.reason.as_str()), (state, condition.2));
        assert_eq!(seen.message, format!("{} says why", condition.0));
    }
}

#[test]
fn copies_that_are_neither_good_nor_wait_have_failed() {
    let backups = Backups { all: 5, verified: 2, suspicious: 1, size_bytes: 0 };
    assert_eq!(backups.failed(), 2);
    assert_eq!(Backups { all: 1, ..backups }.failed(), 0);
}
