//! The images of a pod, as configured in the operator.

/// The operator's settings that determine the images of pods.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Images {
    /// The image of the init container, which copies the runner into the pod.
    pub runner: String,
    /// The repository of the image for `postgres.version`, for example `docker.io/library/postgres`.
    pub postgres_repository: String,
    /// The pull policy of all images: `IfNotPresent`, `Always` or `Never`.
    pub pull_policy: String,
}
