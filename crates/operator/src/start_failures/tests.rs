use desired::Cause;
use serde_json::{Value, json};

use super::*;

const JOB: &str = "shop-backup-29923291";

fn event(at: &str, reason: &str, message: &str) -> Value {
    json!({"metadata": {}, "involvedObject": {}, "lastTimestamp": at, "reason": reason, "message": message})
}

fn newest(events: &[Value], not_before: Option<&str>) -> Option<Problem> {
    let events = events.iter().map(|event| serde_json::from_value(event.clone()).unwrap()).collect();
    newest_problem(events, JOB, not_before.map(|time| time.parse().unwrap()))
}

#[test]
fn pod_events_are_polled_less_often_as_a_wait_grows() {
    let since: Timestamp = "2026-11-23T02:15:00Z".parse().unwrap();
    let wait = UnexplainedWait { uid: "j".to_owned(), since };
    let after = |seconds| pause(&wait, since + SignedDuration::from_secs(seconds));
    assert_eq!([30, 60, 149, 150, 7200].map(after), [10, 10, 10, 60, 60].map(Duration::from_secs));
}

#[test]
fn newest_informative_warning_event_is_reported() {
    let problem = newest(
        &[
            event(
                "2026-11-23T02:15:09Z",
                "FailedCreate",
                "Error creating: exceeded quota: small, requested: pods=1",
            ),
            event("2026-11-23T02:15:01Z", "FailedCreate", "Error creating: denied by a policy"),
            event(
                "2026-11-23T02:17:01Z",
                "FailedMount",
                "unmounted volumes=[a]: timed out waiting for the condition",
            ),
        ],
        None,
    )
    .unwrap();
    assert_eq!(problem.reason, Reason::PodCannotStart);
    assert_eq!(problem.message, "the pod cannot be created: exceeded quota: small, requested: pods=1");
    assert_eq!(problem.cause, Some(Cause::QuotaExceeded { quota: "small".into() }));
    assert_eq!(newest(&[], None), None);
}

#[test]
fn outdated_scheduling_warning_about_a_claim_is_ignored() {
    let message = "0/1 nodes are available: pod has unbound immediate PersistentVolumeClaims.";
    assert_eq!(newest(&[event("2026-11-23T02:15:01Z", "FailedScheduling", message)], None), None);
}

#[test]
fn warning_event_of_an_earlier_attempt_is_ignored() {
    let denied = event("2026-11-23T02:15:01Z", "FailedCreate", "Error creating: denied");
    let events = std::slice::from_ref(&denied);
    assert!(newest(events, Some("2026-11-23T02:15:01Z")).is_some());
    assert_eq!(newest(events, Some("2026-11-23T02:15:02Z")), None);
}

#[test]
fn message_is_the_same_for_each_rejected_pod_of_a_job() {
    let problems = ["7xk2p", "q9z4m"].map(|random| {
        let message =
            format!("Error creating: pods \"{JOB}-{random}\" is forbidden: exceeded quota: small, used: 2");
        newest(&[event("2026-11-23T02:15:01Z", "FailedCreate", &message)], None).unwrap()
    });
    assert_eq!(problems[0], problems[1]);
    let merged = "(combined from similar events): Error creating: denied";
    let merged = newest(&[event("2026-11-23T02:15:01Z", "FailedCreate", merged)], None).unwrap();
    assert_eq!(merged.message, "the pod cannot be created: denied");
}

#[test]
fn missing_volume_secret_is_reported_as_secret_not_found() {
    let message = "MountVolume.SetUp failed for volume \"tls\" : secret \"shop-ca\" not found";
    let problem = newest(&[event("2026-11-23T02:15:01Z", "FailedMount", message)], None).unwrap();
    assert_eq!(problem.reason, Reason::SecretNotFound);
    assert_eq!(problem.message, "Secret \"shop-ca\" does not exist");
    assert_eq!(problem.cause, Some(Cause::SecretNotFound { secret: "shop-ca".into() }));
}
