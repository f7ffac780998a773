//! The list of objects that a watch sends when it starts again.

use std::collections::HashSet;

use kube::{Resource, runtime::watcher::Event};

/// The UIDs in the list. A known object that is not in the list was deleted while the watch was down; no
/// event reports that deletion.
#[derive(Debug, Default)]
pub struct Relisting(HashSet<String>);

impl Relisting {
    pub fn note<K: Resource>(&mut self, event: &Event<K>) {
        match event {
            Event::Init => self.0.clear(),
            Event::InitApply(object) => {
                self.0.insert(object.meta().uid.clone().unwrap_or_default());
            }
            Event::Apply(_) | Event::Delete(_) | Event::InitDone => {}
        }
    }

    pub fn has(&self, uid: &str) -> bool {
        self.0.contains(uid)
    }
}
