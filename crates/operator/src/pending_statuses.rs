//! Our own newest status of each policy, for as long as our watch has not shown it.
//!
//! A reconcile that started from an older status would write what was written already, or undo it.

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

/// Statuses that are written and not yet shown, by the policy's UID.
pub struct PendingStatuses {
    shown: Store<BackupPolicy>,
    ahead: Mutex<HashMap<String, Ahead>>,
}

struct Ahead {
    version: u64,
    status: BackupPolicyStatus,
}

impl PendingStatuses {
    /// `shown` is what the watch fills.
    pub fn new(shown: Store<BackupPolicy>) -> Self {
        Self { shown, ahead: Mutex::default() }
    }

    /// The policy with the newest status.
    pub fn newest(&self, policy: &BackupPolicy) -> BackupPolicy {
        let mut policy = policy.clone();
        let ahead = self.lock();
        let ours = policy.metadata.uid.as_ref().and_then(|uid| ahead.get(uid));
        if let Some(ours) = ours.filter(|ours| version(&policy.metadata) < ours.version) {
            policy.status = Some(ours.status.clone());
        }
        policy
    }

    /// Takes note of what was written, and of the policy's metadata since then, unless the watch was faster.
    pub fn remember(&self, metadata: &ObjectMeta, status: BackupPolicyStatus) {
        let mut ahead = self.lock();
        // The watch fills the store before it comes here, so with the lock held one of the two sees the other.
        let name = ObjectRef::new(metadata.name.as_deref().unwrap_or_default());
        let shown = self.shown.get(&name.within(metadata.namespace.as_deref().unwrap_or_default()));
        if shown.is_some_and(|shown| is_as_new(&shown.metadata, metadata)) {
            return;
        }
        let Some(uid) = metadata.uid.clone() else { return };
        ahead.insert(uid, Ahead { version: version(metadata), status });
    }

    /// Takes an event of the policies' watch that is in the store already: what it shows need not be remembered.
    pub fn show(&self, event: &Event<BackupPolicy>) {
        let mut ahead = self.lock();
        match event {
            Event::Apply(policy) => {
                let uid = policy.metadata.uid.as_deref().unwrap_or_default();
                if ahead.get(uid).is_some_and(|ours| version(&policy.metadata) >= ours.version) {
                    ahead.remove(uid);
                }
            }
            Event::Delete(policy) => {
                ahead.remove(policy.metadata.uid.as_deref().unwrap_or_default());
            }
            // What is listed is in the store only once all of it is there.
            Event::Init | Event::InitApply(_) => {}
            // Policies that were deleted while the watch was down are in no event.
            Event::InitDone => {
                let listed = self.shown.state();
                let versions = listed.iter().map(|policy| {
                    (policy.metadata.uid.as_deref().unwrap_or_default(), version(&policy.metadata))
                });
                let versions: HashMap<_, _> = versions.collect();
                ahead.retain(|uid, ours| {
                    versions.get(uid.as_str()).is_some_and(|shown| *shown < ours.version)
                });
            }
        }
    }

    fn lock(&self) -> MutexGuard<'_, HashMap<String, Ahead>> {
        self.ahead.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

fn is_as_new(shown: &ObjectMeta, written: &ObjectMeta) -> bool {
    shown.uid == written.uid && version(shown) >= version(written)
}

/// Versions of one object grow (Kubernetes API concepts, "resource versions"; a promise since 1.35 and a fact
/// before).
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

    /// As the watch does: into the store, then here.
    fn watch(writer: &mut Writer<BackupPolicy>, written: &PendingStatuses, event: &Event<BackupPolicy>) {
        writer.apply_watcher_event(event);
        written.show(event);
    }

    fn remember(written: &PendingStatuses, policy: BackupPolicy) {
        written.remember(&policy.metadata, policy.status.unwrap());
    }

    fn handled(written: &PendingStatuses, policy: &BackupPolicy) -> String {
        written.newest(policy).status.unwrap().last_handled_request.unwrap()
    }

    #[test]
    fn a_status_is_remembered_until_the_watch_shows_it() {
        let mut writer = Writer::<BackupPolicy>::default();
        let written = PendingStatuses::new(writer.as_reader());
        watch(&mut writer, &written, &Event::Apply(policy("9", "old")));
        remember(&written, policy("10", "new"));
        assert_eq!(handled(&written, &policy("9", "old")), "new");
        watch(&mut writer, &written, &Event::Apply(policy("10", "new")));
        assert!(written.lock().is_empty());
        assert_eq!(handled(&written, &policy("11", "newer")), "newer");
    }

    #[test]
    fn a_watch_that_is_faster_than_the_answer_leaves_nothing_behind() {
        let mut writer = Writer::<BackupPolicy>::default();
        let written = PendingStatuses::new(writer.as_reader());
        watch(&mut writer, &written, &Event::Apply(policy("10", "new")));
        remember(&written, policy("10", "new"));
        assert!(written.lock().is_empty());
    }

    #[test]
    fn a_list_that_is_not_whole_yet_shows_nothing() {
        let mut writer = Writer::<BackupPolicy>::default();
        let written = PendingStatuses::new(writer.as_reader());
        watch(&mut writer, &written, &Event::Apply(policy("9", "old")));
        remember(&written, policy("10", "new"));
        watch(&mut writer, &written, &Event::Init);
        watch(&mut writer, &written, &Event::InitApply(policy("10", "new")));
        let shown = written.shown.get(&ObjectRef::new("shop").within("n")).unwrap();
        assert_eq!(handled(&written, &shown), "new");
        watch(&mut writer, &written, &Event::InitDone);
        assert!(written.lock().is_empty());
    }

    #[test]
    fn a_list_that_is_older_than_what_was_written_leaves_that_remembered() {
        let mut writer = Writer::<BackupPolicy>::default();
        let written = PendingStatuses::new(writer.as_reader());
        remember(&written, policy("10", "new"));
        for event in [Event::Init, Event::InitApply(policy("9", "old")), Event::InitDone] {
            watch(&mut writer, &written, &event);
        }
        assert_eq!(handled(&written, &policy("9", "old")), "new");
    }

    #[test]
    fn a_policy_that_is_gone_is_forgotten() {
        let mut writer = Writer::<BackupPolicy>::default();
        let written = PendingStatuses::new(writer.as_reader());
        remember(&written, policy("10", "new"));
        watch(&mut writer, &written, &Event::Delete(policy("11", "new")));
        assert!(written.lock().is_empty());
        remember(&written, policy("10", "new"));
        watch(&mut writer, &written, &Event::Init);
        watch(&mut writer, &written, &Event::InitDone);
        assert!(written.lock().is_empty());
    }
}
