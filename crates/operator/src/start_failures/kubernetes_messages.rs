//! Finds the cause of a failed start, with the names that a hint needs, in messages of Kubernetes.
//!
//! It recognises the formats of Kubernetes 1.33 to 1.37. A message in another format has no cause and is
//! shown unchanged.

use desired::Cause;

/// Returns the cause in a message of the kubelet about a container or a volume.
pub fn of_kubelet(message: &str) -> Option<Cause> {
    if let Some(name) = between(message, "secret \"", "\" not found") {
        return Some(Cause::SecretNotFound { secret: name.to_owned() });
    }
    // couldn't find key <key> in Secret <namespace>/<name>
    let (key, rest) = after(message, "couldn't find key ")?.split_once(" in Secret ")?;
    let (_, name) = rest.split_once('/')?;
    let name = name.split([' ', ',', ':']).next()?;
    Some(Cause::SecretKeyNotFound { secret: name.to_owned(), key: key.to_owned() })
}

/// Returns the cause in a message of the scheduler, which counts the nodes that each filter excludes. The
/// order is the reverse of the scheduler's filters: a node that lacks memory has passed the node selector, so
/// memory is the more useful cause.
pub fn of_scheduler(message: &str) -> Option<Cause> {
    if let Some(claim) = between(message, "persistentvolumeclaim \"", "\" not found") {
        return Some(Cause::ClaimNotFound { claim: claim.to_owned() });
    }
    let claims =
        ["unbound immediate PersistentVolumeClaims", "didn't find available persistent volumes to bind"];
    if claims.iter().any(|phrase| message.contains(phrase)) {
        return Some(Cause::ClaimNotBound { claim: None });
    }
    if let Some(rest) = after(message, "Insufficient ") {
        let resource = rest.split([',', '.', ' ']).next()?;
        return Some(Cause::InsufficientResource { resource: resource.to_owned() });
    }
    if message.contains("didn't match Pod's node affinity/selector") {
        return Some(Cause::NodeSelector);
    }
    let taint = between(message, "untolerated taint {", "}")?;
    Some(Cause::UntoleratedTaint { taint: taint.trim_end_matches([' ', ':']).to_owned() })
}

/// Returns the cause in a message with which the API server rejects an object.
pub fn of_rejection(message: &str) -> Option<Cause> {
    if let Some(quota) = between(message, "exceeded quota: ", ",") {
        return Some(Cause::QuotaExceeded { quota: quota.to_owned() });
    }
    if let Some((quota, resources)) =
        after(message, "failed quota: ").and_then(|rest| rest.split_once(": must specify "))
    {
        let resources = resources.split(" for: ").next().unwrap_or(resources);
        let [quota, resources] = [quota, resources].map(str::to_owned);
        return Some(Cause::QuotaNeedsResources { quota, resources });
    }
    if let Some(account) = between(message, "serviceaccount \"", "\" not found") {
        return Some(Cause::ServiceAccountNotFound { account: account.to_owned() });
    }
    if let Some(level) = between(message, "violates PodSecurity \"", "\"") {
        return Some(Cause::PodSecurity { level: level.to_owned() });
    }
    let policy = between(message, "admission webhook \"", "\"")
        .or_else(|| between(message, "ValidatingAdmissionPolicy '", "'"))?;
    Some(Cause::AdmissionPolicy { policy: policy.to_owned() })
}

/// Describes a Secret or key that does not exist; `None` for other causes.
pub fn secret_fact(cause: &Cause) -> Option<String> {
    match cause {
        Cause::SecretNotFound { secret } => Some(format!("Secret \"{secret}\" does not exist")),
        Cause::SecretKeyNotFound { secret, key } => Some(format!("Secret \"{secret}\" has no key \"{key}\"")),
        _ => None,
    }
}

fn after<'a>(text: &'a str, start: &str) -> Option<&'a str> {
    text.split_once(start).map(|(_, rest)| rest)
}

fn between<'a>(text: &'a str, start: &str, end: &str) -> Option<&'a str> {
    after(text, start)?.split_once(end).map(|(between, _)| between)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn secret_and_key_are_parsed_from_a_kubelet_message() {
        let secret = "shop-db".to_owned();
        let missing = Cause::SecretNotFound { secret: secret.clone() };
        for message in [
            "secret \"shop-db\" not found",
            "MountVolume.SetUp failed for volume \"tls\" : secret \"shop-db\" not found",
        ] {
            assert_eq!(of_kubelet(message), Some(missing.clone()), "{message}");
        }
        assert_eq!(
            of_kubelet("couldn't find key password in Secret shop/shop-db"),
            Some(Cause::SecretKeyNotFound { secret, key: "password".to_owned() })
        );
        assert_eq!(of_kubelet("container has runAsNonRoot and image will run as root"), None);
    }

    #[test]
    fn cause_is_parsed_from_a_scheduler_message() {
        let cause = |message: &str| of_scheduler(message);
        assert_eq!(
            cause("0/1 nodes are available: persistentvolumeclaim \"backups\" not found. not found"),
            Some(Cause::ClaimNotFound { claim: "backups".to_owned() })
        );
        assert_eq!(
            cause("0/1 nodes are available: pod has unbound immediate PersistentVolumeClaims. not found"),
            Some(Cause::ClaimNotBound { claim: None })
        );
        assert_eq!(
            cause(
                "0/3 nodes are available: 1 Insufficient memory, 2 node(s) didn't match Pod's node affinity/selector."
            ),
            Some(Cause::InsufficientResource { resource: "memory".to_owned() })
        );
        assert_eq!(
            cause(
                "0/1 nodes are available: 1 node(s) had untolerated taint {dedicated: db}. preemption: ..."
            ),
            Some(Cause::UntoleratedTaint { taint: "dedicated: db".to_owned() })
        );
        assert_eq!(
            cause("0/2 nodes are available: 2 node(s) didn't match Pod's node affinity/selector."),
            Some(Cause::NodeSelector)
        );
        assert_eq!(
            cause(
                "0/3 nodes are available: 1 node(s) had untolerated taint {control-plane: }, 2 node(s) didn't match Pod's node affinity/selector."
            ),
            Some(Cause::NodeSelector)
        );
        assert_eq!(cause("0/1 nodes are available: 1 Too many pods."), None);
    }

    #[test]
    fn quota_or_policy_is_parsed_from_an_api_rejection() {
        let cause = |message: &str| of_rejection(message);
        assert_eq!(
            cause(
                "pods \"p\" is forbidden: exceeded quota: no-room, requested: count/pods=1, used: count/pods=0"
            ),
            Some(Cause::QuotaExceeded { quota: "no-room".to_owned() })
        );
        assert_eq!(
            cause(
                "pods \"p\" is forbidden: failed quota: team: must specify limits.memory for: install,runner"
            ),
            Some(Cause::QuotaNeedsResources {
                quota: "team".to_owned(),
                resources: "limits.memory".to_owned()
            })
        );
        assert_eq!(
            cause(
                "pods \"p\" is forbidden: error looking up service account n/sa: serviceaccount \"sa\" not found"
            ),
            Some(Cause::ServiceAccountNotFound { account: "sa".to_owned() })
        );
        assert_eq!(
            cause(
                "pods \"p\" is forbidden: violates PodSecurity \"restricted:latest\": runAsNonRoot != true"
            ),
            Some(Cause::PodSecurity { level: "restricted:latest".to_owned() })
        );
        for message in [
            "pods \"p\" is forbidden: ValidatingAdmissionPolicy 'images' with binding 'b' denied request: no",
            "admission webhook \"images\" denied the request: no",
        ] {
            assert_eq!(cause(message), Some(Cause::AdmissionPolicy { policy: "images".to_owned() }));
        }
        assert_eq!(cause("pods \"p\" is forbidden: no"), None);
    }
}
