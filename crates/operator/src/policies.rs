//! The policies, as their watch shows them: to the ops endpoint from the start, and to the reconciler once this replica leads.

use std::{
    hash::{BuildHasher as _, BuildHasherDefault, DefaultHasher},
    pin::pin,
    sync::Arc,
};

use api::{BackupPolicy, meta};
use futures::{StreamExt as _, stream::BoxStream};
use kube::{
    ResourceExt as _,
    runtime::{
        PredicateConfig, WatchStreamExt as _,
        reflector::{Store, store::Writer},
        watcher,
    },
};

use crate::{pending_statuses::PendingStatuses, watches::Scope};

/// The watch of policies, and the store that it fills.
pub struct Policies {
    /// Those that changed by another hand than ours.
    pub changed: BoxStream<'static, watcher::Result<BackupPolicy>>,
    /// All of them.
    pub store: Store<BackupPolicy>,
    /// What we wrote, until the watch shows it.
    pub written: Arc<PendingStatuses>,
}

impl Policies {
    /// The watch, which goes on while it is asked for changes.
    pub fn new(scope: &Scope, writer: Writer<BackupPolicy>) -> Self {
        let store = writer.as_reader();
        let written = Arc::new(PendingStatuses::new(store.clone()));
        let changed = scope.policies(store.clone(), writer, written.clone());
        let changed = changed.predicate_filter(generation_or_annotations, PredicateConfig::default());
        Self { changed: changed.boxed(), store, written }
    }

    /// Keeps the store as the cluster is until `end`. What changes meanwhile is for the replica that leads: who begins to lead
    /// looks at all that is in the store.
    pub async fn follow<T>(&mut self, end: impl Future<Output = T>) -> T {
        let mut end = pin!(end);
        loop {
            tokio::select! {
                ended = &mut end => return ended,
                Some(shown) = self.changed.next() => {
                    if let Err(error) = shown {
                        tracing::warn!("watch of BackupPolicy: {error}");
                    }
                }
            }
        }
    }
}

/// Our own writes of the status change neither, and must not wake us.
#[expect(clippy::unnecessary_wraps, reason = "the shape that predicates have")]
fn generation_or_annotations(policy: &BackupPolicy) -> Option<u64> {
    let annotations = [meta::REQUESTED_AT, meta::ACKNOWLEDGED].map(|name| policy.annotations().get(name));
    Some(BuildHasherDefault::<DefaultHasher>::default().hash_one((policy.metadata.generation, annotations)))
}
