//! Conditions. A condition keeps its transition time until its status changes.
//!
//! `Reconciling` and `Stalled` exist only while they are true, as kstatus expects.

pub use api::status::ConditionStatus as Truth;
use api::status::ConditionType;
use domain::{message::Message, operation::Operation, reason::Reason, report::PruneOutcome};
use jiff::Timestamp;
use k8s_openapi::apimachinery::pkg::apis::meta::v1::Condition;

use super::{
    hint::hint,
    run,
    text::{and_sentence, plain},
};
use crate::{
    observed::{ForeignObject, Observed, ObservedCronJob, Rejection},
    validate::{Invalid, ValidPolicy},
};

/// The most bytes that a message quotes of the API server. Messages of quotas and webhooks are shorter, and those about an
/// invalid object begin with what is wrong.
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

    /// Keeps a condition of the previous status, which holds for this generation too. Gives whether there is one.
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

/// `Ready`, `Reconciling`, `Stalled`: whether the policy is accepted and its CronJobs are up to date.
pub fn acceptance(
    conditions: &mut Conditions<'_>,
    valid: Result<&ValidPolicy, &Invalid>,
    observed: &Observed,
) {
    let valid = match valid {
        Ok(valid) => valid,
        Err(invalid) => {
            conditions.set(ConditionType::Ready, Truth::False, invalid.reason(), invalid.to_string());
            let exists = observed.operations.iter().any(|(_, seen)| seen.cron_job == ObservedCronJob::Ours);
            let message = if exists {
                and_sentence(
                    invalid,
                    "The CronJob keeps its last valid settings until the policy is corrected.",
                )
            } else {
                invalid.to_string()
            };
            conditions.set(ConditionType::Stalled, Truth::True, invalid.reason(), message);
            return;
        }
    };
    match obstacle(valid, observed) {
        Some(Obstacle { stalled: false, reason, message }) => {
            conditions.set(ConditionType::Ready, Truth::Unknown, reason, message.to_string());
            conditions.set(ConditionType::Reconciling, Truth::True, reason, message.to_string());
        }
        Some(Obstacle { reason, message, .. }) => {
            conditions.set(ConditionType::Ready, Truth::False, reason, message.to_string());
            conditions.set(ConditionType::Stalled, Truth::True, reason, message.to_string());
        }
        None => {
            let message = if valid.suspend {
                "accepted; suspended, so no backups are taken"
            } else {
                "accepted; its CronJob is in place"
            };
            conditions.set(ConditionType::Ready, Truth::True, Reason::Accepted, message);
        }
    }
}

/// Why a CronJob of the policy is not up to date.
#[derive(Clone, Debug)]
pub struct Obstacle {
    /// Somebody has to do something.
    stalled: bool,
    pub reason: Reason,
    pub message: Message,
}

/// The first obstacle among the operations that the policy asks for.
pub fn obstacle(policy: &ValidPolicy, observed: &Observed) -> Option<Obstacle> {
    let wanted = Operation::all().filter(|operation| policy.schedule_of(*operation).is_some());
    wanted.into_iter().find_map(|operation| obstacle_of(policy, operation, observed))
}

/// Why the CronJob of an operation is not up to date.
pub fn obstacle_of(policy: &ValidPolicy, operation: Operation, observed: &Observed) -> Option<Obstacle> {
    let name = operation.cron_job(&policy.identity.name);
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

/// The API server rejects an object.
pub fn rejected(object: &str, Rejection { message, cause }: &Rejection) -> Message {
    let hint = cause.as_ref().map_or_else(
        || "Change what the API server rejects. The operator retries every minute.".to_owned(),
        |cause| format!("{} The operator retries every minute.", hint(cause)),
    );
    Message::new(format!("the API server rejects {object}"))
        .detail(plain(message, REJECTION_LIMIT))
        .hint(hint)
}

/// Whose a foreign object is, as a predicate: `belongs to HelmRelease shop`.
pub fn whose(ForeignObject { owner, creator }: &ForeignObject) -> String {
    match (owner, creator) {
        (Some(owner), _) => format!("belongs to {owner}"),
        (None, Some(creator)) => format!("has no owner and was created by \"{creator}\""),
        (None, None) => "has no owner".to_owned(),
    }
}

/// `RetentionHealthy`: what the newest run removed. Without a report of a newer run the condition stays as it was.
pub fn retention(conditions: &mut Conditions<'_>, prune: Option<&PruneOutcome>) {
    const TYPE: ConditionType = ConditionType::RetentionHealthy;
    let Some(prune) = prune else {
        if !conditions.keep(TYPE) {
            let message = "no run has listed the repository yet";
            conditions.set(TYPE, Truth::Unknown, Reason::AwaitingFirstBackup, message);
        }
        return;
    };
    let (truth, message) = match prune.reason {
        Reason::Pruned => (Truth::True, "backups that no rule keeps are removed".to_owned()),
        Reason::NoRules => {
            (Truth::True, "the policy has no retention rules, so no backup is removed".to_owned())
        }
        Reason::DryRun => (Truth::True, prune.message.to_string()),
        reason if prune.message.is_empty() => (Truth::False, run::described(reason).to_string()),
        reason => (Truth::False, prune.message.clone().or_hint(reason.hint()).to_string()),
    };
    conditions.set(TYPE, truth, prune.reason, message);
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn message_about_conflicting_object_has_owner_or_creator() {
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
