//! The policies that a caller has permission to get.

use std::collections::BTreeSet;

use api::BackupPolicy;
use axum::http::HeaderMap;
use futures::{FutureExt as _, StreamExt as _, TryStreamExt as _, stream};
use jiff::Timestamp;
use kube::{
    ResourceExt as _,
    runtime::reflector::{ObjectRef, Store},
};
use view::overview::{Overview, overview};

use super::{
    answers::Refusal,
    auth::{AuthError, CONCURRENT_REVIEWS, Caller, Gate, Target},
};

/// The maximum lengths of names in Kubernetes: of a namespace, and of an object ([`NAME_MAX`]).
const NAMESPACE_MAX: usize = 63;
const NAME_MAX: usize = 253;

pub struct Access {
    pub gate: Gate,
    pub policies: Store<BackupPolicy>,
}

impl Access {
    /// Returns whether the first list of policies is complete.
    pub fn is_listed(&self) -> bool {
        matches!(self.policies.wait_until_ready().now_or_never(), Some(Ok(())))
    }

    fn listed(&self) -> Result<(), Refusal> {
        if self.is_listed() { Ok(()) } else { Err(Refusal::NotListed) }
    }

    /// Returns the overviews of all policies, without a check of permissions.
    pub fn all(&self, now: Timestamp) -> Vec<Overview> {
        self.policies.state().iter().map(|policy| overview(policy, now)).collect()
    }

    /// Returns the overviews of the policies that the caller has permission to get.
    pub async fn visible(&self, headers: &HeaderMap) -> Result<Vec<Overview>, Refusal> {
        let caller = &self.gate.caller(headers).await?;
        self.listed()?;
        let now = Timestamp::now();
        if self.gate.may(caller, Target::All).await? {
            return Ok(self.all(now));
        }
        let all = self.policies.state();
        // First check each namespace, then each policy in the namespaces where the caller may not get all
        // policies.
        let namespaces: BTreeSet<String> = all.iter().filter_map(|policy| policy.namespace()).collect();
        let allowed = stream::iter(namespaces).map(async |namespace| {
            let may = self.gate.may(caller, Target::Namespace(namespace.clone())).await?;
            Ok::<_, Refusal>(may.then_some(namespace))
        });
        let allowed = allowed.buffered(CONCURRENT_REVIEWS).try_filter_map(async |namespace| Ok(namespace));
        let allowed: BTreeSet<String> = allowed.try_collect().await?;
        let visible = stream::iter(all).map(async |policy| {
            let (namespace, name) = (policy.namespace().unwrap_or_default(), policy.name_any());
            let may = allowed.contains(&namespace)
                || self.gate.may(caller, Target::Policy(namespace, name)).await?;
            Ok::<_, Refusal>(may.then(|| overview(&policy, now)))
        });
        let visible = visible.buffered(CONCURRENT_REVIEWS).try_filter_map(async |policy| Ok(policy));
        visible.try_collect().await
    }

    /// Returns the overview of one policy. The error for a caller without permission does not show whether
    /// the policy exists.
    pub async fn one(&self, headers: &HeaderMap, namespace: &str, name: &str) -> Result<Overview, Refusal> {
        let caller = self.gate.caller(headers).await?;
        // No policy can have such a name, so the API server need not be asked.
        if namespace.len() > NAMESPACE_MAX || name.len() > NAME_MAX {
            return Err(Refusal::NoSuchPolicy);
        }
        if !self.may_get(&caller, namespace, name).await? {
            return Err(Refusal::PolicyForbidden);
        }
        self.listed()?;
        let policy = self.policies.get(&ObjectRef::new(name).within(namespace));
        Ok(overview(&*policy.ok_or(Refusal::NoSuchPolicy)?, Timestamp::now()))
    }

    async fn may_get(&self, caller: &Caller, namespace: &str, name: &str) -> Result<bool, AuthError> {
        Ok(self.gate.may(caller, Target::Namespace(namespace.to_owned())).await?
            || self.gate.may(caller, Target::Policy(namespace.to_owned(), name.to_owned())).await?)
    }

    /// Returns an error if the caller has no permission to get the metrics.
    pub async fn check_metrics(&self, headers: &HeaderMap) -> Result<(), Refusal> {
        let caller = self.gate.caller(headers).await?;
        if self.gate.may(&caller, Target::Metrics).await? { Ok(()) } else { Err(Refusal::MetricsForbidden) }
    }
}
