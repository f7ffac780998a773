//! Whether this replica is ready, and whether it leads.

use std::sync::atomic::{AtomicBool, Ordering};

#[derive(Debug, Default)]
pub struct Readiness {
    is_ready: AtomicBool,
    leads: AtomicBool,
}

impl Readiness {
    /// A replica that waits for the Lease is ready to take over.
    pub fn waiting_to_lead(&self) {
        self.is_ready.store(true, Ordering::Relaxed);
    }

    /// The replica leads, and is not ready until it has listed all objects. It leads until the process ends: a replica that
    /// loses the Lease stops.
    pub fn syncing(&self) {
        self.is_ready.store(false, Ordering::Relaxed);
        self.leads.store(true, Ordering::Relaxed);
    }

    /// The replica has listed all objects.
    pub fn synced(&self) {
        self.is_ready.store(true, Ordering::Relaxed);
    }

    pub fn is_ready(&self) -> bool {
        self.is_ready.load(Ordering::Relaxed)
    }

    pub fn leads(&self) -> bool {
        self.leads.load(Ordering::Relaxed)
    }
}
