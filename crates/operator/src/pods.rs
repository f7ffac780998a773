//! What a pod says of its run: the report, how its runner ended, why it cannot start.

use api::meta;
use desired::{ContainerExit, Problem};
use domain::{reason::Reason, report::RunReport};
use jiff::Timestamp;
use k8s_openapi::api::core::v1::{
    ContainerState, ContainerStateTerminated, ContainerStateWaiting, ContainerStatus, Pod, PodStatus,
};

/// A pod, reduced.
#[derive(Clone, Debug, PartialEq)]
pub struct SeenPod {
    /// When it was made.
    pub created: Timestamp,
    /// It has not come to its end: what it has to say may still come.
    pub unfinished: bool,
    /// What its runner reported.
    pub report: Option<RunReport>,
    /// How its runner ended.
    pub container: Option<ContainerExit>,
    /// Why it cannot start.
    pub problem: Option<Problem>,
    /// None of its containers has started, and it does not say why.
    pub silent: bool,
    /// When its runner ended.
    pub ended: Option<Timestamp>,
}

impl SeenPod {
    /// Whether there is anything to tell of it.
    pub const fn says_something(&self) -> bool {
        self.report.is_some() || self.container.is_some() || self.problem.is_some()
    }
}

/// Reads a pod.
pub fn seen(pod: &Pod) -> SeenPod {
    let status = pod.status.clone().unwrap_or_default();
    let runner = container_statuses(&status).find(|container| container.name == meta::RUNNER_CONTAINER);
    let terminated = runner.and_then(|container| container.state.as_ref()?.terminated.as_ref());
    let message = terminated.and_then(|terminated| terminated.message.as_deref());
    let ended = terminated.map(|terminated| ContainerExit {
        reason: terminated.reason.clone().unwrap_or_default(),
        exit_code: terminated.exit_code,
        message: start_error(terminated).map(str::to_owned),
    });
    let ended_well = ended.as_ref().is_some_and(|ended| ended.exit_code == 0);
    let taken = taken_away(&status).filter(|_| !ended_well);
    let problem = problem(pod, &status);
    let started = |container: &ContainerStatus| {
        container.state.as_ref().is_some_and(|state| state.running.is_some() || state.terminated.is_some())
    };
    SeenPod {
        silent: problem.is_none()
            && status.phase.as_deref() == Some("Pending")
            && !container_statuses(&status).any(started),
        created: pod.metadata.creation_timestamp.as_ref().map_or(Timestamp::UNIX_EPOCH, |time| time.0),
        unfinished: !matches!(status.phase.as_deref(), Some("Succeeded" | "Failed")),
        ended: terminated.and_then(|terminated| terminated.finished_at.as_ref()).map(|time| time.0),
        report: message.and_then(RunReport::parse),
        container: taken.or(ended),
        problem,
    }
}

fn container_statuses(status: &PodStatus) -> impl Iterator<Item = &ContainerStatus> {
    status.init_container_statuses.iter().flatten().chain(status.container_statuses.iter().flatten())
}

/// That the pod was taken away from its run. Where its node is gone, nobody is left to say how its containers ended: this
/// condition is all there is.
fn taken_away(status: &PodStatus) -> Option<ContainerExit> {
    let disruption = status
        .conditions
        .iter()
        .flatten()
        .find(|condition| condition.type_ == "DisruptionTarget" && condition.status == "True");
    let by = disruption.and_then(|condition| condition.reason.as_deref());
    let (reason, words) = match (by, status.reason.as_deref()) {
        // The kubelet's condition says the same in fewer words.
        (_, Some("Evicted")) => (Reason::Evicted, status.message.as_deref()),
        (Some("DeletionByPodGC" | "DeletionByTaintManager"), _) => (Reason::NodeLost, None),
        (Some(_), _) => (Reason::Evicted, None),
        (None, _) => return None,
    };
    let words = words.or_else(|| disruption?.message.as_deref());
    let words = words.map(|words| words.trim().trim_end_matches('.'));
    let message = words.filter(|words| !words.is_empty()).map(str::to_owned);
    Some(ContainerExit { reason: reason.as_str().to_owned(), exit_code: -1, message })
}

/// Why the pod cannot start. The kubelet and the scheduler try for ever; when people are told is not decided
/// here.
fn problem(pod: &Pod, status: &PodStatus) -> Option<Problem> {
    if let Some(problem) = container_statuses(status).find_map(container_problem) {
        return Some(problem);
    }
    let unscheduled = status.conditions.iter().flatten().find(|condition| {
        condition.type_ == "PodScheduled"
            && condition.status == "False"
            && condition.reason.as_deref() == Some("Unschedulable")
    });
    if let Some(condition) = unscheduled {
        let words = condition.message.clone().unwrap_or_default();
        return Some(Problem {
            reason: Reason::Unschedulable,
            message: format!("no node takes the pod: {words}"),
            since: condition.last_transition_time.as_ref().map(|time| time.0),
            cause: None,
        });
    }
    install_failed(pod, status)
}

fn container_problem(container: &ContainerStatus) -> Option<Problem> {
    let ContainerState { waiting: Some(ContainerStateWaiting { reason: Some(word), message }), .. } =
        container.state.as_ref()?
    else {
        return None;
    };
    let words = message.clone().unwrap_or_default();
    let (reason, message) = match word.as_str() {
        "ImagePullBackOff"
        | "ErrImagePull"
        | "InvalidImageName"
        | "ErrImageNeverPull"
        | "RegistryUnavailable" => (
            Reason::ImagePullFailed,
            format!("image {} cannot be pulled: {}", container.image, pull_error(&words)),
        ),
        // The kubelet says `secret "x" not found`, `couldn't find key k in Secret n/x`, and the same word for more.
        "CreateContainerConfigError" if words.to_ascii_lowercase().contains("secret") => {
            (Reason::SecretNotFound, words)
        }
        "CreateContainerConfigError" | "CreateContainerError" | "RunContainerError" => {
            (Reason::PodCannotStart, format!("container {}: {words}", container.name))
        }
        _ => return None,
    };
    Some(Problem { reason, message, since: None, cause: None })
}

/// The kubelet's words alternate between the error and `Back-off pulling image "x": ErrImagePull: <the error>`. Only
/// the error is kept, or the status would change at each turn.
fn pull_error(words: &str) -> &str {
    words.rsplit_once("ErrImagePull: ").map_or(words, |(_, error)| error)
}

/// The kubelet's words where it could not start a container. Of one that was started, the message is its own.
fn start_error(ended: &ContainerStateTerminated) -> Option<&str> {
    let reason = ended.reason.as_deref();
    ended.message.as_deref().filter(|_| matches!(reason, Some("StartError" | "ContainerCannotRun")))
}

/// The init container ended with an error: the runner never came.
fn install_failed(pod: &Pod, status: &PodStatus) -> Option<Problem> {
    let install = container_statuses(status).find(|container| container.name == meta::INSTALL_CONTAINER)?;
    let ended = install.state.as_ref()?.terminated.as_ref().filter(|ended| ended.exit_code != 0)?;
    let name = pod.metadata.name.as_deref().unwrap_or_default();
    let words = start_error(ended).map_or_else(String::new, |words| format!(": {words}"));
    let message =
        format!("container {} of pod {name} ended with exit code {}{words}", install.name, ended.exit_code);
    Some(Problem { reason: Reason::PodCannotStart, message, since: None, cause: None })
}

#[cfg(test)]
mod tests {
    use serde_json::{Value, json};

    use super::*;

    fn pod(status: &Value) -> SeenPod {
        let pod =
            json!({"metadata": {"name": "p", "creationTimestamp": "2026-11-23T02:15:00Z"}, "status": status});
        seen(&serde_json::from_value(pod).unwrap())
    }

    fn waiting(container: &str, reason: &str, words: &str) -> SeenPod {
        let key = if container == "install" { "initContainerStatuses" } else { "containerStatuses" };
        pod(&json!({key: [{
            "name": container, "image": "nope:1", "imageID": "", "ready": false, "restartCount": 0,
            "state": {"waiting": {"reason": reason, "message": words}}
        }]}))
    }

    #[test]
    fn a_pod_that_cannot_start_says_why() {
        const CONFIG: &str = "CreateContainerConfigError";
        for (container, word, words, reason) in [
            ("install", "ErrImagePull", "not found", Some(Reason::ImagePullFailed)),
            ("runner", "ImagePullBackOff", "not found", Some(Reason::ImagePullFailed)),
            ("runner", CONFIG, "secret \"shop-db\" not found", Some(Reason::SecretNotFound)),
            ("runner", CONFIG, "couldn't find key user in Secret n/shop-db", Some(Reason::SecretNotFound)),
            (
                "runner",
                CONFIG,
                "container has runAsNonRoot and image will run as root",
                Some(Reason::PodCannotStart),
            ),
            ("runner", "RunContainerError", "exec format error", Some(Reason::PodCannotStart)),
            ("runner", "PodInitializing", "", None),
            ("runner", "ContainerCreating", "", None),
        ] {
            let problem = waiting(container, word, words).problem;
            assert_eq!(problem.as_ref().map(|problem| problem.reason), reason, "{word}: {words}");
            assert!(problem.is_none_or(|problem| problem.message.contains(words)), "{word}: {words}");
        }
    }

    #[test]
    fn a_pull_that_is_tried_again_says_the_same_as_before() {
        let error = "failed to pull and unpack image \"nope:1\": not found";
        assert_eq!(pull_error(&format!("Back-off pulling image \"nope:1\": ErrImagePull: {error}")), error);
        assert_eq!(pull_error(error), error);
    }

    #[test]
    fn a_pod_that_no_node_takes_says_what_the_scheduler_says() {
        let seen = pod(&json!({"conditions": [
            {"type": "PodScheduled", "status": "False", "reason": "Unschedulable", "message": "persistentvolumeclaim \"x\" not found",
             "lastTransitionTime": "2026-11-23T02:15:01Z"}
        ]}));
        let problem = seen.problem.unwrap();
        assert_eq!(problem.reason, Reason::Unschedulable);
        assert!(problem.message.contains("persistentvolumeclaim \"x\" not found"));
        assert_eq!(problem.since, Some("2026-11-23T02:15:01Z".parse().unwrap()));
    }

    #[test]
    fn a_runner_that_ended_leaves_its_exit_and_its_report_if_it_is_one() {
        let seen = pod(&json!({"containerStatuses": [{
            "name": "runner", "image": "i", "imageID": "", "ready": false, "restartCount": 0,
            "state": {"terminated": {"exitCode": 137, "reason": "OOMKilled", "message": "not a report"}}
        }]}));
        let killed = ContainerExit { reason: "OOMKilled".into(), exit_code: 137, message: None };
        assert_eq!(seen.container, Some(killed));
        assert_eq!(seen.report, None);
        assert!(seen.says_something());
    }

    #[test]
    fn a_container_that_could_not_be_started_has_the_kubelets_words() {
        const WORDS: &str = "exec: \"/pgbackup/pgbackup-runner\": permission denied";
        let ended = |key: &str, container: &str| {
            pod(&json!({key: [{
                "name": container, "image": "i", "imageID": "", "ready": false, "restartCount": 0,
                "state": {"terminated": {"exitCode": 128, "reason": "StartError", "message": WORDS}}
            }]}))
        };
        let runner = ended("containerStatuses", "runner").container.unwrap();
        assert_eq!(runner.message.as_deref(), Some(WORDS));
        let install = ended("initContainerStatuses", "install").problem.unwrap();
        assert!(install.message.ends_with(WORDS), "{}", install.message);
    }

    #[test]
    fn an_evicted_pod_is_evicted_whatever_its_container_says() {
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
    fn a_pod_that_is_taken_away_says_by_whom() {
        for (by, reason) in [
            ("DeletionByPodGC", Reason::NodeLost),
            ("DeletionByTaintManager", Reason::NodeLost),
            ("EvictionByEvictionAPI", Reason::Evicted),
            ("PreemptionByScheduler", Reason::Evicted),
            ("TerminationByKubelet", Reason::Evicted),
            ("SomethingOfTomorrow", Reason::Evicted),
        ] {
            // Its node is gone: the last that was heard of its runner is that it runs.
            let running = json!({"name": "runner", "image": "i", "imageID": "", "ready": true, "restartCount": 0, "state": {"running": {}}});
            for runner in [running, runner_ended(137)] {
                let seen =
                    pod(&json!({"conditions": [disruption(by, "words")], "containerStatuses": [runner]}));
                let container = seen.container.unwrap();
                assert_eq!(container.reason, reason.as_str(), "{by}");
                assert_eq!(container.message.as_deref(), Some("words"), "{by}");
            }
        }
    }

    #[test]
    fn a_pod_that_was_spared_or_had_ended_well_was_not_taken_away() {
        let mut spared = disruption("EvictionByEvictionAPI", "words");
        spared["status"] = json!("False");
        assert_eq!(pod(&json!({"conditions": [spared]})).container, None);
        let ended_before = pod(&json!({
            "conditions": [disruption("DeletionByPodGC", "words")], "containerStatuses": [runner_ended(0)]
        }));
        assert_eq!(ended_before.container.unwrap().exit_code, 0);
    }

    fn disruption(by: &str, words: &str) -> Value {
        json!({"type": "DisruptionTarget", "status": "True", "reason": by, "message": words})
    }

    fn runner_ended(exit_code: i32) -> Value {
        json!({
            "name": "runner", "image": "i", "imageID": "", "ready": false, "restartCount": 0,
            "state": {"terminated": {"exitCode": exit_code, "reason": "Error"}}
        })
    }
}
