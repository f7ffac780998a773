//! The watch of policies. The ops endpoint reads its store from the start; the reconciler follows it once
//! this replica leads.

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

pub struct Policies {
    /// The policies that were changed, except by the operator's own writes of the status.
    pub changed: BoxStream<'static, watcher::Result<BackupPolicy>>,
    pub store: Store<BackupPolicy>,
    pub pending: Arc<PendingStatuses>,
}

impl Policies {
    /// Creates the watch, which starts when `changed` is polled.
    pub fn new(scope: &Scope, writer: Writer<BackupPolicy>) -> Self {
        let store = writer.as_reader();
        let pending = Arc::new(PendingStatuses::new(store.clone()));
        let changed = scope.policies(store.clone(), writer, pending.clone());
        let changed = changed.predicate_filter(generation_or_annotations, PredicateConfig::default());
        Self { changed: changed.boxed(), store, pending }
    }

    /// Keeps the store up to date until `end`, and drops the changes, because the leader handles them. When
    /// this replica becomes the leader, it reconciles everything in the store.
    pub async fn follow<T>(&mut self, end: impl Future<Output = T>) -> T {
        let mut end = pin!(end);
        loop {
            tokio::select! {
                ended = &mut end => return ended,
                Some(shown) = self.changed.next() => {
                    if let Err(error) = shown {
                        tracing::warn!("watching BackupPolicies failed, retrying: {error}");
                    }
                }
            }
        }
    }
}

/// Returns a hash of the parts of a policy that must start a reconcile. The operator's own writes of the
/// status do not change it.
#[expect(clippy::unnecessary_wraps, reason = "the shape that predicates have")]
fn generation_or_annotations(policy: &BackupPolicy) -> Option<u64> {
    let annotations = [meta::REQUESTED_AT, meta::ACKNOWLEDGED].map(|name| policy.annotations().get(name));
    Some(BuildHasherDefault::<DefaultHasher>::default().hash_one((policy.metadata.generation, annotations)))
}
