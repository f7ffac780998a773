//! Writes Kubernetes events about policies. An event that cannot be written is logged and dropped, because
//! the status contains the same facts.

use api::BackupPolicy;
use desired::EventDraft;
use domain::message::cut;
use k8s_openapi::api::core::v1::ObjectReference;
use kube::{
    Client, Resource, ResourceExt,
    runtime::events::{Event, EventType, Recorder, Reporter},
};

use crate::client::call;

/// The maximum length of an event's note, in bytes. The API server rejects longer notes.
const NOTE_LIMIT: usize = 1000;

#[derive(Clone)]
pub struct Events(Recorder);

impl Events {
    /// Creates the publisher of events. `identity` is the reporting instance in the events.
    pub fn new(client: Client, identity: &str) -> Self {
        let reporter =
            Reporter { controller: api::meta::FIELD_MANAGER.to_owned(), instance: Some(identity.to_owned()) };
        Self(Recorder::new(client, reporter))
    }

    pub async fn publish(&self, policy: &BackupPolicy, drafts: Vec<EventDraft>) {
        for draft in drafts {
            let event = event(policy, draft);
            if let Err(error) = call(self.0.publish(&event, &policy.object_ref(&()))).await {
                tracing::warn!(
                    namespace = policy.namespace(),
                    policy = policy.name_any(),
                    "event {} was not written and is dropped: {error}",
                    event.reason
                );
            }
        }
    }
}

/// Converts a draft to an event. The recorder merges events with equal reasons and keeps the note of the
/// first, unless their related objects differ. For this reason the run's Job is the related object, so that
/// each run has its own event and note.
fn event(policy: &BackupPolicy, draft: EventDraft) -> Event {
    let mut note = draft.note;
    cut(&mut note, NOTE_LIMIT);
    Event {
        type_: if draft.warning { EventType::Warning } else { EventType::Normal },
        reason: draft.reason.to_string(),
        note: Some(note),
        action: draft.action.to_owned(),
        secondary: draft.job.map(|job| ObjectReference {
            api_version: Some("batch/v1".to_owned()),
            kind: Some("Job".to_owned()),
            name: Some(job),
            namespace: policy.namespace(),
            ..ObjectReference::default()
        }),
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn draft(job: Option<&str>) -> EventDraft {
        EventDraft {
            warning: true,
            reason: "LockTimeout".into(),
            action: "Backup",
            note: "a table is locked".to_owned(),
            job: job.map(str::to_owned),
        }
    }

    #[test]
    fn events_of_different_runs_are_not_merged() {
        let policy: BackupPolicy = serde_json::from_value(json!({
            "metadata": {"name": "shop", "namespace": "n", "uid": "p"},
            "spec": {
                "schedule": "* * * * *",
                "postgres": {"version": 17, "connection": {"host": "h", "user": "u", "passwordSecretRef": {"name": "s", "key": "k"}}},
                "storage": {"volume": {"claimName": "c"}}
            }
        }))
        .unwrap();
        let [first, second] = ["shop-backup-1", "shop-backup-2"].map(|job| event(&policy, draft(Some(job))));
        assert_ne!(first.secondary, second.secondary);
        let related = first.secondary.unwrap();
        let names = [related.api_version, related.kind, related.namespace, related.name].map(Option::unwrap);
        assert_eq!(names, ["batch/v1", "Job", "n", "shop-backup-1"]);
        assert_eq!(event(&policy, draft(None)).secondary, None);
    }
}
