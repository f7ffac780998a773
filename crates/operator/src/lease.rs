//! Leader election: the replica that holds the Lease works, and the others wait.
//!
//! A candidate takes a Lease that it has seen unchanged for [`DURATION`], measured with its own monotonic
//! clock. Clocks of different machines are never compared. Each write replaces exactly the version that was
//! read, so only one of several candidates succeeds.

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

/// The time without a renewal after which a candidate may take the Lease.
const DURATION: Duration = Duration::from_secs(30);

/// The interval at which the holder renews the Lease and the candidates read it.
const RENEW: Duration = Duration::from_secs(10);

/// The pause after a failed renewal.
const RETRY: Duration = Duration::from_secs(2);

/// The time without a successful renewal after which the holder stops working. It is shorter than
/// [`DURATION`], so the holder stops before a candidate takes the Lease.
const GIVE_UP: Duration = Duration::from_secs(20);

pub struct Lease {
    api: Api<LeaseObject>,
    name: String,
    identity: String,
    held: Option<LeaseObject>,
    /// The time at which the last successful renewal was sent. Candidates cannot have seen the renewal
    /// earlier.
    renewed: Instant,
}

/// The version of the Lease that a candidate has seen, and the time since which it is unchanged.
#[derive(Debug)]
struct Sighting {
    version: Option<String>,
    since: Instant,
}

#[derive(Debug, thiserror::Error)]
pub enum LeaseError {
    #[error("another replica took the Lease")]
    Taken,
    #[error("renewing the Lease failed for {} s", GIVE_UP.as_secs())]
    Stale,
    #[error("the operator has no permission to read or write the Lease: {0}")]
    Forbidden(CallError),
}

impl Lease {
    pub fn new(client: Client, namespace: &str, name: &str, identity: &str) -> Self {
        Self {
            api: Api::namespaced(client, namespace),
            name: name.to_owned(),
            identity: identity.to_owned(),
            held: None,
            renewed: Instant::now(),
        }
    }

    /// Waits until this replica holds the Lease. Returns an error only if it has no permission.
    pub async fn acquire(&mut self) -> Result<(), LeaseError> {
        let mut sighting = None;
        loop {
            match self.try_acquire(&mut sighting).await {
                Ok(true) => return Ok(()),
                Ok(false) => {}
                Err(CallError::Kube(kube::Error::Api(status))) if status.is_forbidden() => {
                    return Err(LeaseError::Forbidden(kube::Error::Api(status).into()));
                }
                Err(error) => {
                    tracing::warn!("acquiring the Lease failed, retrying in {} s: {error}", RENEW.as_secs());
                }
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

    /// Renews the Lease until this replica loses it. Returns the reason for the loss.
    pub async fn keep(&mut self) -> LeaseError {
        let mut pause = RENEW;
        loop {
            tokio::time::sleep(pause).await;
            // A call can take longer than the Lease is valid, so it is limited too.
            let left = GIVE_UP.saturating_sub(self.renewed.elapsed());
            match tokio::time::timeout(left, self.renew()).await {
                Ok(Ok(true)) => pause = RENEW,
                Ok(Ok(false)) => return LeaseError::Taken,
                Ok(Err(error)) => {
                    tracing::warn!("renewing the Lease failed, retrying in {} s: {error}", RETRY.as_secs());
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
        // Either an earlier write of this replica succeeded but its response was lost, or somebody deleted
        // the Lease.
        let found = call(self.api.get_opt(&self.name)).await?;
        if found.as_ref().is_some_and(|found| holder(found) != self.identity) {
            return Ok(false);
        }
        self.write(found).await
    }

    /// Clears the holder, so that another replica can take the Lease at once.
    pub async fn release(&mut self) {
        let Some(mut lease) = self.held.take() else { return };
        if let Some(spec) = &mut lease.spec {
            spec.holder_identity = None;
        }
        if let Err(error) = call(self.api.replace(&self.name, &PostParams::default(), &lease)).await {
            tracing::warn!(
                "releasing the Lease failed, another replica takes over in {} s: {error}",
                DURATION.as_secs()
            );
        }
    }

    /// Writes a Lease that this replica holds, in place of exactly the version `found`. Returns `false` if
    /// somebody else wrote first.
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

/// Returns whether `identity` may take a Lease of `holder` that it has seen unchanged for `unchanged`. A
/// container that restarts in the same pod has the same identity and keeps its Lease.
fn may_take(holder: &str, identity: &str, unchanged: Duration) -> bool {
    holder.is_empty() || holder == identity || unchanged > DURATION
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn leader_lease_is_taken_if_free_own_or_expired() {
        assert!(may_take("", "me", Duration::ZERO));
        assert!(may_take("me", "me", Duration::ZERO));
        assert!(!may_take("other", "me", DURATION));
        assert!(may_take("other", "me", DURATION + Duration::from_secs(1)));
    }

    #[test]
    fn leader_gives_up_before_another_replica_takes_over() {
        assert!(RENEW + RETRY < GIVE_UP);
        assert!(GIVE_UP + RENEW <= DURATION);
    }
}
