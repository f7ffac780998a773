//! The objects that the benchmark itself creates and deletes in the cluster.

use std::time::{Duration, Instant};

use anyhow::Result;
use api::BackupPolicy;
use futures::{StreamExt as _, TryStreamExt as _, stream};
use jiff::Timestamp;
use k8s_openapi::{
    api::{
        batch::v1::{CronJob, Job},
        coordination::v1::Lease,
        core::v1::{Namespace, PersistentVolume, PersistentVolumeClaim},
    },
    serde::{Serialize, de::DeserializeOwned},
};
use kube::{
    Api, Client, Resource, ResourceExt as _,
    api::{DeleteParams, ListParams, Patch, PatchParams, PostParams},
    core::NamespaceResourceScope,
};
use serde_json::json;

use crate::{operator, policies, wait};

/// The number of concurrent calls, which equals the operator's maximum.
pub const AT_ONCE: usize = 16;

/// A client for the cluster with the permissions of an administrator.
#[derive(Clone)]
pub struct Cluster {
    pub client: Client,
}

impl Cluster {
    /// Returns the API of a kind in the benchmark's namespace.
    pub fn api<K>(&self) -> Api<K>
    where
        K: Resource<Scope = NamespaceResourceScope>,
        K::DynamicType: Default,
    {
        Api::namespaced(self.client.clone(), operator::NAMESPACE)
    }

    /// Creates the namespace, and a volume claim that pods can mount but not write. Runs therefore end
    /// immediately with a report.
    pub async fn prepare(&self) -> Result<()> {
        let namespaces: Api<Namespace> = Api::all(self.client.clone());
        let namespace = serde_json::from_value(json!({"metadata": {"name": operator::NAMESPACE}}))?;
        namespaces.create(&PostParams::default(), &namespace).await?;
        let volumes: Api<PersistentVolume> = Api::all(self.client.clone());
        let capacity = json!({"storage": "1Gi"});
        let volume = serde_json::from_value(json!({
            "metadata": {"name": operator::NAMESPACE},
            "spec": {
                "accessModes": ["ReadWriteMany"], "capacity": capacity, "storageClassName": "",
                "hostPath": {"path": "/run/pgbackup-scale", "type": "DirectoryOrCreate"},
                "claimRef": {"namespace": operator::NAMESPACE, "name": policies::CLAIM}
            }
        }))?;
        volumes.create(&PostParams::default(), &volume).await?;
        let claim = serde_json::from_value(json!({
            "metadata": {"name": policies::CLAIM},
            "spec": {
                "accessModes": ["ReadWriteMany"], "resources": {"requests": capacity}, "storageClassName": "",
                "volumeName": operator::NAMESPACE
            }
        }))?;
        self.api::<PersistentVolumeClaim>().create(&PostParams::default(), &claim).await?;
        let secret = json!({"metadata": {"name": "shop-db"}, "stringData": {"password": "unused"}});
        let secret: k8s_openapi::api::core::v1::Secret = serde_json::from_value(secret)?;
        self.api().create(&PostParams::default(), &secret).await?;
        Ok(())
    }

    /// Creates objects with `at_once` concurrent calls.
    pub async fn create<K>(&self, objects: Vec<K>, at_once: usize) -> Result<()>
    where
        K: Resource<Scope = NamespaceResourceScope> + Clone + std::fmt::Debug + Serialize + DeserializeOwned,
        K::DynamicType: Default,
    {
        let api = self.api::<K>();
        let parameters = PostParams::default();
        let created = stream::iter(&objects).map(|object| api.create(&parameters, object));
        created.buffer_unordered(at_once).try_for_each(|_| futures::future::ready(Ok(()))).await?;
        Ok(())
    }

    pub async fn policies(&self) -> Result<Vec<BackupPolicy>> {
        Ok(self.api().list(&ListParams::default()).await?.items)
    }

    /// Writes the status of ten daily runs into each policy that has no history.
    pub async fn fill_statuses(&self) -> Result<()> {
        let (api, now) = (self.api::<BackupPolicy>(), Timestamp::now());
        let parameters = PatchParams::default();
        let has_no_history =
            |policy: &BackupPolicy| policy.status.as_ref().is_none_or(|status| status.history.is_empty());
        let policies = self.policies().await?;
        let patches = policies.iter().filter(|policy| has_no_history(policy)).map(|policy| {
            let patch = Patch::Merge(json!({"status": policies::full_status(policy, now)?}));
            anyhow::Ok((policy.name_any(), patch))
        });
        let patches: Vec<_> = patches.collect::<Result<_>>()?;
        let written = stream::iter(&patches).map(|(name, patch)| api.patch_status(name, &parameters, patch));
        written.buffer_unordered(AT_ONCE).try_for_each(|_| futures::future::ready(Ok(()))).await?;
        Ok(())
    }

    /// Deletes all policies, CronJobs and Jobs, and waits until they are deleted.
    pub async fn clear(&self) -> Result<()> {
        self.clear_kind::<BackupPolicy>().await?;
        self.clear_kind::<CronJob>().await?;
        self.clear_kind::<Job>().await
    }

    async fn clear_kind<K>(&self) -> Result<()>
    where
        K: Resource<Scope = NamespaceResourceScope> + Clone + std::fmt::Debug + DeserializeOwned,
        K::DynamicType: Default,
    {
        let api = self.api::<K>();
        api.delete_collection(&DeleteParams::background(), &ListParams::default()).await?;
        wait::until("all objects are deleted", Duration::from_mins(5), async || {
            Ok(api.list_metadata(&ListParams::default().limit(1)).await?.items.is_empty())
        })
        .await
    }

    /// Waits for a time, and returns how often the operator renewed its Lease meanwhile.
    pub async fn count_renewals(&self, long: Duration) -> Result<u32> {
        let leases = self.api::<Lease>();
        let renewed = async || -> Result<_> {
            let lease = leases.get(operator::LEASE).await?;
            Ok(lease.spec.and_then(|spec| spec.renew_time))
        };
        let (end, mut last, mut renewals) = (Instant::now() + long, renewed().await?, 0);
        while Instant::now() < end {
            tokio::time::sleep(Duration::from_secs(1)).await;
            let now = renewed().await?;
            if now != last {
                (renewals, last) = (renewals + 1, now);
            }
        }
        Ok(renewals)
    }
}
