//! The watches of policies, CronJobs, Jobs and Pods, which start reconciles.

use std::{future, sync::Arc};

use api::{BackupPolicy, meta};
use futures::{Stream, StreamExt, TryStreamExt, stream};
use k8s_openapi::NamespaceResourceScope;
use kube::{
    Api, Client, Resource,
    core::DeserializeGuard,
    runtime::{
        WatchStreamExt,
        reflector::{ObjectRef, Store, store::Writer},
        watcher::{self, Event, watcher},
    },
};
use serde::de::DeserializeOwned;
use tokio::sync::SetOnce;

use crate::pending_statuses::PendingStatuses;

/// The first minor version of Kubernetes whose API server supports streaming lists by default.
const STREAMING_LISTS_SINCE: u32 = 34;

/// The number of objects in a page of a list, for older servers. Larger pages take more memory, smaller ones
/// more time.
const PAGE_SIZE: u32 = 50;

/// The namespace and the options of all watches.
#[derive(Clone)]
pub struct Scope {
    client: Client,
    namespace: Option<String>,
    config: watcher::Config,
}

impl Scope {
    /// Watches one namespace, or all if `namespace` is `None`.
    pub fn new(client: Client, namespace: Option<String>, server_minor: u32) -> Self {
        let config = if server_minor >= STREAMING_LISTS_SINCE {
            watcher::Config::default().streaming_lists()
        } else {
            watcher::Config::default().page_size(PAGE_SIZE)
        };
        Self { client, namespace, config }
    }

    fn api<K>(&self) -> Api<K>
    where
        K: Resource<Scope = NamespaceResourceScope, DynamicType = ()>,
    {
        match &self.namespace {
            Some(namespace) => Api::namespaced(self.client.clone(), namespace),
            None => Api::all(self.client.clone()),
        }
    }

    /// Watches policies. Yields a policy after `store` and `pending` have processed its event.
    pub fn policies(
        &self,
        store: Store<BackupPolicy>,
        writer: Writer<BackupPolicy>,
        pending: Arc<PendingStatuses>,
    ) -> impl Stream<Item = watcher::Result<BackupPolicy>> + use<> {
        let api = self.api::<DeserializeGuard<BackupPolicy>>();
        let known = store.clone();
        watcher(api, self.config.clone())
            .default_backoff()
            .filter_map(move |event| future::ready(event.map(|event| readable(event, &known)).transpose()))
            .modify(|policy| policy.metadata.managed_fields = None)
            .reflect(writer)
            .inspect_ok(move |event| pending.remove_shown(event))
            .map_ok(move |event| stream::iter(changed(event, &store).map(Ok)))
            .try_flatten()
    }

    /// Watches objects of policies. `note` processes each event and returns the policies to reconcile.
    /// `listed` is set once the first list is complete.
    pub fn children<K, N>(
        &self,
        listed: Arc<SetOnce<()>>,
        mut note: N,
    ) -> impl Stream<Item = ObjectRef<BackupPolicy>> + use<K, N>
    where
        N: FnMut(Event<K>) -> Vec<ObjectRef<BackupPolicy>> + Send + 'static,
        K: Resource<Scope = NamespaceResourceScope, DynamicType = ()>
            + Clone
            + DeserializeOwned
            + std::fmt::Debug
            + Send
            + 'static,
    {
        let config = self.config.clone().labels(&format!("{}={}", meta::MANAGED_BY_LABEL, meta::MANAGED_BY));
        watcher(self.api::<K>(), config)
            .default_backoff()
            .filter_map(|event| {
                future::ready(
                    event
                        .inspect_err(|error| {
                            tracing::warn!("watching {}s failed, retrying: {error}", K::kind(&()));
                        })
                        .ok(),
                )
            })
            .flat_map(move |event| {
                let done = matches!(event, Event::InitDone);
                let touched = note(event);
                if done {
                    // Fails after the first list, which is harmless.
                    let _ = listed.set(());
                }
                stream::iter(touched)
            })
    }
}

/// Returns the policies that an event changed in the store. Those of a list are returned at its end, when the
/// store takes the list over. A reconcile that started earlier would read the old policy, and no later event
/// would start another.
fn changed(
    event: Event<BackupPolicy>,
    store: &Store<BackupPolicy>,
) -> impl Iterator<Item = BackupPolicy> + use<> {
    let (one, all) = match event {
        Event::Apply(policy) => (Some(policy), Vec::new()),
        Event::InitDone => (None, store.state()),
        Event::Init | Event::InitApply(_) | Event::Delete(_) => (None, Vec::new()),
    };
    one.into_iter().chain(all.into_iter().map(Arc::unwrap_or_clone))
}

/// Drops policies that this operator cannot parse because the CRD has another version, so that they do not
/// block other policies. Such a policy is treated as deleted: it is not reconciled, and its CronJobs stay.
fn readable(
    event: Event<DeserializeGuard<BackupPolicy>>,
    store: &Store<BackupPolicy>,
) -> Option<Event<BackupPolicy>> {
    let read = |DeserializeGuard(read): DeserializeGuard<BackupPolicy>| {
        read.map_err(|invalid| {
            let (namespace, name) = (invalid.metadata.namespace, invalid.metadata.name.unwrap_or_default());
            tracing::warn!(
                namespace,
                policy = name,
                "the policy cannot be parsed and is ignored; its CronJobs stay as they are: {}",
                invalid.error
            );
            store.get(&ObjectRef::new(&name).within(&namespace.unwrap_or_default()))
        })
    };
    match event {
        Event::Init => Some(Event::Init),
        Event::InitDone => Some(Event::InitDone),
        Event::InitApply(policy) => read(policy).ok().map(Event::InitApply),
        Event::Apply(policy) => match read(policy) {
            Ok(policy) => Some(Event::Apply(policy)),
            Err(known) => known.map(|known| Event::Delete((*known).clone())),
        },
        Event::Delete(policy) => match read(policy) {
            Ok(policy) => Some(Event::Delete(policy)),
            Err(known) => known.map(|known| Event::Delete((*known).clone())),
        },
    }
}

#[cfg(test)]
mod tests {
    use serde_json::{Value, json};

    use super::*;

    fn policy(schedule: &Value) -> DeserializeGuard<BackupPolicy> {
        serde_json::from_value(json!({
            "metadata": {"name": "shop", "namespace": "n"},
            "spec": {
                "schedule": schedule,
                "postgres": {"version": 17, "connection": {"host": "h", "user": "u", "passwordSecretRef": {"name": "s", "key": "k"}}},
                "storage": {"volume": {"claimName": "c"}}
            }
        }))
        .unwrap()
    }

    #[test]
    fn relisted_policies_are_reconciled_after_cache_is_updated() {
        let mut writer = Writer::<BackupPolicy>::default();
        let store = writer.as_reader();
        let mut schedules = |event: Event<BackupPolicy>| -> Vec<String> {
            writer.apply_watcher_event(&event);
            changed(event, &store).map(|policy| policy.spec.schedule).collect()
        };
        let policy = |schedule: &str| policy(&json!(schedule)).0.unwrap();
        assert_eq!(schedules(Event::Apply(policy("1 * * * *"))), ["1 * * * *"]);
        assert_eq!(schedules(Event::Init), [""; 0]);
        assert_eq!(
            schedules(Event::InitApply(policy("2 * * * *"))),
            [""; 0],
            "the store still has the older one"
        );
        assert_eq!(schedules(Event::InitDone), ["2 * * * *"]);
        assert_eq!(schedules(Event::Delete(policy("2 * * * *"))), [""; 0]);
    }

    #[test]
    fn unparsable_policy_is_treated_as_deleted() {
        let mut writer = Writer::<BackupPolicy>::default();
        let store = writer.as_reader();
        assert!(readable(Event::InitApply(policy(&json!({}))), &store).is_none());
        assert!(readable(Event::Apply(policy(&json!({}))), &store).is_none());

        let good = readable(Event::Apply(policy(&json!("* * * * *"))), &store).unwrap();
        writer.apply_watcher_event(&good);
        for event in [Event::Apply(policy(&json!({}))), Event::Delete(policy(&json!({})))] {
            assert!(
                matches!(readable(event, &store), Some(Event::Delete(known)) if known.spec.schedule == "* * * * *")
            );
        }
    }
}
