//! Writes events. They are news, not facts: one that cannot be written is logged and forgotten.

use api::BackupPolicy;
use desired::EventDraft;
use domain::report::cut;
use kube::{
    Client, Resource,
    runtime::events::{Event, EventType, Recorder, Reporter},
};

use crate::client::call;

/// The API refuses longer notes.
const NOTE_LIMIT: usize = 1000;

/// Writes events about policies.
#[derive(Clone)]
pub struct Events(Recorder);

impl Events {
    /// As `identity`: the pod's name.
    pub fn new(client: Client, identity: &str) -> Self {
        let reporter =
            Reporter { controller: api::meta::FIELD_MANAGER.to_owned(), instance: Some(identity.to_owned()) };
        Self(Recorder::new(client, reporter))
    }

    /// Writes what is new about `policy`.
    pub async fn publish(&self, policy: &BackupPolicy, drafts: Vec<EventDraft>) {
        for draft in drafts {
            let mut note = draft.note;
            cut(&mut note, NOTE_LIMIT);
            let event = Event {
                type_: if draft.warning { EventType::Warning } else { EventType::Normal },
                reason: draft.reason,
                note: Some(note),
                action: draft.action.to_owned(),
                secondary: None,
            };
            if let Err(error) = call(self.0.publish(&event, &policy.object_ref(&()))).await {
                tracing::warn!("event {} is lost: {error}", event.reason);
            }
        }
    }
}
