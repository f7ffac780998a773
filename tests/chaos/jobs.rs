//! Records all Jobs that ever existed, with a separate watch.

use std::{
    collections::{BTreeMap, BTreeSet},
    sync::{Arc, Mutex, PoisonError},
};

use futures::{StreamExt as _, future};
use k8s_openapi::api::batch::v1::Job;
use kube::{
    ResourceExt as _,
    core::PartialObjectMeta,
    runtime::{WatchStreamExt as _, watcher},
};
use pgbackup_tests::Env;
use tokio::task::JoinHandle;

/// The UIDs of all Jobs with each name. Dropping this value ends the watch.
pub struct SeenJobs {
    seen: Arc<Mutex<BTreeMap<String, BTreeSet<String>>>>,
    watch: JoinHandle<()>,
}

impl SeenJobs {
    /// Starts the watch of the test's namespace.
    pub fn watch(env: &Env) -> Self {
        let seen = Arc::new(Mutex::new(BTreeMap::<String, BTreeSet<String>>::new()));
        let jobs = watcher(env.api::<PartialObjectMeta<Job>>(), watcher::Config::default()).default_backoff();
        let into = seen.clone();
        let watch = tokio::spawn(jobs.touched_objects().for_each(move |job| {
            if let Ok(job) = job {
                let mut seen = into.lock().unwrap_or_else(PoisonError::into_inner);
                seen.entry(job.name_any()).or_default().extend(job.uid());
            }
            future::ready(())
        }));
        Self { seen, watch }
    }

    /// Returns the names that more than one Job had.
    pub fn twice(&self) -> Vec<String> {
        let seen = self.seen.lock().unwrap_or_else(PoisonError::into_inner);
        seen.iter().filter(|(_, uids)| uids.len() > 1).map(|(name, _)| name.clone()).collect()
    }
}

impl Drop for SeenJobs {
    fn drop(&mut self) {
        self.watch.abort();
    }
}
