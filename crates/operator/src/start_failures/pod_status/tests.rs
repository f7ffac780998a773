use serde_json::{Value, json};

use super::*;

const JOB: &str = "shop-backup-29923291";

fn pod(status: &Value) -> Pod {
    serde_json::from_value(json!({
        "metadata": {"name": format!("{JOB}-7xk2p"), "labels": {meta::JOB_NAME_LABEL: JOB}},
        "spec": {"containers": [], "volumes": [{"name": "store", "persistentVolumeClaim": {"claimName": "backups"}}]},
        "status": status
    }))
    .unwrap()
}

fn waiting(container: &str, reason: &str, message: &str) -> Option<Problem> {
    let key = if container == "install" { "initContainerStatuses" } else { "containerStatuses" };
    problem(&pod(&json!({key: [{
        "name": container, "image": "nope:1", "imageID": "", "ready": false, "restartCount": 0,
        "state": {"waiting": {"reason": reason, "message": message}}
    }]})))
}

fn unscheduled(reason: &str, message: &str) -> Value {
    json!({"phase": "Pending", "conditions": [{
        "type": "PodScheduled", "status": "False", "reason": reason, "message": message,
        "lastTransitionTime": "2026-11-23T02:15:01Z"
    }]})
}

#[test]
fn waiting_container_is_reported_with_reason_and_cause() {
    const CONFIG: &str = "CreateContainerConfigError";
    let image = || Some(Cause::Image { image: "nope:1".into() });
    let secret = || Some(Cause::SecretNotFound { secret: "shop-db".into() });
    let key = Some(Cause::SecretKeyNotFound { secret: "shop-db".into(), key: "user".into() });
    let pull = "image \"nope:1\" cannot be pulled: not found";
    for (container, state, detail, reason, message, cause) in [
        ("install", "ErrImagePull", "not found", Reason::ImagePullFailed, pull, image()),
        ("runner", "ImagePullBackOff", "not found", Reason::ImagePullFailed, pull, image()),
        (
            "runner",
            CONFIG,
            "secret \"shop-db\" not found",
            Reason::SecretNotFound,
            "Secret \"shop-db\" does not exist",
            secret(),
        ),
        (
            "runner",
            CONFIG,
            "couldn't find key user in Secret n/shop-db",
            Reason::SecretNotFound,
            "Secret \"shop-db\" has no key \"user\"",
            key,
        ),
        (
            "runner",
            CONFIG,
            "container has runAsNonRoot and image will run as root",
            Reason::PodCannotStart,
            "container \"runner\" cannot be created: container has runAsNonRoot and image will run as root",
            None,
        ),
        (
            "runner",
            "RunContainerError",
            "exec format error",
            Reason::PodCannotStart,
            "container \"runner\" cannot be created: exec format error",
            None,
        ),
    ] {
        let expected = Problem { reason, message: message.into(), since: None, cause };
        assert_eq!(waiting(container, state, detail), Some(expected), "{state}: {detail}");
    }
    for state in ["PodInitializing", "ContainerCreating"] {
        assert_eq!(waiting("runner", state, ""), None);
    }
}

#[test]
fn failed_image_pull_has_the_same_message_at_each_retry() {
    let error = "failed to pull and unpack image \"nope:1\": not found";
    let back_off = format!("Back-off pulling image \"nope:1\": ErrImagePull: {error}");
    assert_eq!(waiting("runner", "ErrImagePull", error), waiting("runner", "ImagePullBackOff", &back_off));
}

#[test]
fn unscheduled_pod_is_reported_with_scheduler_message() {
    let problem =
        problem(&pod(&unscheduled("Unschedulable", "persistentvolumeclaim \"x\" not found"))).unwrap();
    assert_eq!(problem.reason, Reason::Unschedulable);
    assert_eq!(problem.message, "no node accepts the pod: persistentvolumeclaim \"x\" not found");
    assert_eq!(problem.since, Some("2026-11-23T02:15:01Z".parse().unwrap()));
    assert_eq!(problem.cause, Some(Cause::ClaimNotFound { claim: "x".into() }));
}

#[test]
fn unbound_volume_claim_is_reported_by_name() {
    let message = "0/1 nodes are available: pod has unbound immediate PersistentVolumeClaims. not found";
    let problem = problem(&pod(&unscheduled("Unschedulable", message))).unwrap();
    assert_eq!(problem.cause, Some(Cause::ClaimNotBound { claim: Some("backups".into()) }));
}

#[test]
fn node_selector_matching_no_node_is_reported_as_cause() {
    let message = "0/2 nodes are available: 2 node(s) didn't match Pod's node affinity/selector.";
    let problem = problem(&pod(&unscheduled("Unschedulable", message))).unwrap();
    assert_eq!(problem.cause, Some(Cause::NodeSelector));
}

#[test]
fn scheduler_error_is_reported_and_scheduling_gate_is_not() {
    assert!(problem(&pod(&unscheduled("SchedulerError", "no answer"))).is_some());
    assert_eq!(problem(&pod(&unscheduled("SchedulingGated", "waiting for a gate"))), None);
}

#[test]
fn message_of_failed_init_container_omits_random_pod_name() {
    let ended = |message: &str| {
        problem(&pod(&json!({"initContainerStatuses": [{
            "name": "install", "image": "i", "imageID": "", "ready": false, "restartCount": 0,
            "state": {"terminated": {"exitCode": 128, "reason": "StartError", "message": message}}
        }]})))
    };
    let problem = ended(&format!("container name runner_{JOB}-7xk2p_n is reserved")).unwrap();
    let message =
        format!("container \"install\" exited with code 128: container name runner_{JOB}_n is reserved");
    assert_eq!(problem.message, message);
}

#[test]
fn pod_events_are_needed_only_until_its_sandbox_is_ready() {
    let pending = |conditions: Value| pod(&json!({"phase": "Pending", "conditions": conditions}));
    let scheduled = json!({"type": "PodScheduled", "status": "True"});
    assert!(only_events_explain(&pending(json!([scheduled]))));
    let ready = json!({"type": "PodReadyToStartContainers", "status": "True"});
    assert!(
        !only_events_explain(&pending(json!([scheduled, ready]))),
        "what follows is in the containers' status"
    );
    assert!(
        !only_events_explain(&pod(&unscheduled("Unschedulable", "no room"))),
        "the condition explains it"
    );
    let running = json!({"phase": "Pending", "initContainerStatuses": [{
        "name": "install", "image": "i", "imageID": "", "ready": false, "restartCount": 0, "state": {"running": {}}
    }]});
    assert!(!only_events_explain(&pod(&running)));
}
