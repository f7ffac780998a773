//! A pod reduced to what it shows about its run: the report, how the runner ended, and why the pod cannot
//! start.

use api::meta;
use desired::{ContainerExit, Problem};
use domain::{reason::Reason, report::RunReport};
use jiff::Timestamp;
use k8s_openapi::api::core::v1::{Pod, PodStatus};

use crate::start_failures::pod_status::{container_statuses, only_events_explain, problem, start_error};

#[derive(Clone, Debug, PartialEq)]
pub struct PodSummary {
    pub created: Timestamp,
    /// Whether the pod is still running or pending, so that a report can still arrive.
    pub unfinished: bool,
    pub report: Option<RunReport>,
    pub container: Option<ContainerExit>,
    pub problem: Option<Problem>,
    /// Whether the pod has not started and its status does not explain why.
    pub unexplained: bool,
    /// The time at which the runner ended.
    pub ended: Option<Timestamp>,
}

impl PodSummary {
    pub fn new(pod: &Pod) -> Self {
        let status = pod.status.clone().unwrap_or_default();
        let runner = container_statuses(&status).find(|container| container.name == meta::RUNNER_CONTAINER);
        let terminated = runner.and_then(|container| container.state.as_ref()?.terminated.as_ref());
        let message = terminated.and_then(|terminated| terminated.message.as_deref());
        let exit = terminated.map(|terminated| ContainerExit {
            reason: terminated.reason.clone().unwrap_or_default(),
            exit_code: terminated.exit_code,
            message: start_error(terminated).map(str::to_owned),
        });
        let succeeded = exit.as_ref().is_some_and(|exit| exit.exit_code == 0);
        let disruption = disruption(&status).filter(|_| !succeeded);
        Self {
            created: pod.metadata.creation_timestamp.as_ref().map_or(Timestamp::UNIX_EPOCH, |time| time.0),
            unfinished: !matches!(status.phase.as_deref(), Some("Succeeded" | "Failed")),
            report: message.and_then(RunReport::parse),
            container: disruption.or(exit),
            problem: problem(pod),
            unexplained: only_events_explain(pod),
            ended: terminated.and_then(|terminated| terminated.finished_at.as_ref()).map(|time| time.0),
        }
    }

    /// Returns whether the pod shows anything about its run.
    pub const fn has_result(&self) -> bool {
        self.report.is_some() || self.container.is_some() || self.problem.is_some()
    }
}

/// Returns how a pod ended that was evicted or whose node is lost; `None` for other pods. If the node is
/// lost, nothing reports how the containers ended, so this condition is the only information.
fn disruption(status: &PodStatus) -> Option<ContainerExit> {
    let disruption = status
        .conditions
        .iter()
        .flatten()
        .find(|condition| condition.type_ == "DisruptionTarget" && condition.status == "True");
    let cause = disruption.and_then(|condition| condition.reason.as_deref());
    let (reason, message) = match (cause, status.reason.as_deref()) {
        // The pod's own message has more detail than the kubelet's condition.
        (_, Some("Evicted")) => (Reason::Evicted, status.message.as_deref()),
        (Some("DeletionByPodGC" | "DeletionByTaintManager"), _) => (Reason::NodeLost, None),
        (Some(_), _) => (Reason::Evicted, None),
        (None, _) => return None,
    };
    let message = message.or_else(|| disruption?.message.as_deref());
    let message = message.map(|message| message.trim().trim_end_matches('.'));
    let message = message.filter(|message| !message.is_empty()).map(str::to_owned);
    Some(ContainerExit { reason: reason.as_str().to_owned(), exit_code: -1, message })
}

#[cfg(test)]
mod tests {
    use serde_json::{Value, json};

    use super::*;

    fn pod(status: &Value) -> PodSummary {
        let pod =
            json!({"metadata": {"name": "p", "creationTimestamp": "2026-11-23T02:15:00Z"}, "status": status});
        PodSummary::new(&serde_json::from_value(pod).unwrap())
    }

    #[test]
    fn killed_runner_without_report_keeps_its_exit_code() {
        let killed = pod(&json!({"containerStatuses": [{
            "name": "runner", "image": "i", "imageID": "", "ready": false, "restartCount": 0,
            "state": {"terminated": {"exitCode": 137, "reason": "OOMKilled", "message": "not a report"}}
        }]}));
        let exit = ContainerExit { reason: "OOMKilled".into(), exit_code: 137, message: None };
        assert_eq!(killed.container, Some(exit));
        assert_eq!(killed.report, None);
        assert!(killed.has_result());
    }

    #[test]
    fn kubelet_message_of_unstartable_container_is_kept() {
        const MESSAGE: &str = "exec: \"/pgbackup/pgbackup-runner\": permission denied";
        let ended = |key: &str, container: &str| {
            pod(&json!({key: [{
                "name": container, "image": "i", "imageID": "", "ready": false, "restartCount": 0,
                "state": {"terminated": {"exitCode": 128, "reason": "StartError", "message": MESSAGE}}
            }]}))
        };
        let runner = ended("containerStatuses", "runner").container.unwrap();
        assert_eq!(runner.message.as_deref(), Some(MESSAGE));
        let install = ended("initContainerStatuses", "install").problem.unwrap();
        assert!(install.message.ends_with(MESSAGE), "{}", install.message);
    }

    #[test]
    fn evicted_pod_is_reported_as_evicted_despite_exit_code() {
        let evicted = pod(&json!({
            "reason": "Evicted", "phase": "Failed", "message": "The node was low on resource: memory. ",
            "conditions": [disruption("TerminationByKubelet", "The node was low")],
            "containerStatuses": [runner_ended(137)]
        }));
        let container = evicted.container.unwrap();
        assert_eq!((container.reason.as_str(), container.exit_code), ("Evicted", -1));
        assert_eq!(container.message.as_deref(), Some("The node was low on resource: memory"));
    }

    #[test]
    fn pod_disruption_is_reported_as_evicted_or_node_lost() {
        for (cause, reason) in [
            ("DeletionByPodGC", Reason::NodeLost),
            ("DeletionByTaintManager", Reason::NodeLost),
            ("EvictionByEvictionAPI", Reason::Evicted),
            ("PreemptionByScheduler", Reason::Evicted),
            ("TerminationByKubelet", Reason::Evicted),
            ("UnknownToThisOperator", Reason::Evicted),
        ] {
            // If the node is lost, the last known state of the runner is `running`.
            let running = json!({"name": "runner", "image": "i", "imageID": "", "ready": true, "restartCount": 0, "state": {"running": {}}});
            for runner in [running, runner_ended(137)] {
                let pod =
                    pod(&json!({"conditions": [disruption(cause, "detail")], "containerStatuses": [runner]}));
                let container = pod.container.unwrap();
                assert_eq!(container.reason, reason.as_str(), "{cause}");
                assert_eq!(container.message.as_deref(), Some("detail"), "{cause}");
            }
        }
    }

    #[test]
    fn disruption_is_ignored_if_cancelled_or_pod_succeeded() {
        let mut spared = disruption("EvictionByEvictionAPI", "detail");
        spared["status"] = json!("False");
        assert_eq!(pod(&json!({"conditions": [spared]})).container, None);
        let ended_before = pod(&json!({
            "conditions": [disruption("DeletionByPodGC", "detail")], "containerStatuses": [runner_ended(0)]
        }));
        assert_eq!(ended_before.container.unwrap().exit_code, 0);
    }

    fn disruption(cause: &str, message: &str) -> Value {
        json!({"type": "DisruptionTarget", "status": "True", "reason": cause, "message": message})
    }

    fn runner_ended(exit_code: i32) -> Value {
        json!({
            "name": "runner", "image": "i", "imageID": "", "ready": false, "restartCount": 0,
            "state": {"terminated": {"exitCode": exit_code, "reason": "Error"}}
        })
    }
}
