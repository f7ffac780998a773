//! If the pod of a backup cannot start, the status reports the cause within a minute.

use api::status::{ConditionStatus, ConditionType};
use std::time::{Duration, Instant};

use anyhow::Result;
use api::{BackupPolicySpec, policy::SecretKeyRef};
use domain::{reason::Reason, report::BackupStage};
use k8s_openapi::api::core::v1::{Pod, ResourceQuota};
use kube::api::{DeleteParams, EvictParams};
use pgbackup_tests::{
    cluster::NODE_VOLUMES,
    env::on_volume,
    manifests::{self, fill},
    policy::Policy,
    story,
    wait::{self, DEADLINE},
};

/// The promised maximum time until a status shows that a pod cannot start.
const A_MINUTE: Duration = Duration::from_mins(1);

/// The name of the case, the mistake, the expected reason, and a part of the expected message.
type Case = (&'static str, fn(&mut BackupPolicySpec), Reason, &'static str);

const CASES: [Case; 4] = [
    (
        "image",
        |spec| {
            spec.postgres.version = None;
            spec.postgres.image = Some("localhost/no-such-image:17".to_owned());
        },
        Reason::ImagePullFailed,
        "localhost/no-such-image:17",
    ),
    (
        "secret",
        |spec| spec.postgres.connection.password_secret_ref = Some(key("no-such-secret", "password")),
        Reason::SecretNotFound,
        "no-such-secret",
    ),
    (
        "key",
        |spec| spec.postgres.connection.password_secret_ref = Some(key("postgres", "no-such-key")),
        Reason::SecretNotFound,
        "no-such-key",
    ),
    ("claim", |spec| spec.storage = on_volume("no-such-claim", None), Reason::Unschedulable, "no-such-claim"),
];

#[test]
fn each_cause_of_an_unstartable_pod_has_its_own_reason() -> Result<()> {
    story("pod-cannot-start", async |env| {
        let mut policies = Vec::new();
        for (name, spoil, reason, named) in CASES {
            let policy = env.policy(name, spoil).await?;
            policy.ready().await?;
            policy.request("now").await?;
            policies.push((policy, Instant::now(), reason, named));
        }
        for (policy, since, reason, named) in policies {
            let left = A_MINUTE.saturating_sub(since.elapsed());
            let message = policy
                .status_with(&format!("BackupHealthy=False, reason {reason}"), left, |status| {
                    let healthy = status.condition(ConditionType::BackupHealthy)?;
                    (healthy.status == "False" && healthy.reason == reason.as_str())
                        .then(|| healthy.message.clone())
                })
                .await?;
            assert!(message.contains(named), "{message}");
        }
        Ok(())
    })
}

/// A quota that allows no pods.
const QUOTA: &str = "
apiVersion: v1
kind: ResourceQuota
metadata:
  name: no-room
spec:
  hard:
    count/pods: \"0\"
";

/// A pod that the namespace admits.
const POD: &str = r#"{"spec": {
  "securityContext": {"runAsNonRoot": true, "runAsUser": 1, "seccompProfile": {"type": "RuntimeDefault"}},
  "containers": [{"name": "x", "image": "x", "securityContext": {
    "allowPrivilegeEscalation": false, "capabilities": {"drop": ["ALL"]}}}]}}"#;

#[test]
fn pod_start_failure_is_reported_from_kubernetes_events() -> Result<()> {
    story("pod-events", async |env| {
        let cannot_start = async |policy: &Policy, named: &str| {
            policy
                .status_with(&format!("PodCannotStart: {named}"), A_MINUTE, |status| {
                    let healthy = status.condition(ConditionType::BackupHealthy)?;
                    let is_named =
                        healthy.reason == Reason::PodCannotStart.as_str() && healthy.message.contains(named);
                    (healthy.status == "False" && is_named).then_some(())
                })
                .await
        };
        env.node_volume("lost", manifests::HOST_PATH_VOLUME, "0777").await?;
        env.on_node(&["rmdir", &format!("{NODE_VOLUMES}/{}-lost", env.namespace)]).await?;
        let lost = env.policy("lost", |spec| spec.storage = on_volume("lost", None)).await?;
        lost.ready().await?;
        lost.request("now").await?;
        cannot_start(&lost, "hostPath type check failed").await?;

        let no_pod_is_let_in = async |because: &str| {
            let dry = ["run", "x", "--image=x", "--dry-run=server", "--overrides", POD];
            wait::until(because, DEADLINE, async || {
                Ok(env.kubectl(&dry).is_err_and(|error| error.to_string().contains(because)).then_some(()))
            })
            .await
        };
        env.create(QUOTA).await?;
        no_pod_is_let_in("no-room").await?;
        let shop = env.policy("shop", |_| ()).await?;
        shop.ready().await?;
        shop.request("now").await?;
        cannot_start(&shop, "exceeded quota: no-room").await?;

        env.api::<ResourceQuota>().delete("no-room", &DeleteParams::default()).await?;
        env.create(&fill(manifests::REFUSAL, &[("NAMESPACE", &env.namespace)])).await?;
        no_pod_is_let_in("images come from registry.example only").await?;
        let refused = env.policy("refused", |_| ()).await?;
        refused.ready().await?;
        refused.request("now").await?;
        cannot_start(&refused, "images come from registry.example only").await?;
        for kind in ["validatingadmissionpolicybinding", "validatingadmissionpolicy"] {
            env.kubectl(&["delete", kind, &env.namespace])?;
        }
        Ok(())
    })
}

#[test]
fn pod_evicted_by_its_node_is_retried() -> Result<()> {
    story("pod-evicted", async |env| {
        let policy = env.policy("shop", |_| ()).await?;
        let fill = "head -c 50M /dev/zero > /scratch/fill; exec tail -f /dev/null";
        policy
            .start("full", |run| {
                run.disk_limit("8Mi").script(fill);
            })
            .await?;
        policy
            .status_with("the node evicted the pod, and why", DEADLINE, |status| {
                let message = &status.condition(ConditionType::BackupHealthy)?.message;
                let evicted = message.contains("an attempt of full failed, retrying: the pod was evicted: ");
                (evicted && message.contains("8Mi")).then_some(())
            })
            .await
    })
}

/// Evicts the pod like `kubectl drain`. The runner reports only that it was stopped; the cause is only in the
/// pod's condition.
#[test]
fn pod_of_a_drained_node_is_reported_as_evicted() -> Result<()> {
    story("node-drained", async |env| {
        env.postgres(17).await?;
        let policy = env.policy("shop", |_| ()).await?;
        let job = policy
            .start("drained", |run| {
                run.stop_at(BackupStage::Dump);
            })
            .await?;
        let pod = job.stopped_at(BackupStage::Dump).await?;
        env.api::<Pod>().evict(&pod, &EvictParams::default()).await?;
        assert_eq!(job.death().await?.report.reason, Some(Reason::Interrupted));
        policy
            .status_with("the pod was evicted", DEADLINE, |status| {
                let message = &status.condition(ConditionType::BackupHealthy)?.message;
                let said =
                    "an attempt of drained failed, retrying: the pod was evicted during dump: Eviction API";
                message.contains(said).then_some(())
            })
            .await
    })
}

/// The pod is bound to a node that does not exist. For the garbage collector of pods this is the same as a
/// deleted node.
#[test]
fn pod_of_a_lost_node_is_retried() -> Result<()> {
    story("node-lost", async |env| {
        let policy = env.policy("shop", |_| ()).await?;
        policy
            .start("lost", |run| {
                run.on_node("a-node-that-was-deleted");
            })
            .await?;
        let said =
            "an attempt of lost failed, retrying: the pod's node was lost: PodGC: node no longer exists";
        policy
            .status_with(said, DEADLINE, |status| {
                status.condition(ConditionType::BackupHealthy)?.message.contains(said).then_some(())
            })
            .await?;
        assert_eq!(policy.jobs().await?, ["lost"], "the Job goes on");
        Ok(())
    })
}

#[test]
fn pod_without_a_report_fails_with_pod_failed() -> Result<()> {
    story("no-report", async |env| {
        let policy = env.policy("shop", |_| ()).await?;
        policy
            .start("mute", |run| {
                run.once().script("exit 3");
            })
            .await?;
        let failure = policy.failed("mute", Reason::PodFailed).await?;
        assert!(failure.message.contains("exited with code 3 and left no report"), "{}", failure.message);
        Ok(())
    })
}

fn key(secret: &str, key: &str) -> SecretKeyRef {
    SecretKeyRef { name: secret.to_owned(), key: key.to_owned() }
}

#[test]
fn pod_starts_when_its_missing_secret_is_created() -> Result<()> {
    story("secret-created-late", async |env| {
        env.postgres(17).await?;
        let policy = env
            .policy("shop", |spec| {
                spec.postgres.connection.password_secret_ref = Some(key("late", "password"));
            })
            .await?;
        let job = policy.request("now").await?;
        policy
            .condition_is(ConditionType::BackupHealthy, ConditionStatus::False, Reason::SecretNotFound)
            .await?;

        let secret = ["create", "secret", "generic", "late"];
        env.kubectl(&[&secret[..], &[&format!("--from-literal=password={}", env.password)]].concat())?;

        policy.succeeded(&job).await?;
        policy.condition_is(ConditionType::BackupHealthy, ConditionStatus::True, Reason::Verified).await?;
        Ok(())
    })
}
