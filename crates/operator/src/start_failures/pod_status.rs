//! The reasons why a pod cannot start that its own status shows: images, Secrets, the scheduler, the init
//! container.

use api::meta;
use desired::{Cause, Problem};
use domain::reason::Reason;
use k8s_openapi::api::core::v1::{
    ContainerStateTerminated, ContainerStateWaiting, ContainerStatus, Pod, PodCondition, PodStatus,
};
use kube::ResourceExt;

use super::{kubernetes_messages, stable::stable};

/// Iterates over the statuses of the pod's containers, init containers first.
pub fn container_statuses(status: &PodStatus) -> impl Iterator<Item = &ContainerStatus> {
    status.init_container_statuses.iter().flatten().chain(status.container_statuses.iter().flatten())
}

/// Returns the problem that prevents the pod from starting. Kubelet and scheduler retry forever; the caller
/// decides after which time the problem is reported.
pub fn problem(pod: &Pod) -> Option<Problem> {
    let status = pod.status.as_ref()?;
    let job = pod.labels().get(meta::JOB_NAME_LABEL).map(String::as_str).unwrap_or_default();
    container_statuses(status)
        .find_map(|container| container_problem(container, job))
        .or_else(|| scheduling_problem(pod, status, job))
        .or_else(|| install_problem(status, job))
}

/// Returns whether only events can explain why the pod has not started: its volumes are not mounted, or its
/// sandbox is not ready. After that, the kubelet reports every problem in the status of a container.
pub fn only_events_explain(pod: &Pod) -> bool {
    let Some(status) = &pod.status else { return false };
    let has_started = |container: &ContainerStatus| {
        container.state.as_ref().is_some_and(|state| state.running.is_some() || state.terminated.is_some())
    };
    let has_sandbox =
        condition(status, "PodReadyToStartContainers").is_some_and(|ready| ready.status == "True");
    status.phase.as_deref() == Some("Pending")
        && !has_sandbox
        && !container_statuses(status).any(has_started)
        && problem(pod).is_none()
}

/// Returns the kubelet's message if it could not start the container; `None` if the container was started,
/// because then the message is the container's own.
pub fn start_error(ended: &ContainerStateTerminated) -> Option<&str> {
    let could_not_start = matches!(ended.reason.as_deref(), Some("StartError" | "ContainerCannotRun"));
    ended.message.as_deref().filter(|_| could_not_start)
}

fn condition<'a>(status: &'a PodStatus, type_: &str) -> Option<&'a PodCondition> {
    status.conditions.iter().flatten().find(|condition| condition.type_ == type_)
}

fn container_problem(container: &ContainerStatus, job: &str) -> Option<Problem> {
    let waiting = container.state.as_ref()?.waiting.as_ref()?;
    let ContainerStateWaiting { reason: Some(reason), message } = waiting else { return None };
    let detail = stable(message.as_deref().unwrap_or_default(), job);
    let (reason, message, cause) = match reason.as_str() {
        "ImagePullBackOff"
        | "ErrImagePull"
        | "InvalidImageName"
        | "ErrImageNeverPull"
        | "RegistryUnavailable" => {
            let image = container.image.clone();
            let message = format!("image \"{image}\" cannot be pulled: {}", pull_error(&detail));
            (Reason::ImagePullFailed, message, Some(Cause::Image { image }))
        }
        "CreateContainerConfigError" | "CreateContainerError" | "RunContainerError" => {
            let cause = kubernetes_messages::of_kubelet(&detail);
            let name = &container.name;
            let message = cause.as_ref().and_then(kubernetes_messages::secret_fact);
            // The kubelet uses CreateContainerConfigError for missing Secrets and for other mistakes.
            let is_secret = message.is_some()
                || reason == "CreateContainerConfigError" && detail.to_ascii_lowercase().contains("secret");
            let reason = if is_secret { Reason::SecretNotFound } else { Reason::PodCannotStart };
            (
                reason,
                message.unwrap_or_else(|| format!("container \"{name}\" cannot be created: {detail}")),
                cause,
            )
        }
        _ => return None,
    };
    Some(Problem { reason, message, since: None, cause })
}

/// Removes the prefix `Back-off pulling image "x": ErrImagePull: `, which the kubelet adds to every second
/// message.
fn pull_error(message: &str) -> &str {
    message.rsplit_once("ErrImagePull: ").map_or(message, |(_, error)| error)
}

fn scheduling_problem(pod: &Pod, status: &PodStatus, job: &str) -> Option<Problem> {
    let unscheduled = condition(status, "PodScheduled").filter(|condition| {
        condition.status == "False"
            && matches!(condition.reason.as_deref(), Some("Unschedulable" | "SchedulerError"))
    })?;
    let detail = stable(unscheduled.message.as_deref().unwrap_or_default(), job);
    let cause = kubernetes_messages::of_scheduler(&detail).map(|cause| match cause {
        Cause::ClaimNotBound { .. } => Cause::ClaimNotBound { claim: only_claim(pod) },
        cause => cause,
    });
    Some(Problem {
        reason: Reason::Unschedulable,
        message: format!("no node accepts the pod: {detail}"),
        since: unscheduled.last_transition_time.as_ref().map(|time| time.0),
        cause,
    })
}

fn only_claim(pod: &Pod) -> Option<String> {
    let volumes = pod.spec.iter().flat_map(|spec| spec.volumes.iter().flatten());
    let mut claims = volumes.filter_map(|volume| volume.persistent_volume_claim.as_ref());
    let claim = claims.next()?;
    claims.next().is_none().then(|| claim.claim_name.clone())
}

/// Returns the problem of a failed init container, because of which the runner never started.
fn install_problem(status: &PodStatus, job: &str) -> Option<Problem> {
    let install = container_statuses(status).find(|container| container.name == meta::INSTALL_CONTAINER)?;
    let ended = install.state.as_ref()?.terminated.as_ref().filter(|ended| ended.exit_code != 0)?;
    let detail = start_error(ended).map_or_else(String::new, |error| format!(": {}", stable(error, job)));
    let message = format!("container \"{}\" exited with code {}{detail}", install.name, ended.exit_code);
    Some(Problem { reason: Reason::PodCannotStart, message, since: None, cause: None })
}

#[cfg(test)]
mod tests;
