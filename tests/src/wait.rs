//! Waits for conditions. Each wait has a deadline; when it expires, the error names the condition.
//!
//! Objects of the cluster are watched. [`until`] polls everything that cannot be watched: a pod's log, rows
//! in a server.

use std::{fmt::Debug, pin::pin, time::Duration};

use anyhow::{Context, Result, anyhow};
use futures::{StreamExt, TryStreamExt, future};
use k8s_openapi::api::core::v1::{Pod, PodCondition};
use kube::{
    Api, Resource,
    runtime::{WatchStreamExt, wait::await_condition, watcher},
};
use serde::{Serialize, de::DeserializeOwned};
use tokio::time::{self, Instant};

/// The default deadline, far longer than any wait on a quiet machine: two cores run the cluster, the servers
/// and the backups of several tests concurrently.
pub const DEADLINE: Duration = Duration::from_secs(150);

/// The interval between two polls of [`until`].
const INTERVAL: Duration = Duration::from_millis(100);

/// Watches the object `name` until `look` returns a value for it, and returns the value. `look` receives
/// `None` while the object does not exist.
pub async fn object<K, T>(
    api: &Api<K>,
    name: &str,
    what: &str,
    deadline: Duration,
    look: impl Fn(Option<&K>) -> Option<T>,
) -> Result<T>
where
    K: Resource + Clone + Debug + Send + Serialize + DeserializeOwned + 'static,
{
    let seen = await_condition(api.clone(), name, |object: Option<&K>| look(object).is_some());
    if let Ok(seen) = time::timeout(deadline, seen).await {
        return look(seen?.as_ref()).context("what was seen should still be there");
    }
    let last = serde_saphyr::to_string(&api.get_opt(name).await?)?;
    Err(anyhow!("waited {} s for {name}: {what}; it is still\n{last}", deadline.as_secs()))
}

/// Watches the objects with these labels until `look` returns a value for one of them, and returns the value.
pub async fn labelled<K, T>(
    api: &Api<K>,
    labels: &str,
    what: &str,
    deadline: Duration,
    look: impl Fn(&K) -> Option<T>,
) -> Result<T>
where
    K: Resource + Clone + Debug + Send + DeserializeOwned + 'static,
    K::DynamicType: Default,
{
    let config = watcher::Config::default().labels(labels);
    let stream = watcher(api.clone(), config).default_backoff().applied_objects();
    let mut found = pin!(stream.try_filter_map(|object| future::ready(Ok(look(&object)))));
    time::timeout(deadline, found.next())
        .await
        .map_err(|_| anyhow!("waited {} s for {labels}: {what}", deadline.as_secs()))?
        .context("a watch should not end")?
        .with_context(|| format!("watching {labels}"))
}

/// Polls until `look` returns a value, and returns it.
pub async fn until<T>(
    what: &str,
    deadline: Duration,
    mut look: impl AsyncFnMut() -> Result<Option<T>>,
) -> Result<T> {
    let end = Instant::now() + deadline;
    loop {
        if let Some(found) = look().await.with_context(|| what.to_owned())? {
            return Ok(found);
        }
        if Instant::now() > end {
            return Err(anyhow!("waited {} s for this: {what}", deadline.as_secs()));
        }
        time::sleep(INTERVAL).await;
    }
}

/// Waits until a pod's containers are ready.
pub async fn pod_is_ready(pods: &Api<Pod>, name: &str) -> Result<()> {
    object(pods, name, "the pod is ready", DEADLINE, |pod| {
        let conditions = pod?.status.as_ref()?.conditions.as_ref()?;
        let ready = |condition: &&PodCondition| condition.type_ == "Ready" && condition.status == "True";
        conditions.iter().find(ready).map(drop)
    })
    .await
}
