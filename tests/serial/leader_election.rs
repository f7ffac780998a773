//! Of two replicas one leads. When it ends or hangs, the other takes over.

use anyhow::{Context, Result};
use k8s_openapi::api::core::v1::Pod;
use kube::{Api, ResourceExt};
use pgbackup_tests::{Env, Operator, cluster::SYSTEM, serial_story};

#[test]
fn second_replica_takes_over_after_shutdown() -> Result<()> {
    serial_story("leader-shutdown", async |env, operator| {
        let (leader, other) = two(&operator).await?;
        env.policy("before", |_| ()).await?.ready().await?;

        operator.scale_down_without(&leader).await?;

        operator.leader_of(std::slice::from_ref(&other)).await?;
        env.policy("after", |_| ()).await?.ready().await
    })
}

#[test]
fn second_replica_takes_over_from_a_hung_leader() -> Result<()> {
    serial_story("leader-hung", async |env, operator| {
        let (leader, other) = two(&operator).await?;
        env.policy("before", |_| ()).await?.ready().await?;

        signal(&env, &leader, "STOP").await?;
        let policy = env.policy("after", |_| ()).await?;
        operator.leader_of(std::slice::from_ref(&other)).await?;
        policy.ready().await?;

        // The replica that hung continues, and finds that it no longer leads.
        signal(&env, &leader, "CONT").await?;
        operator.scale(2).await?;
        env.policy("later", |_| ()).await?.ready().await?;
        assert_eq!(operator.leader_of(&[leader, other.clone()]).await?, other);
        Ok(())
    })
}

/// Starts a second replica. Returns the leader and the other replica.
async fn two(operator: &Operator) -> Result<(String, String)> {
    let pods = operator.scale(2).await?;
    let leader = operator.leader_of(&pods).await?;
    let other = pods.into_iter().find(|pod| *pod != leader).context("two replicas")?;
    Ok((leader, other))
}

/// Sends a signal to a replica's process, from the node because its container has no shell.
async fn signal(env: &Env, pod: &str, signal: &str) -> Result<()> {
    let pods: Api<Pod> = Api::namespaced(env.client.clone(), SYSTEM);
    let uid = pods.get_metadata(pod).await?.uid().context("a pod should have a UID")?;
    let script = format!(
        "for cgroup in $(grep --files-with-matches {uid} /proc/[0-9]*/cgroup 2> /dev/null); do
           process=${{cgroup%/cgroup}}
           case $(readlink $process/exe) in */pgbackup-operator) kill -{signal} ${{process#/proc/}} && echo sent ;; esac
         done; true"
    );
    let sent = env.on_node(&["sh", "-c", &script]).await?;
    anyhow::ensure!(sent == "sent", "one process of {pod} should get the signal: {sent:?}");
    Ok(())
}
