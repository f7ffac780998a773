//! Whether this replica is ready, and whether it leads.

use std::sync::atomic::{AtomicBool, Ordering};

#[derive(Debug, Default)]
pub struct Readiness {
    is_ready: AtomicBool,
    leads: AtomicBool,
}

impl Readiness {
    /// Marks the replica as waiting for the Lease. It is ready, because it can take over.
    pub fn waiting_to_lead(&self) {
        self.is_ready.store(true, Ordering::Relaxed);
    }

    /// Marks the replica as leading but not ready until it has listed all objects. It leads until the process
    /// ends, because a replica that loses the Lease exits.
    pub fn syncing(&self) {
        self.is_ready.store(false, Ordering::Relaxed);
        self.leads.store(true, Ordering::Relaxed);
    }

    /// Marks the replica as ready: it has listed all objects.
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
