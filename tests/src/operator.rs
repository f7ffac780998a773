//! The shared operator, for tests that stop it. Such a test holds a lock, so it runs alone.

use anyhow::{Context, Result};
use k8s_openapi::api::{apps::v1::Deployment, coordination::v1::Lease, core::v1::Pod};
use kube::{
    Api, Client, ResourceExt,
    api::{DeleteParams, ListParams, Patch, PatchParams},
};
use serde_json::json;
use tokio::sync::Mutex;

use crate::{
    cluster::SYSTEM,
    wait::{self, DEADLINE},
};

/// The name of the operator's Deployment and of its Lease.
const NAME: &str = "pgbackup-operator";

/// The annotation with a pod's deletion cost. When a Deployment scales down, the pod with the lowest cost is
/// deleted first.
const DELETION_COST: &str = "controller.kubernetes.io/pod-deletion-cost";

/// A lock that the test which controls the operator holds.
pub(crate) static SERIAL: Mutex<()> = Mutex::const_new(());

/// The operator, controlled by a serial test.
#[derive(Clone)]
pub struct Operator {
    client: Client,
}

impl Operator {
    pub(crate) const fn new(client: Client) -> Self {
        Self { client }
    }

    fn pods(&self) -> Api<Pod> {
        Api::namespaced(self.client.clone(), SYSTEM)
    }

    /// Deletes the operator's pods without waiting for their end.
    pub async fn restart(&self) -> Result<()> {
        for pod in self.pods().list_metadata(&ListParams::default()).await? {
            self.pods().delete(&pod.name_any(), &DeleteParams::default()).await?;
        }
        Ok(())
    }

    /// Kills the operator's pods without a grace period.
    pub async fn kill(&self) -> Result<()> {
        let at_once = DeleteParams::default().grace_period(0);
        for pod in self.pods().list_metadata(&ListParams::default()).await? {
            self.pods().delete(&pod.name_any(), &at_once).await?;
        }
        Ok(())
    }

    /// Changes the number of replicas without waiting.
    pub async fn set_replicas(&self, replicas: usize) -> Result<()> {
        let deployments: Api<Deployment> = Api::namespaced(self.client.clone(), SYSTEM);
        let patch = Patch::Merge(json!({"spec": {"replicas": replicas}}));
        deployments.patch_scale(NAME, &PatchParams::default(), &patch).await.map(drop).map_err(Into::into)
    }

    /// Changes the number of replicas, waits until exactly this number of pods is ready, and returns their
    /// names.
    pub async fn scale(&self, replicas: usize) -> Result<Vec<String>> {
        self.set_replicas(replicas).await?;
        let what = format!("{replicas} replicas of the operator are there, ready, and no others");
        wait::until(&what, DEADLINE, async || {
            let pods = self.pods().list(&ListParams::default()).await?.items;
            let good = pods.len() == replicas && pods.iter().all(is_ready);
            Ok(good.then(|| pods.iter().map(ResourceExt::name_any).collect()))
        })
        .await
    }

    /// Scales down from two replicas and removes this one.
    pub async fn scale_down_without(&self, pod: &str) -> Result<()> {
        let cheap = Patch::Merge(json!({"metadata": {"annotations": {DELETION_COST: "-1"}}}));
        self.pods().patch(pod, &PatchParams::default(), &cheap).await?;
        let left = self.scale(1).await?;
        anyhow::ensure!(left != [pod], "{pod} should be gone");
        Ok(())
    }

    /// Mounts a folder of the node into the operator's pods, and waits until the new pods are ready.
    pub async fn mount(&self, folder: &str, at: &str) -> Result<()> {
        let deployments: Api<Deployment> = Api::namespaced(self.client.clone(), SYSTEM);
        let volume = json!({"name": "node", "hostPath": {"path": folder}});
        let container = json!({"name": "operator", "volumeMounts": [{"name": "node", "mountPath": at, "readOnly": true}]});
        let template = json!({"spec": {"volumes": [volume], "containers": [container]}});
        let patch = Patch::Strategic(json!({"spec": {"template": template}}));
        deployments.patch(NAME, &PatchParams::default(), &patch).await?;
        wait::until("all pods of the operator have the node's folder", DEADLINE, async || {
            let pods = self.pods().list(&ListParams::default()).await?.items;
            let has_it = |pod: &Pod| {
                let volumes = pod.spec.iter().flat_map(|spec| spec.volumes.iter().flatten());
                volumes.filter_map(|volume| volume.host_path.as_ref()).any(|path| path.path == folder)
            };
            Ok((!pods.is_empty() && pods.iter().all(|pod| has_it(pod) && is_ready(pod))).then_some(()))
        })
        .await
    }

    /// Waits until one of these pods holds the Lease and returns its name.
    pub async fn leader_of(&self, pods: &[String]) -> Result<String> {
        let leases: Api<Lease> = Api::namespaced(self.client.clone(), SYSTEM);
        wait::object(&leases, NAME, &format!("one of {pods:?} holds it"), DEADLINE, |lease| {
            let holder = lease?.spec.as_ref()?.holder_identity.clone()?;
            pods.contains(&holder).then_some(holder)
        })
        .await
    }

    /// Restores the state that other tests expect: one ready replica.
    pub(crate) async fn restore(&self) -> Result<()> {
        let pods = self.scale(1).await.context("the operator should be there for the tests that follow")?;
        self.leader_of(&pods).await.map(drop)
    }
}

fn is_ready(pod: &Pod) -> bool {
    let conditions = pod.status.as_ref().and_then(|status| status.conditions.as_ref());
    let mut conditions = conditions.into_iter().flatten();
    pod.metadata.deletion_timestamp.is_none()
        && conditions.any(|condition| condition.type_ == "Ready" && condition.status == "True")
}
