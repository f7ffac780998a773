//! The images of a pod, as the operator is configured.

/// The operator's settings that become part of objects.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Images {
    /// The image of the init container, which copies the runner into the pod.
    pub runner: String,
    /// The repository of the image for `postgres.version`: `docker.io/library/postgres`.
    pub postgres_repository: String,
    /// `IfNotPresent`, `Always` or `Never`.
    pub pull_policy: String,
}
