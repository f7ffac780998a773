//! Hints for the causes because of which a pod cannot start or an object is rejected.

use crate::observed::Cause;

/// Returns a hint that removes a cause, with the names of the objects.
pub fn cause_hint(cause: &Cause) -> String {
    match cause {
        Cause::Image { image } => {
            format!(
                "Correct postgres.version or postgres.image, or give the nodes access to the registry of \"{image}\"."
            )
        }
        Cause::SecretNotFound { secret } => {
            format!(
                "Create Secret \"{secret}\" in the policy's namespace, or correct its name in the policy."
            )
        }
        Cause::SecretKeyNotFound { secret, key } => {
            format!("Add key \"{key}\" to Secret \"{secret}\", or correct the key in the policy.")
        }
        Cause::ClaimNotFound { claim } => {
            format!("Create PersistentVolumeClaim \"{claim}\", or correct storage.volume.claimName.")
        }
        Cause::ClaimNotBound { claim: Some(claim) } => {
            format!(
                "Provide a volume for PersistentVolumeClaim \"{claim}\": \"kubectl describe pvc {claim}\" shows its events."
            )
        }
        Cause::ClaimNotBound { claim: None } => {
            "Provide a volume for the PersistentVolumeClaim: \"kubectl describe pvc\" shows its events."
                .to_owned()
        }
        Cause::InsufficientResource { resource } => {
            format!("Lower job.resources.requests, or free {resource} on a node.")
        }
        Cause::UntoleratedTaint { taint } => {
            format!("Add a toleration of taint \"{taint}\" to job.tolerations, or remove the taint.")
        }
        Cause::NodeSelector => {
            "Correct job.nodeSelector and job.affinity, or label a node accordingly.".to_owned()
        }
        Cause::QuotaExceeded { quota } => {
            format!("Raise ResourceQuota \"{quota}\", or delete other objects that it counts.")
        }
        Cause::QuotaNeedsResources { quota, resources } => {
            format!("Set {resources} in job.resources: ResourceQuota \"{quota}\" requires them.")
        }
        Cause::ServiceAccountNotFound { account } => {
            format!("Create ServiceAccount \"{account}\", or correct job.serviceAccountName.")
        }
        Cause::PodSecurity { level } => {
            format!(
                "Remove the job options that Pod Security level \"{level}\" forbids, or lower the namespace's level."
            )
        }
        Cause::AdmissionPolicy { policy } => {
            format!("Ask the owner of admission policy \"{policy}\", or change what it forbids.")
        }
    }
}
