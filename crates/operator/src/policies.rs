//! The policies, as their watch shows them: to the ops endpoint from the start, and to the reconciler once this replica leads.

use std::{
    hash::{BuildHasher as _, BuildHasherDefault, DefaultHasher},
    pin::pin,
    sync::Arc,
};

use api::{BackupPolicy, meta};
use futures::{Stream, StreamExt as _, stream, stream::BoxStream};
use kube::{
    ResourceExt as _,
    runtime::{
        PredicateConfig, WatchStreamExt as _,
        reflector::{Store, store::Writer},
        watcher,
    },
};
use tokio::sync::watch;

use crate::{watches::Scope, written::Written};

/// The watch of policies, and the store that it fills.
pub struct Policies {
    /// Those that changed by another hand than ours.
    pub changed: BoxStream<'static, watcher::Result<BackupPolicy>>,
    /// All of them.
    pub store: Store<BackupPolicy>,
    /// What we wrote, until the watch shows it.
    pub written: Arc<Written>,
    /// No list is under way, so that all which was shown is in the store.
    whole: watch::Receiver<bool>,
}

impl Policies {
    /// The watch, which goes on while it is asked for changes.
    pub fn new(scope: &Scope, writer: Writer<BackupPolicy>) -> Self {
        let store = writer.as_reader();
        let written = Arc::new(Written::new(store.clone()));
        let (listing, whole) = watch::channel(false);
        let changed = scope.policies(store.clone(), writer, written.clone(), listing);
        let changed = changed.predicate_filter(generation_or_annotations, PredicateConfig::default());
        Self { changed: changed.boxed(), store, written, whole }
    }

    /// Keeps the store as the cluster is until `end`. What changes meanwhile is for the replica that leads.
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

    /// One item, as soon as the store has all that was shown until now: what [`Self::follow`] passed over is seen then. In a
    /// list that is under way some were shown and are not in the store yet.
    pub fn caught_up(&self) -> impl Stream<Item = ()> + Send + use<> {
        let mut whole = self.whole.clone();
        stream::once(async move {
            // The watch ends with the process.
            let _ = whole.wait_for(|whole| *whole).await;
        })
    }
}

/// Our own writes of the status change neither, and must not wake us.
#[expect(clippy::unnecessary_wraps, reason = "the shape that predicates have")]
fn generation_or_annotations(policy: &BackupPolicy) -> Option<u64> {
    let annotations = [meta::REQUESTED_AT, meta::ACKNOWLEDGED].map(|name| policy.annotations().get(name));
    Some(BuildHasherDefault::<DefaultHasher>::default().hash_one((policy.metadata.generation, annotations)))
}
