//! Statuses that the operator has written and its watch has not shown yet.
//!
//! Without them, a reconcile could start from an older status and write the same change again, or undo it.

use std::{
    collections::HashMap,
    sync::{Mutex, MutexGuard, PoisonError},
};

use api::{BackupPolicy, BackupPolicyStatus};
use k8s_openapi::apimachinery::pkg::apis::meta::v1::ObjectMeta;
use kube::runtime::{
    reflector::{ObjectRef, Store},
    watcher::Event,
};

pub struct PendingStatuses {
    watched: Store<BackupPolicy>,
    /// The pending statuses, by the policy's UID.
    pending: Mutex<HashMap<String, Pending>>,
}

struct Pending {
    version: u64,
    status: BackupPolicyStatus,
}

impl PendingStatuses {
    /// Creates an empty set. `watched` is the store that the watch fills.
    pub fn new(watched: Store<BackupPolicy>) -> Self {
        Self { watched, pending: Mutex::default() }
    }

    /// Returns the policy with its newest status, which is the pending one if there is one.
    pub fn with_newest_status(&self, policy: &BackupPolicy) -> BackupPolicy {
        let mut policy = policy.clone();
        let pending = self.lock();
        let written = policy.metadata.uid.as_ref().and_then(|uid| pending.get(uid));
        if let Some(written) = written.filter(|written| version(&policy.metadata) < written.version) {
            policy.status = Some(written.status.clone());
        }
        policy
    }

    /// Adds a status that was written, with the metadata in the API server's response, unless the watch
    /// already shows it.
    pub fn add(&self, metadata: &ObjectMeta, status: BackupPolicyStatus) {
        let mut pending = self.lock();
        // The watch fills the store before it calls `remove_shown`. While this lock is held, either the store
        // already has the new version, or `remove_shown` will remove the pending status later.
        let name = ObjectRef::new(metadata.name.as_deref().unwrap_or_default());
        let watched = self.watched.get(&name.within(metadata.namespace.as_deref().unwrap_or_default()));
        if watched.is_some_and(|watched| is_as_new(&watched.metadata, metadata)) {
            return;
        }
        let Some(uid) = metadata.uid.clone() else { return };
        pending.insert(uid, Pending { version: version(metadata), status });
    }

    /// Removes the statuses that an event of the watch shows. The event must already be in the store.
    pub fn remove_shown(&self, event: &Event<BackupPolicy>) {
        let mut pending = self.lock();
        match event {
            Event::Apply(policy) => {
                let uid = policy.metadata.uid.as_deref().unwrap_or_default();
                if pending.get(uid).is_some_and(|written| version(&policy.metadata) >= written.version) {
                    pending.remove(uid);
                }
            }
            Event::Delete(policy) => {
                pending.remove(policy.metadata.uid.as_deref().unwrap_or_default());
            }
            // The store uses a list only when it is complete.
            Event::Init | Event::InitApply(_) => {}
            // No event reports policies that were deleted while the watch was down.
            Event::InitDone => {
                let listed = self.watched.state();
                let versions = listed.iter().map(|policy| {
                    (policy.metadata.uid.as_deref().unwrap_or_default(), version(&policy.metadata))
                });
                let versions: HashMap<_, _> = versions.collect();
                pending.retain(|uid, written| {
                    versions.get(uid.as_str()).is_some_and(|watched| *watched < written.version)
                });
            }
        }
    }

    fn lock(&self) -> MutexGuard<'_, HashMap<String, Pending>> {
        self.pending.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

fn is_as_new(watched: &ObjectMeta, written: &ObjectMeta) -> bool {
    watched.uid == written.uid && version(watched) >= version(written)
}

/// Returns the resource version as a number. The versions of an object increase (Kubernetes API concepts,
/// "resource versions": guaranteed since 1.35, true before).
fn version(metadata: &ObjectMeta) -> u64 {
    metadata.resource_version.as_ref().and_then(|version| version.parse().ok()).unwrap_or_default()
}

#[cfg(test)]
mod tests {
    use kube::runtime::reflector::store::Writer;
    use serde_json::json;

    use super::*;

    fn policy(version: &str, handled: &str) -> BackupPolicy {
        serde_json::from_value(json!({
            "metadata": {"name": "shop", "namespace": "n", "uid": "p", "resourceVersion": version},
            "spec": {
                "schedule": "* * * * *",
                "postgres": {"version": 17, "connection": {"host": "h", "user": "u", "passwordSecretRef": {"name": "s", "key": "k"}}},
                "storage": {"volume": {"claimName": "c"}}
            },
            "status": {"lastHandledRequest": handled}
        }))
        .unwrap()
    }

    /// Processes an event in the same order as the real watch: first the store, then the pending statuses.
    fn watch(writer: &mut Writer<BackupPolicy>, pending: &PendingStatuses, event: &Event<BackupPolicy>) {
        writer.apply_watcher_event(event);
        pending.remove_shown(event);
    }

    fn add(pending: &PendingStatuses, policy: BackupPolicy) {
        pending.add(&policy.metadata, policy.status.unwrap());
    }

    fn handled(pending: &PendingStatuses, policy: &BackupPolicy) -> String {
        pending.with_newest_status(policy).status.unwrap().last_handled_request.unwrap()
    }

    #[test]
    fn written_status_is_remembered_until_the_watch_shows_it() {
        let mut writer = Writer::<BackupPolicy>::default();
        let pending = PendingStatuses::new(writer.as_reader());
        watch(&mut writer, &pending, &Event::Apply(policy("9", "old")));
        add(&pending, policy("10", "new"));
        assert_eq!(handled(&pending, &policy("9", "old")), "new");
        watch(&mut writer, &pending, &Event::Apply(policy("10", "new")));
        assert!(pending.lock().is_empty());
        assert_eq!(handled(&pending, &policy("11", "newer")), "newer");
    }

    #[test]
    fn written_status_already_seen_by_watch_is_not_remembered() {
        let mut writer = Writer::<BackupPolicy>::default();
        let pending = PendingStatuses::new(writer.as_reader());
        watch(&mut writer, &pending, &Event::Apply(policy("10", "new")));
        add(&pending, policy("10", "new"));
        assert!(pending.lock().is_empty());
    }

    #[test]
    fn incomplete_list_does_not_drop_a_written_status() {
        let mut writer = Writer::<BackupPolicy>::default();
        let pending = PendingStatuses::new(writer.as_reader());
        watch(&mut writer, &pending, &Event::Apply(policy("9", "old")));
        add(&pending, policy("10", "new"));
        watch(&mut writer, &pending, &Event::Init);
        watch(&mut writer, &pending, &Event::InitApply(policy("10", "new")));
        let shown = pending.watched.get(&ObjectRef::new("shop").within("n")).unwrap();
        assert_eq!(handled(&pending, &shown), "new");
        watch(&mut writer, &pending, &Event::InitDone);
        assert!(pending.lock().is_empty());
    }

    #[test]
    fn outdated_list_does_not_drop_a_written_status() {
        let mut writer = Writer::<BackupPolicy>::default();
        let pending = PendingStatuses::new(writer.as_reader());
        add(&pending, policy("10", "new"));
        for event in [Event::Init, Event::InitApply(policy("9", "old")), Event::InitDone] {
            watch(&mut writer, &pending, &event);
        }
        assert_eq!(handled(&pending, &policy("9", "old")), "new");
    }

    #[test]
    fn written_status_of_a_deleted_policy_is_dropped() {
        let mut writer = Writer::<BackupPolicy>::default();
        let pending = PendingStatuses::new(writer.as_reader());
        add(&pending, policy("10", "new"));
        watch(&mut writer, &pending, &Event::Delete(policy("11", "new")));
        assert!(pending.lock().is_empty());
        add(&pending, policy("10", "new"));
        watch(&mut writer, &pending, &Event::Init);
        watch(&mut writer, &pending, &Event::InitDone);
        assert!(pending.lock().is_empty());
    }
}
