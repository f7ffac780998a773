//! Our own newest status of each policy, for as long as our watch has not shown it.
//!
//! A reconcile that started from an older status would write what was written already, or undo it.

use std::{
    collections::HashMap,
    sync::{Arc, Mutex, MutexGuard, PoisonError},
};

use api::{BackupPolicy, BackupPolicyStatus};
use kube::{
    ResourceExt,
    runtime::{
        reflector::{ObjectRef, Store},
        watcher::Event,
    },
};

/// Statuses that are written and not yet shown, by the policy's UID.
pub struct Written {
    shown: Store<BackupPolicy>,
    ahead: Mutex<HashMap<String, Ahead>>,
}

struct Ahead {
    version: u64,
    status: Option<BackupPolicyStatus>,
}

impl Written {
    /// `shown` is what the watch fills.
    pub fn new(shown: Store<BackupPolicy>) -> Self {
        Self { shown, ahead: Mutex::default() }
    }

    /// The policy with the newest status.
    pub fn newest(&self, policy: &BackupPolicy) -> BackupPolicy {
        let mut policy = policy.clone();
        let ahead = self.lock();
        let ours = policy.metadata.uid.as_ref().and_then(|uid| ahead.get(uid));
        if let Some(ours) = ours.filter(|ours| version(&policy) < ours.version) {
            policy.status.clone_from(&ours.status);
        }
        policy
    }

    /// Takes note of what was written, unless the watch was faster.
    pub fn remember(&self, policy: BackupPolicy) {
        let mut ahead = self.lock();
        // The watch fills the store before it comes here, so with the lock held one of the two sees the other.
        let shown = self.shown.get(&ObjectRef::from_obj(&policy));
        if shown.is_some_and(|shown| is_as_new(&shown, &policy)) {
            return;
        }
        let Some(uid) = policy.uid() else { return };
        ahead.insert(uid, Ahead { version: version(&policy), status: policy.status });
    }

    /// Takes an event of the policies' watch that is in the store already: what it shows need not be remembered.
    pub fn show(&self, event: &Event<BackupPolicy>) {
        let mut ahead = self.lock();
        match event {
            Event::Apply(policy) | Event::InitApply(policy) => {
                let uid = policy.metadata.uid.as_deref().unwrap_or_default();
                if ahead.get(uid).is_some_and(|ours| version(policy) >= ours.version) {
                    ahead.remove(uid);
                }
            }
            Event::Delete(policy) => {
                ahead.remove(policy.metadata.uid.as_deref().unwrap_or_default());
            }
            Event::Init => {}
            // Policies that were deleted while the watch was down are in no event.
            Event::InitDone => {
                let uids = self.shown.state();
                ahead.retain(|uid, _| uids.iter().any(|policy| policy.metadata.uid.as_ref() == Some(uid)));
            }
        }
    }

    fn lock(&self) -> MutexGuard<'_, HashMap<String, Ahead>> {
        self.ahead.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

fn is_as_new(shown: &Arc<BackupPolicy>, policy: &BackupPolicy) -> bool {
    shown.metadata.uid == policy.metadata.uid && version(shown) >= version(policy)
}

/// Versions of one object grow (Kubernetes API concepts, "resource versions"; a promise since 1.35 and a fact
/// before).
fn version(policy: &BackupPolicy) -> u64 {
    policy.metadata.resource_version.as_ref().and_then(|version| version.parse().ok()).unwrap_or_default()
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
    fn watch(writer: &mut Writer<BackupPolicy>, written: &Written, event: &Event<BackupPolicy>) {
        writer.apply_watcher_event(event);
        written.show(event);
    }

    fn handled(written: &Written, policy: &BackupPolicy) -> String {
        written.newest(policy).status.unwrap().last_handled_request.unwrap()
    }

    #[test]
    fn a_status_is_remembered_until_the_watch_shows_it() {
        let mut writer = Writer::<BackupPolicy>::default();
        let written = Written::new(writer.as_reader());
        watch(&mut writer, &written, &Event::Apply(policy("9", "old")));
        written.remember(policy("10", "new"));
        assert_eq!(handled(&written, &policy("9", "old")), "new");
        watch(&mut writer, &written, &Event::Apply(policy("10", "new")));
        assert!(written.lock().is_empty());
        assert_eq!(handled(&written, &policy("11", "newer")), "newer");
    }

    #[test]
    fn a_watch_that_is_faster_than_the_answer_leaves_nothing_behind() {
        let mut writer = Writer::<BackupPolicy>::default();
        let written = Written::new(writer.as_reader());
        watch(&mut writer, &written, &Event::Apply(policy("10", "new")));
        written.remember(policy("10", "new"));
        assert!(written.lock().is_empty());
    }

    #[test]
    fn a_policy_that_is_gone_is_forgotten() {
        let mut writer = Writer::<BackupPolicy>::default();
        let written = Written::new(writer.as_reader());
        written.remember(policy("10", "new"));
        watch(&mut writer, &written, &Event::Delete(policy("11", "new")));
        assert!(written.lock().is_empty());
        written.remember(policy("10", "new"));
        watch(&mut writer, &written, &Event::Init);
        watch(&mut writer, &written, &Event::InitDone);
        assert!(written.lock().is_empty());
    }
}
