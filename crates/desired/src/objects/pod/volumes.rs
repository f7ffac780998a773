//! The volumes of a pod, and their mounts.

use domain::operation::Operation;
use k8s_openapi::api::core::v1::{EmptyDirVolumeSource, Volume, VolumeMount};

use super::{store, tls};
use crate::validate::ValidPolicy;

/// The folder into which the init container copies the runner's program.
pub const RUNNER_PATH: &str = "/pgbackup";

/// The only folder into which the runner and the client programs can write, apart from the store.
pub const SCRATCH_PATH: &str = "/scratch";

const RUNNER_VOLUME: &str = "runner";
const SCRATCH_VOLUME: &str = "scratch";

/// Returns the volumes of the pod.
pub fn volumes(policy: &ValidPolicy, operation: Operation) -> Vec<Volume> {
    let mut volumes = vec![empty_dir(RUNNER_VOLUME), empty_dir(SCRATCH_VOLUME)];
    volumes.extend(store::volume(policy));
    volumes.extend(tls::volume(policy, operation));
    volumes
}

/// Returns the mounts of the init container.
pub fn install_mounts() -> Vec<VolumeMount> {
    vec![mount(RUNNER_VOLUME, RUNNER_PATH)]
}

/// Returns the mounts of the container `runner`.
pub fn runner_mounts(policy: &ValidPolicy, operation: Operation) -> Vec<VolumeMount> {
    let runner = VolumeMount { read_only: Some(true), ..mount(RUNNER_VOLUME, RUNNER_PATH) };
    let mut mounts = vec![runner, mount(SCRATCH_VOLUME, SCRATCH_PATH)];
    mounts.extend(store::mount(policy));
    mounts.extend(tls::volume(policy, operation).map(|_| tls::mount()));
    mounts
}

fn mount(name: &str, path: &str) -> VolumeMount {
    VolumeMount { name: name.to_owned(), mount_path: path.to_owned(), ..VolumeMount::default() }
}

fn empty_dir(name: &str) -> Volume {
    Volume { name: name.to_owned(), empty_dir: Some(EmptyDirVolumeSource::default()), ..Volume::default() }
}
