//! Which of the replicas works: the holder of a Lease.
//!
//! Expiry is judged by how long we have watched an unchanged Lease on our own monotonic clock, never by comparing
//! clocks. Each write replaces the version that was read, so two candidates cannot both succeed.

use std::time::{Duration, Instant};

use jiff::Timestamp;
use k8s_openapi::{
    api::coordination::v1::{Lease as LeaseObject, LeaseSpec},
    apimachinery::pkg::apis::meta::v1::MicroTime,
};
use kube::{
    Api, Client,
    api::{ObjectMeta, PostParams},
};

use crate::client::{CallError, call};

/// A holder that has not renewed for so long is gone.
const DURATION: Duration = Duration::from_secs(30);

/// How often the holder renews and the others look.
const RENEW: Duration = Duration::from_secs(10);

/// The pause after a renewal that failed.
const RETRY: Duration = Duration::from_secs(2);

/// A holder that could not renew for so long stops: before anybody else may begin.
const GIVE_UP: Duration = Duration::from_secs(20);

/// The Lease of this replica.
pub struct Lease {
    api: Api<LeaseObject>,
    name: String,
    identity: String,
    held: Option<LeaseObject>,
    /// When the write that renewed it last was sent: the others cannot have seen it earlier.
    renewed: Instant,
}

/// What a candidate has seen of the Lease.
#[derive(Debug)]
struct Sighting {
    version: Option<String>,
    since: Instant,
}

/// The Lease belongs to another replica, or cannot be renewed.
#[derive(Debug, thiserror::Error)]
pub enum LeaseError {
    /// Another one took it.
    #[error("another replica holds the Lease")]
    Taken,
    /// It could not be renewed in time.
    #[error("the Lease could not be renewed for {} s", GIVE_UP.as_secs())]
    Stale,
    /// It may not be read or written at all.
    #[error(transparent)]
    Refused(CallError),
}

impl Lease {
    /// The Lease `name`, for the candidate `identity`.
    pub fn new(client: Client, namespace: &str, name: &str, identity: &str) -> Self {
        Self {
            api: Api::namespaced(client, namespace),
            name: name.to_owned(),
            identity: identity.to_owned(),
            held: None,
            renewed: Instant::now(),
        }
    }

    /// Waits until it is ours.
    pub async fn acquire(&mut self) -> Result<(), LeaseError> {
        let mut sighting = None;
        loop {
            match self.try_acquire(&mut sighting).await {
                Ok(true) => return Ok(()),
                Ok(false) => {}
                Err(CallError::Kube(kube::Error::Api(status))) if status.is_forbidden() => {
                    return Err(LeaseError::Refused(kube::Error::Api(status).into()));
                }
                Err(error) => tracing::warn!("the Lease cannot be read or written: {error}"),
            }
            tokio::time::sleep(RENEW).await;
        }
    }

    async fn try_acquire(&mut self, sighting: &mut Option<Sighting>) -> Result<bool, CallError> {
        let Some(found) = call(self.api.get_opt(&self.name)).await? else { return self.write(None).await };
        let version = found.metadata.resource_version.clone();
        let seen =
            sighting.get_or_insert_with(|| Sighting { version: version.clone(), since: Instant::now() });
        if seen.version != version {
            *seen = Sighting { version, since: Instant::now() };
        }
        if may_take(holder(&found), &self.identity, seen.since.elapsed()) {
            return self.write(Some(found)).await;
        }
        Ok(false)
    }

    /// Renews it for as long as it is ours; ends with the reason why it no longer is.
    pub async fn keep(&mut self) -> LeaseError {
        let mut pause = RENEW;
        loop {
            tokio::time::sleep(pause).await;
            // A call may hang for longer than the Lease lasts.
            let left = GIVE_UP.saturating_sub(self.renewed.elapsed());
            match tokio::time::timeout(left, self.renew()).await {
                Ok(Ok(true)) => pause = RENEW,
                Ok(Ok(false)) => return LeaseError::Taken,
                Ok(Err(error)) => {
                    tracing::warn!("the Lease is not renewed: {error}");
                    pause = RETRY;
                }
                Err(_) => return LeaseError::Stale,
            }
        }
    }

    async fn renew(&mut self) -> Result<bool, CallError> {
        if self.write(self.held.clone()).await? {
            return Ok(true);
        }
        // An earlier write of ours may have arrived although its answer did not; or somebody deleted the Lease.
        let found = call(self.api.get_opt(&self.name)).await?;
        if found.as_ref().is_some_and(|found| holder(found) != self.identity) {
            return Ok(false);
        }
        self.write(found).await
    }

    /// Gives it up, so that another replica need not wait for its end.
    pub async fn release(&mut self) {
        let Some(mut lease) = self.held.take() else { return };
        if let Some(spec) = &mut lease.spec {
            spec.holder_identity = None;
        }
        if let Err(error) = call(self.api.replace(&self.name, &PostParams::default(), &lease)).await {
            tracing::debug!("the Lease is not released: {error}");
        }
    }

    /// Writes us as the holder over exactly the version `found`; `false` when somebody else was faster.
    async fn write(&mut self, found: Option<LeaseObject>) -> Result<bool, CallError> {
        let (sent, now) = (Instant::now(), MicroTime(Timestamp::now()));
        let creating = found.is_none();
        let mut lease = found.unwrap_or_else(|| LeaseObject {
            metadata: ObjectMeta { name: Some(self.name.clone()), ..ObjectMeta::default() },
            spec: None,
        });
        let before = lease.spec.take().unwrap_or_default();
        let ours = before.holder_identity.as_deref() == Some(&self.identity);
        lease.spec = Some(LeaseSpec {
            holder_identity: Some(self.identity.clone()),
            lease_duration_seconds: Some(i32::try_from(DURATION.as_secs()).unwrap_or(i32::MAX)),
            acquire_time: if ours { before.acquire_time } else { Some(now.clone()) },
            lease_transitions: Some(before.lease_transitions.unwrap_or(0) + i32::from(!ours && !creating)),
            renew_time: Some(now),
            ..before
        });
        let parameters = PostParams::default();
        let written = if creating {
            call(self.api.create(&parameters, &lease)).await
        } else {
            call(self.api.replace(&self.name, &parameters, &lease)).await
        };
        match written {
            Ok(lease) => {
                self.held = Some(lease);
                self.renewed = sent;
                Ok(true)
            }
            Err(error) if error.is_conflict() || error.is_already_exists() => Ok(false),
            Err(error) if error.is_not_found() && !creating => Ok(false),
            Err(error) => Err(error),
        }
    }
}

fn holder(lease: &LeaseObject) -> &str {
    lease.spec.as_ref().and_then(|spec| spec.holder_identity.as_deref()).unwrap_or_default()
}

/// Whether the Lease may be taken from `holder`, unchanged for `unchanged` before our eyes. Ours from before a
/// restart of this very pod is ours.
fn may_take(holder: &str, identity: &str, unchanged: Duration) -> bool {
    holder.is_empty() || holder == identity || unchanged > DURATION
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_lease_is_taken_when_it_is_free_ours_or_no_longer_renewed() {
        assert!(may_take("", "me", Duration::ZERO));
        assert!(may_take("me", "me", Duration::ZERO));
        assert!(!may_take("other", "me", DURATION));
        assert!(may_take("other", "me", DURATION + Duration::from_secs(1)));
    }

    #[test]
    fn a_holder_stops_before_another_may_begin() {
        assert!(RENEW + RETRY < GIVE_UP);
        assert!(GIVE_UP + RENEW <= DURATION);
    }
}
