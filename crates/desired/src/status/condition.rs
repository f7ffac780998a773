//! The conditions Ready, Reconciling, Stalled and RetentionHealthy. A condition keeps its transition time
//! until its status changes.
//!
//! `Reconciling` and `Stalled` exist only while they are true, as kstatus expects.

use api::status::{ConditionStatus, ConditionType};
use domain::{message::Message, name, operation::Operation, reason::Reason, report::PruneOutcome};
use jiff::Timestamp;
use k8s_openapi::apimachinery::pkg::apis::meta::v1::Condition;

use super::{
    run_result,
    start_failure_hint::cause_hint,
    text::{and_sentence, plain},
};
use crate::{
    observed::{ForeignObject, Observed, ObservedCronJob, Rejection},
    validate::{Invalid, ValidPolicy},
};

/// The maximum length of the API server's message in a condition, in bytes. Messages of quotas and webhooks
/// are shorter, and messages about an invalid object begin with the mistake.
const REJECTION_LIMIT: usize = 500;

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

    pub fn set(
        &mut self,
        type_: ConditionType,
        status: ConditionStatus,
        reason: Reason,
        message: impl Into<String>,
    ) {
        let before = self.previous.iter().find(|c| c.type_ == type_.as_str() && status.is_of(c));
        self.new.push(Condition {
            type_: type_.to_string(),
            status: status.to_string(),
            reason: reason.as_str().to_owned(),
            message: message.into(),
            observed_generation: self.generation,
            last_transition_time: before
                .map_or_else(|| api::status::time(self.now), |c| c.last_transition_time.clone()),
        });
    }

    /// Keeps a condition of the previous status, for the new generation. Returns whether the previous status
    /// has the condition.
    pub fn keep(&mut self, type_: ConditionType) -> bool {
        let known = self.previous.iter().find(|condition| condition.type_ == type_.as_str());
        let observed_generation = self.generation;
        self.new.extend(known.map(|known| Condition { observed_generation, ..known.clone() }));
        known.is_some()
    }

    pub fn finish(self) -> Vec<Condition> {
        self.new
    }
}

/// Sets `Ready`, `Reconciling` and `Stalled`: whether the policy is accepted and its CronJobs are up to date.
pub fn acceptance(
    conditions: &mut Conditions<'_>,
    valid: Result<&ValidPolicy, &Invalid>,
    observed: &Observed,
) {
    let valid = match valid {
        Ok(valid) => valid,
        Err(invalid) => {
            conditions.set(
                ConditionType::Ready,
                ConditionStatus::False,
                invalid.reason(),
                invalid.to_string(),
            );
            let exists = observed.operations.iter().any(|(_, seen)| seen.cron_job == ObservedCronJob::Ours);
            let message = if exists {
                and_sentence(
                    invalid,
                    "The CronJobs keep their last valid settings until the policy is corrected.",
                )
            } else {
                invalid.to_string()
            };
            conditions.set(ConditionType::Stalled, ConditionStatus::True, invalid.reason(), message);
            return;
        }
    };
    match obstacle(valid, observed) {
        Some(Obstacle { stalled: false, reason, message }) => {
            conditions.set(ConditionType::Ready, ConditionStatus::Unknown, reason, message.to_string());
            conditions.set(ConditionType::Reconciling, ConditionStatus::True, reason, message.to_string());
        }
        Some(Obstacle { reason, message, .. }) => {
            conditions.set(ConditionType::Ready, ConditionStatus::False, reason, message.to_string());
            conditions.set(ConditionType::Stalled, ConditionStatus::True, reason, message.to_string());
        }
        None => {
            let message = if valid.suspend {
                "the policy is accepted and suspended: it starts no scheduled runs"
            } else {
                "the policy is accepted and its CronJobs exist"
            };
            conditions.set(ConditionType::Ready, ConditionStatus::True, Reason::Accepted, message);
        }
    }
}

/// The reason why a CronJob of the policy is not up to date.
#[derive(Clone, Debug)]
pub struct Obstacle {
    /// Whether the obstacle remains until a person changes something.
    stalled: bool,
    pub reason: Reason,
    pub message: Message,
}

/// Returns the first obstacle among the operations that the policy configures.
pub fn obstacle(policy: &ValidPolicy, observed: &Observed) -> Option<Obstacle> {
    let wanted = Operation::all().filter(|operation| policy.schedule_of(*operation).is_some());
    wanted.into_iter().find_map(|operation| obstacle_of(policy, operation, observed))
}

/// Returns the obstacle because of which an operation's CronJob is not up to date; `None` if there is none.
pub fn obstacle_of(policy: &ValidPolicy, operation: Operation, observed: &Observed) -> Option<Obstacle> {
    let name = name::cron_job(&policy.identity.name, operation);
    match &observed.operations.get(operation).cron_job {
        ObservedCronJob::Ours => None,
        ObservedCronJob::Missing => Some(Obstacle {
            stalled: false,
            reason: Reason::Reconciling,
            message: Message::new(format!("CronJob \"{name}\" does not exist yet")),
        }),
        ObservedCronJob::Foreign(foreign) => Some(Obstacle {
            stalled: true,
            reason: Reason::NameTaken,
            message: Message::new(format!("CronJob \"{name}\" {}", whose(foreign)))
                .hint(format!("Delete CronJob \"{name}\", or give the policy another name.")),
        }),
        ObservedCronJob::Refused(rejection) => Some(Obstacle {
            stalled: true,
            reason: Reason::Refused,
            message: rejected(&format!("CronJob \"{name}\""), rejection),
        }),
    }
}

/// Returns a message about an object that the API server rejects.
pub fn rejected(object: &str, Rejection { message, cause }: &Rejection) -> Message {
    let hint = cause.as_ref().map_or_else(
        || "Change what the API server rejects. The operator retries every minute.".to_owned(),
        |cause| format!("{} The operator retries every minute.", cause_hint(cause)),
    );
    Message::new(format!("the API server rejects {object}"))
        .detail(plain(message, REJECTION_LIMIT))
        .hint(hint)
}

/// Returns the owner of a foreign object as a predicate, for example `belongs to HelmRelease shop`.
pub fn whose(ForeignObject { owner, creator }: &ForeignObject) -> String {
    match (owner, creator) {
        (Some(owner), _) => format!("belongs to {owner}"),
        (None, Some(creator)) => format!("has no owner and was created by \"{creator}\""),
        (None, None) => "has no owner".to_owned(),
    }
}

/// Sets `RetentionHealthy` from the newest result of pruning. `None` keeps the previous condition.
pub fn retention(conditions: &mut Conditions<'_>, prune: Option<&PruneOutcome>) {
    const TYPE: ConditionType = ConditionType::RetentionHealthy;
    let Some(prune) = prune else {
        if !conditions.keep(TYPE) {
            let message = "no backup run has applied the retention rules yet";
            conditions.set(TYPE, ConditionStatus::Unknown, Reason::AwaitingFirstBackup, message);
        }
        return;
    };
    let (status, message) = match prune.reason {
        Reason::Pruned => {
            (ConditionStatus::True, "retention removes the backups that no rule keeps".to_owned())
        }
        Reason::NoRules => {
            (ConditionStatus::True, "the policy has no retention rules, so no backup is removed".to_owned())
        }
        Reason::DryRun => (ConditionStatus::True, prune.message.to_string()),
        reason if prune.message.is_empty() => {
            (ConditionStatus::False, run_result::described(reason).to_string())
        }
        reason => (ConditionStatus::False, prune.message.clone().or_hint(reason.hint()).to_string()),
    };
    conditions.set(TYPE, status, prune.reason, message);
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn conflict_message_has_owner_or_creator_if_known() {
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
