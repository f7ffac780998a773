//! The operator, in the hands of the one test that may stop it: all tests share it.

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

/// The name of its Deployment and of its Lease.
const NAME: &str = "pgbackup-operator";

/// Of two pods, the cheaper one is deleted when there shall be one.
const DELETION_COST: &str = "controller.kubernetes.io/pod-deletion-cost";

/// Held by the one test that has the operator.
pub(crate) static ALONE: Mutex<()> = Mutex::const_new(());

/// The operator of a test that runs alone.
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

    /// Deletes its pods and does not wait: whatever it was doing, it does again or does not.
    pub async fn restart(&self) -> Result<()> {
        for pod in self.pods().list_metadata(&ListParams::default()).await? {
            self.pods().delete(&pod.name_any(), &DeleteParams::default()).await?;
        }
        Ok(())
    }

    /// Ends its pods at once, whatever they are doing.
    pub async fn kill(&self) -> Result<()> {
        let at_once = DeleteParams::default().grace_period(0);
        for pod in self.pods().list_metadata(&ListParams::default()).await? {
            self.pods().delete(&pod.name_any(), &at_once).await?;
        }
        Ok(())
    }

    /// Changes the number of its replicas, and does not wait.
    pub async fn ask_for(&self, replicas: usize) -> Result<()> {
        let deployments: Api<Deployment> = Api::namespaced(self.client.clone(), SYSTEM);
        let patch = Patch::Merge(json!({"spec": {"replicas": replicas}}));
        deployments.patch_scale(NAME, &PatchParams::default(), &patch).await.map(drop).map_err(Into::into)
    }

    /// Changes the number of its replicas and waits until there are so many, all ready, and no others; returns their
    /// names.
    pub async fn scale(&self, replicas: usize) -> Result<Vec<String>> {
        self.ask_for(replicas).await?;
        let what = format!("{replicas} replicas of the operator are there, ready, and no others");
        wait::until(&what, DEADLINE, async || {
            let pods = self.pods().list(&ListParams::default()).await?.items;
            let good = pods.len() == replicas && pods.iter().all(is_at_work);
            Ok(good.then(|| pods.iter().map(ResourceExt::name_any).collect()))
        })
        .await
    }

    /// Takes one of two replicas away, this one, so that no new one begins in its place.
    pub async fn scale_down_without(&self, pod: &str) -> Result<()> {
        let cheap = Patch::Merge(json!({"metadata": {"annotations": {DELETION_COST: "-1"}}}));
        self.pods().patch(pod, &PatchParams::default(), &cheap).await?;
        let left = self.scale(1).await?;
        anyhow::ensure!(left != [pod], "{pod} should be gone");
        Ok(())
    }

    /// Gives its pods a folder of the node, and waits until those that have it are at work.
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
            Ok((!pods.is_empty() && pods.iter().all(|pod| has_it(pod) && is_at_work(pod))).then_some(()))
        })
        .await
    }

    /// Waits until one of these pods holds the Lease; returns its name.
    pub async fn leader_of(&self, pods: &[String]) -> Result<String> {
        let leases: Api<Lease> = Api::namespaced(self.client.clone(), SYSTEM);
        wait::object(&leases, NAME, &format!("one of {pods:?} holds it"), DEADLINE, |lease| {
            let holder = lease?.spec.as_ref()?.holder_identity.clone()?;
            pods.contains(&holder).then_some(holder)
        })
        .await
    }

    /// Makes it what the other tests expect: one replica, at work.
    pub(crate) async fn restore(&self) -> Result<()> {
        let pods = self.scale(1).await.context("the operator should be there for the tests that follow")?;
        self.leader_of(&pods).await.map(drop)
    }
}

fn is_at_work(pod: &Pod) -> bool {
    let conditions = pod.status.as_ref().and_then(|status| status.conditions.as_ref());
    let mut conditions = conditions.into_iter().flatten();
    pod.metadata.deletion_timestamp.is_none()
        && conditions.any(|condition| condition.type_ == "Ready" && condition.status == "True")
}
