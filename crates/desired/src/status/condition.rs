//! Conditions: set with a reason and a message, their transition times kept while nothing turns.
//!
//! `Reconciling` and `Stalled` are there only while true, as kstatus reads them.

pub use api::status::ConditionStatus as Truth;
use api::status::ConditionType;
use domain::{operation::Operation, reason::Reason, report::PruneOutcome};
use jiff::Timestamp;
use k8s_openapi::apimachinery::pkg::apis::meta::v1::Condition;

use super::{run, text::plain};
use crate::{
    observed::{ForeignObject, Observed, ObservedCronJob, Rejection},
    validate::{Invalid, ValidPolicy},
};

/// As much of the API server's words as a message shows: those of a quota or a webhook are shorter, and what it finds
/// wrong in an object comes first.
pub const REFUSAL_LIMIT: usize = 500;

/// The conditions of the new status.
#[derive(Debug)]
pub struct Conditions<'a> {
    previous: &'a [Condition],
    generation: Option<i64>,
    now: Timestamp,
    new: Vec<Condition>,
}

impl<'a> Conditions<'a> {
    pub fn new(previous: &'a [Condition], generation: Option<i64>, now: Timestamp) -> Self {
        Self { previous, generation, now, new: Vec::new() }
    }

    pub fn set(&mut self, type_: ConditionType, truth: Truth, reason: Reason, message: impl Into<String>) {
        let before = self.previous.iter().find(|c| c.type_ == type_.as_str() && truth.is_of(c));
        self.new.push(Condition {
            type_: type_.to_string(),
            status: truth.to_string(),
            reason: reason.as_str().to_owned(),
            message: message.into(),
            observed_generation: self.generation,
            last_transition_time: before
                .map_or_else(|| api::status::time(self.now), |c| c.last_transition_time.clone()),
        });
    }

    /// Leaves a condition as it was.
    pub fn keep(&mut self, type_: ConditionType) {
        self.new.extend(self.previous.iter().find(|condition| condition.type_ == type_.as_str()).cloned());
    }

    pub fn finish(self) -> Vec<Condition> {
        self.new
    }
}

/// `Ready`, `Reconciling`, `Stalled`: whether the policy is accepted and its CronJobs in place.
pub fn acceptance(
    conditions: &mut Conditions<'_>,
    valid: Result<&ValidPolicy, &Invalid>,
    observed: &Observed,
) {
    let valid = match valid {
        Ok(valid) => valid,
        Err(invalid) => {
            conditions.set(ConditionType::Ready, Truth::False, invalid.reason(), invalid.to_string());
            conditions.set(
                ConditionType::Stalled,
                Truth::True,
                invalid.reason(),
                "its CronJob stays as it is until the policy is corrected",
            );
            return;
        }
    };
    let not_in_place = observed
        .operations
        .iter()
        .filter(|(operation, _)| valid.schedule_of(*operation).is_some())
        .map(|(operation, seen)| (operation, &seen.cron_job))
        .find(|(_, cron_job)| **cron_job != ObservedCronJob::Ours);
    let outlook = match not_in_place {
        Some((Operation::Scrub, _)) => "no backups are read again until the name is free",
        Some((Operation::Backup, _)) | None => "nothing happens until the name is free",
    };
    let name =
        not_in_place.map(|(operation, _)| operation.cron_job(&valid.identity.name)).unwrap_or_default();
    match not_in_place.map_or(&ObservedCronJob::Ours, |(_, cron_job)| cron_job) {
        ObservedCronJob::Foreign(foreign) => {
            let message =
                format!("CronJob {name} {}; rename the policy, or delete that CronJob", whose(foreign));
            conditions.set(ConditionType::Ready, Truth::False, Reason::NameTaken, message);
            conditions.set(ConditionType::Stalled, Truth::True, Reason::NameTaken, outlook);
        }
        ObservedCronJob::Refused(Rejection { message, .. }) => {
            let message = format!("the API server refuses CronJob {name}: {}", plain(message, REFUSAL_LIMIT));
            conditions.set(ConditionType::Ready, Truth::False, Reason::Refused, message);
            conditions.set(
                ConditionType::Stalled,
                Truth::True,
                Reason::Refused,
                "nothing changes until it is accepted",
            );
        }
        ObservedCronJob::Missing => {
            conditions.set(
                ConditionType::Ready,
                Truth::Unknown,
                Reason::Reconciling,
                "its CronJob is being made",
            );
            conditions.set(
                ConditionType::Reconciling,
                Truth::True,
                Reason::Reconciling,
                "its CronJob is being made",
            );
        }
        ObservedCronJob::Ours => {
            let message = if valid.suspend {
                "accepted; suspended, so no backups are taken"
            } else {
                "accepted; its CronJob is in place"
            };
            conditions.set(ConditionType::Ready, Truth::True, Reason::Accepted, message);
        }
    }
}

/// The predicate of a sentence about a foreign object: `belongs to HelmRelease shop`.
pub fn whose(ForeignObject { owner, creator }: &ForeignObject) -> String {
    match (owner, creator) {
        (Some(owner), _) => format!("belongs to {owner}"),
        (None, Some(creator)) => format!("has no owner and was created by \"{creator}\""),
        (None, None) => "has no owner".to_owned(),
    }
}

/// `RetentionHealthy`: what the newest run's pruning did; as before while no newer run tells.
pub fn retention(conditions: &mut Conditions<'_>, prune: Option<&PruneOutcome>) {
    const TYPE: ConditionType = ConditionType::RetentionHealthy;
    let Some(prune) = prune else {
        if conditions.previous.iter().any(|condition| condition.type_ == TYPE.as_str()) {
            conditions.keep(TYPE);
        } else {
            conditions.set(
                TYPE,
                Truth::Unknown,
                Reason::AwaitingFirstBackup,
                "no run has looked at the store yet",
            );
        }
        return;
    };
    let (truth, message) = match prune.reason {
        Reason::Pruned => (Truth::True, "old backups are removed as the rules say".to_owned()),
        Reason::NoRules => (Truth::True, "the policy has no rules: nothing is ever removed".to_owned()),
        Reason::DryRun => (Truth::True, prune.message.to_string()),
        reason if prune.message.is_empty() => (Truth::False, run::meaning(reason)),
        _ => (Truth::False, prune.message.to_string()),
    };
    conditions.set(TYPE, truth, prune.reason, message);
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn foreign_object_is_described_by_owner_or_creator() {
        let foreign = |owner: Option<&str>, creator: Option<&str>| {
            whose(&ForeignObject { owner: owner.map(str::to_owned), creator: creator.map(str::to_owned) })
        };
        assert_eq!(foreign(Some("HelmRelease shop"), Some("helm")), "belongs to HelmRelease shop");
        assert_eq!(
            foreign(None, Some("kubectl-create")),
            "has no owner and was created by \"kubectl-create\""
        );
        assert_eq!(foreign(None, None), "has no owner");
    }
}
